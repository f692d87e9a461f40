"""A branch, a tag or a commit of a repository into a mirror, within bounds. What is fetched is not looked at here."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from dulwich.client import FetchPackResult, GitClient, LocalGitClient
from dulwich.errors import GitProtocolError, HangupException
from dulwich.object_store import ObjectStoreGraphWalker

from nodes.git.address import Address
from nodes.git.errors import GitProblem
from nodes.git.history import reachable
from nodes.git.https import HttpsClient
from nodes.git.limits import DEFAULT, GitLimits
from nodes.git.meter import Meter
from nodes.git.mirror import Mirror
from nodes.git.over_ssh import SshClient
from nodes.git.refs import Ref, commit_at, sha_of
from nodes.hosts.ssh import HostKey, Identity

log = logging.getLogger(__name__)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# What goes over the wire is nobody's business, at any level.
logging.getLogger("dulwich").setLevel(logging.ERROR)


@dataclass(frozen=True)
class SignIn:
    """How one signs in. For https a name with a password or token, for ssh a key and the host key that is trusted."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity: Identity | None = field(default=None, repr=False)
    host_key: HostKey | None = None


@dataclass(frozen=True)
class Fetched:
    """The commit that was asked for, the newest of a branch, and how many bytes came."""

    head: str
    received: int


@dataclass(frozen=True)
class Branches:
    """What a test of the connection found."""

    head: str
    names: tuple[str, ...]
    received: int


def fetch(
    address: Address, ref: Ref | str, folder: Path, sign_in: SignIn = SignIn(), limits: GitLimits = DEFAULT
) -> Fetched:
    """Bring it into the mirror in `folder`, a branch where only a name is given; safe to begin again after it was killed.

    Raises GitProblem for all that may be wrong with the repository or on the way to it.
    """
    meter = Meter(limits)
    ref = Ref("branch", ref) if isinstance(ref, str) else ref
    try:
        with closing(Mirror(folder, limits)) as mirror, mirror.incoming() as file:
            asked = _Asked(ref, mirror, limits, meter)
            _talk(address, sign_in, meter, asked, file)
            if not asked.is_new:
                return Fetched(asked.head, meter.received)
            mirror.take(file, meter.check_time)
            head = commit_at(mirror, ref, asked.head)
            mirror.set_head(head)
            return Fetched(head, meter.received)
    except GitProblem as problem:
        problem.received = meter.received
        raise
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise GitProblem("failed", "no_room") from None


def look(address: Address, branch: str, sign_in: SignIn = SignIn(), limits: GitLimits = DEFAULT) -> Branches:
    """The branches that are there; nothing is fetched. The head is empty where the branch is not among them."""
    meter, seen = Meter(limits), _Seen(branch)
    _talk(address, sign_in, meter, seen, None)
    return Branches(seen.head, tuple(seen.names), meter.received)


class _Seen:
    """Notes the branches, and wants none."""

    walker: Any = None
    prefixes = (b"refs/heads/",)

    def __init__(self, branch: str) -> None:
        self.branch, self.head, self.names = branch, "", list[str]()

    def wants(self, refs: Mapping[Any, Any], depth: int | None = None) -> list[Any]:
        heads = {name: sha for name, sha in refs.items() if bytes(name).startswith(b"refs/heads/")}
        self.names = sorted(bytes(name)[11:].decode("utf-8", "replace") for name in heads)[:200]
        self.head = sha_of(heads.get(b"refs/heads/" + self.branch.encode(), b""))
        return []


class _Asked:
    """What is wanted of the branches and tags that a server names."""

    def __init__(self, ref: Ref, mirror: Mirror, limits: GitLimits, meter: Meter) -> None:
        self.ref, self.prefixes = ref, ref.prefixes
        self.mirror, self.limits, self.meter = mirror, limits, meter
        self.head, self.is_new = "", False
        have = mirror.head
        heads = [have.encode()] if have else []
        self.have = have
        self.walker: Any = ObjectStoreGraphWalker(heads, lambda sha: mirror.store[sha].parents)  # type: ignore[arg-type, attr-defined]

    def wants(self, refs: Mapping[Any, Any], depth: int | None = None) -> list[Any]:
        if len(refs) > self.limits.refs:
            raise GitProblem("too_large", "branches", limit=f"{self.limits.refs:,}")
        self.head = self.ref.found_in(refs)
        self.is_new = not self._is_here()
        self.meter.past_refs()
        return self.ref.tips(refs) if self.is_new else []

    def _is_here(self) -> bool:
        """Whether it is in the mirror, whole. Of a branch only what was fetched last is known to be."""
        if self.ref.kind == "branch" or not self.have or not self.mirror.has(self.head):
            return self.head == self.have
        found = commit_at(self.mirror, self.ref, self.head)
        if found not in reachable(self.mirror, self.have, frozenset()):
            return False
        self.head = found
        return True


def _talk(address: Address, sign_in: SignIn, meter: Meter, asked: _Seen | _Asked, file: BinaryIO | None) -> None:
    client, path = _client(address, sign_in, meter)

    def keep(data: bytes) -> int:
        if file is None:
            raise GitProblem("hostile", "protocol")
        if address.scheme == "file":
            meter.count(len(data))
        return file.write(data)

    try:
        _fetch_pack(client, path, asked, keep)
    except GitProblem:
        raise
    except (HangupException, GitProtocolError) as error:
        meter.check_time()
        raise _hung_up(client, error) from None
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        raise GitProblem("unreachable", "system", said=error.strerror or type(error).__name__) from None
    except (AssertionError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError) as error:
        # dulwich takes what a server says apart without asking; what falls over there is not Git.
        log.warning("git_protocol_broken: %s", type(error).__name__)
        raise GitProblem("hostile", "protocol") from None
    finally:
        client.close()


def _fetch_pack(
    client: GitClient, path: str, asked: _Seen | _Asked, keep: Callable[[bytes], int]
) -> FetchPackResult | None:
    if isinstance(client, LocalGitClient):
        return _from_folder(client, path, asked, keep)
    walker = asked.walker if asked.walker is not None else ObjectStoreGraphWalker([], lambda sha: [])
    return client.fetch_pack(
        path,
        asked.wants,
        walker,
        keep,
        ref_prefix=list(asked.prefixes),
        # A server that can leaves out what no config is made of.
        filter_spec=b"blob:limit=8m",
    )


def _from_folder(
    client: LocalGitClient, path: str, asked: _Seen | _Asked, keep: Callable[[bytes], int]
) -> FetchPackResult | None:
    place = Path(path)
    control = place / ".git" if (place / ".git").exists() else place
    led_away = [control / "commondir", control / "objects" / "info" / "alternates"]
    # All of these make Git read elsewhere.
    if not control.is_dir() or control.is_symlink() or any(one.exists() for one in led_away):
        raise GitProblem("hostile" if control.exists() else "refused", "elsewhere" if control.exists() else "not_found")
    if not (control / "HEAD").is_file() or not (control / "objects").is_dir() or (control / "objects").is_symlink():
        raise GitProblem("refused", "not_found")
    refs = {name: sha for name, sha in client.get_refs(path).refs.items() if sha is not None}
    wanted = asked.wants(refs)
    if not wanted:
        return None
    walker = asked.walker
    return client.fetch_pack(path, lambda found, depth=None: wanted, walker, keep)


def _client(address: Address, sign_in: SignIn, meter: Meter) -> tuple[GitClient, str]:
    if address.scheme in ("https", "http"):
        return HttpsClient(str(address), meter, sign_in.username, sign_in.password), ""
    if address.scheme == "ssh":
        if sign_in.identity is None:
            raise GitProblem("refused", "no_key")
        return SshClient(address, sign_in.identity, sign_in.host_key, meter), address.path
    return LocalGitClient(), address.path


def _hung_up(client: GitClient, error: Exception) -> GitProblem:
    if isinstance(client, SshClient):
        said = client.said
        lowered = said.lower()
        if any(word in lowered for word in ("not found", "does not appear", "denied", "not exist", "permission")):
            return GitProblem("refused", "not_found", said=said)
        return GitProblem("unreachable", "hung_up", said=said)
    if isinstance(error, HangupException) or (isinstance(client, HttpsClient) and client.is_cut):
        return GitProblem("unreachable", "broke_off")
    return GitProblem("hostile", "protocol")
