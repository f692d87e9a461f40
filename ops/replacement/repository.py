"""A directory out of a Git repository: a commit is decided on, looked at, and its tree written out for one operation.

Everything goes through a bare mirror and the readers of nodes.git; nothing of the repository is run here.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nodes.git.address import Address
from nodes.git.errors import GitProblem
from nodes.git.fetch import SignIn, fetch
from nodes.git.history import CommitInfo, info_of
from nodes.git.limits import GitLimits
from nodes.git.mirror import Mirror
from nodes.git.refs import Ref
from nodes.git.writing import names_in, texts_in, write_out
from ops.replacement.base import NotReady

#: A step holds no worker for longer, and somebody may wait for the page. One look waits for both, and nothing renews the
#: lease of its step meanwhile.
FETCH_S: Final = 25.0
LOCK_S: Final = 15.0
#: The parts of a lease that they may take where that is a short one.
FETCH_OF_LEASE, LOCK_OF_LEASE = 0.45, 0.25
_MESSAGE_CHARS: Final = 200
#: What is wrong with the commit, however sound the copy of it is.
_OF_THE_COMMIT: Final = ("names", "link_leaves")


@dataclass(frozen=True)
class Repository:
    """`url` as a person gave it. `mirror` is a folder of this repository alone; whoever works on it holds a lock beside it.

    `vouch` names who signed a commit, and raises GitProblem for one that is not to be taken.
    """

    url: str
    address: Address
    ref: Ref
    directory: str
    sign_in: SignIn
    limits: GitLimits
    mirror: Path
    vouch: Callable[[CommitInfo], str]
    lock_s: float = LOCK_S

    def decide(self, commit: str = "", endings: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What the reference leads to now, or that commit, with the files right in the directory whose names end so.

        Raises NotReady unless it may be taken and has the directory. One look: it waits for others and the server once.
        """
        with self._opened(commit) as (mirror, head):
            info = info_of(mirror, head)
            signer = self.vouch(info)
            names_in(mirror, head, self.directory)
            texts = texts_in(mirror, head, self.directory, endings) if endings else {}
        found = {
            "url": self.url,
            "ref_kind": self.ref.kind,
            "ref": self.ref.name,
            "directory": self.directory,
            "commit": head,
            "author": info.author,
            "message": info.message.partition("\n")[0][:_MESSAGE_CHARS],
            "committed_at": info.committed_at.isoformat(),
            "signer": signer,
        }
        return found, texts

    def write(self, commit: str, into: Path) -> int:
        """The whole tree of the commit, which may need what lies beside the directory; how many files that is."""
        with self._opened(commit) as (mirror, head):
            return write_out(mirror, head, into)

    @contextmanager
    def _opened(self, commit: str) -> Iterator[tuple[Mirror, str]]:
        """The mirror with a commit in it. One that is known is not asked for again: whoever has it needs no server."""
        try:
            with self._locked(), self._forgotten_where_damaged():
                if commit and self._has(commit):
                    head = commit
                else:
                    ref = Ref("commit", commit) if commit else self.ref
                    head = fetch(self.address, ref, self.mirror, self.sign_in, self.limits).head
                with closing(Mirror(self.mirror, self.limits)) as mirror:
                    yield mirror, head
        except GitProblem as problem:
            raise refused(problem) from problem

    @contextmanager
    def _forgotten_where_damaged(self) -> Iterator[None]:
        """A copy that is not what it should be is built upon no more: whoever asks next fetches it anew."""
        try:
            yield
        except GitProblem as problem:
            if problem.kind == "hostile" and problem.reason not in _OF_THE_COMMIT:
                Mirror(self.mirror, self.limits).forget()
            raise

    def _has(self, commit: str) -> bool:
        if not (self.mirror / "head").exists():
            return False
        with closing(Mirror(self.mirror, self.limits)) as mirror:
            return bool(mirror.head) and mirror.has(commit)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.mirror.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.mirror.with_name(f"{self.mirror.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = time.monotonic() + self.lock_s
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise NotReady("git_busy", url=self.url) from None
                    time.sleep(0.1)
            yield
        finally:
            os.close(lock)


def refused(problem: GitProblem) -> NotReady:
    """Why the repository cannot be used, in the words of nodes.wording.git."""
    return NotReady("git_refused", git=problem.as_detail())


def place_of(source: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of what was decided what a person chose: where it comes from, whatever commit that is by now. None of nothing."""
    return {name: source[name] for name in ("url", "ref_kind", "ref", "directory")} if source else None
