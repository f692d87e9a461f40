"""dulwich's client over our own SSH: a pinned host key, a deploy key, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from dulwich.client import TraditionalGitClient
from dulwich.protocol import Protocol

from nodes.git.address import Address
from nodes.git.errors import GitProblem
from nodes.git.meter import Meter
from nodes.hosts.errors import (
    AuthenticationFailed,
    HostError,
    HostKeyMismatch,
    HostKeyUnknown,
    NameNotResolved,
    TimedOut,
)
from nodes.hosts.ssh import Deadline, Endpoint, Exchange, HostKey, Identity, connect


@dataclass
class SshClient(TraditionalGitClient):
    """The connection is made when the fetch begins, and ends with `close`."""

    address: Address
    identity: Identity
    host_key: HostKey | None
    meter: Meter

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._talk: Exchange | None = None
        super().__init__(thin_packs=False, quiet=True)

    @property
    def said(self) -> str:
        return self._talk.said if self._talk is not None else ""

    def close(self) -> None:
        self._stack.close()

    def get_url(self, path: str) -> str:
        return str(self.address)

    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], IO[bytes] | None]:
        deadline = Deadline.after(self.meter.remaining_s)
        endpoint = Endpoint(self.address.host, self.address.port or 22, self.address.user)
        where = path.decode() if isinstance(path, bytes) else path
        # As git itself quotes it, which some servers insist on.
        quoted = where.removeprefix("/~/").replace("'", "'\\''")
        pinned = (self.host_key,) if self.host_key is not None else ()
        try:
            there = self._stack.enter_context(connect(endpoint, self.identity, host_key=pinned, deadline=deadline))
            line = f"git-{cmd.decode()} '{quoted}'"
            talk = self._stack.enter_context(there.exchange(line, deadline=deadline))
        except HostError as error:
            raise problem_of(error) from None
        self._talk = talk

        def read(size: int) -> bytes:
            try:
                found = talk.read(size)
            except HostError as error:
                raise problem_of(error) from None
            self.meter.count(len(found))
            return found

        def write(data: bytes) -> None:
            try:
                talk.write(data)
            except HostError as error:
                raise problem_of(error) from None

        return Protocol(read, write, self.close), talk.can_read, None


def problem_of(error: HostError) -> GitProblem:
    """What an error of SSH means for who follows a repository."""
    if isinstance(error, HostKeyMismatch):
        return GitProblem("host_key", "changed", fingerprint=error.seen)
    if isinstance(error, HostKeyUnknown):
        return GitProblem("host_key", "unknown", fingerprint=error.seen.fingerprint if error.seen else "")
    if isinstance(error, AuthenticationFailed):
        return GitProblem("refused", "key")
    if isinstance(error, NameNotResolved):
        return GitProblem("unreachable", "name")
    if isinstance(error, TimedOut):
        return GitProblem("unreachable", "timed_out")
    return GitProblem("unreachable", "ssh", said=error.message)
