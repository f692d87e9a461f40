"""Connections to hosts: straight or through jump hosts, opened, used and closed within a deadline."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from paramiko.ssh_exception import ChannelException, SSHException

import nodes.hosts.ssh as package
from nodes.hosts.errors import (
    ChannelRefused,
    CommandFailed,
    ConnectionLost,
    ConnectionRefused,
    HostError,
    JumpFailed,
    NameNotResolved,
    NoRoute,
    TimedOut,
)
from nodes.hosts.ssh.command import CommandResult, command_line, run_command
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.dial import await_greeting, dial
from nodes.hosts.ssh.handshake import Endpoint, check_host_key, exchange_keys, log_in, lost
from nodes.hosts.ssh.host_keys import KEY_TYPES, HostKey
from nodes.hosts.ssh.identity import Identity
from nodes.hosts.ssh.transport import QuietTransport, Stream

KEEPALIVE_S = 15
MAX_OUTPUT_BYTES = 4 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
_PROHIBITED = 1


class ContactForbidden(RuntimeError):
    """The program tried to talk to a host at a moment when it must not, such as inside a transaction."""


@dataclass(frozen=True)
class Hop:
    """A jump host on the way to the target, with its own login and its own pinned key."""

    endpoint: Endpoint
    identity: Identity
    host_key: HostKey


class Connection:
    """A logged-in connection. Closing it ends all its threads; one command runs at a time."""

    def __init__(self, endpoint: Endpoint, host_key: HostKey, transports: list[QuietTransport]) -> None:
        self.endpoint = endpoint
        self.host_key = host_key
        self._transports = transports
        self._one_at_a_time = threading.Lock()

    def __repr__(self) -> str:
        return f"<Connection to {self.endpoint}{'' if self.is_alive else ', closed'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_alive(self) -> bool:
        """Whether the connection is still up, as far as is known without asking the host."""
        return all(transport.is_active() for transport in self._transports)

    @property
    def server_version(self) -> str:
        """How the SSH server of the host identified itself."""
        return self._transports[-1].remote_version

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        deadline: Deadline,
        max_bytes: int = MAX_OUTPUT_BYTES,
        check: bool = False,
        expect_disconnect: bool = False,
    ) -> CommandResult:
        """Run one command without a terminal and collect its output.

        With `check`, a status other than 0 raises CommandFailed. With `expect_disconnect`, a connection that
        ends before the status is a result with status None, since that is how a reboot looks.
        """
        line = command_line(argv)
        _refuse_if_forbidden()
        if not self._one_at_a_time.acquire(timeout=deadline.remaining_s):
            raise TimedOut("channel", self.endpoint.address, deadline.span_s)
        try:
            for transport in self._transports:
                transport.set_deadline(deadline)
            result = run_command(
                self._transports[-1],
                self.endpoint.address,
                line,
                stdin=stdin,
                deadline=deadline,
                max_bytes=max_bytes,
                expect_disconnect=expect_disconnect,
            )
        finally:
            self._one_at_a_time.release()
        if check and result.exit_status:
            raise CommandFailed(line[:200], result.exit_status, result.stderr.decode("utf-8", "replace"))
        return result

    def close(self) -> None:
        """End the connection and its threads. May be called again."""
        _end(self._transports)


def connect(
    endpoint: Endpoint,
    identity: Identity,
    *,
    host_key: HostKey | Collection[HostKey],
    deadline: Deadline,
    jumps: Sequence[Hop] = (),
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    greeting_timeout_s: float | None = None,
    turn: contextlib.AbstractContextManager[object] | None = None,
) -> Connection:
    """Connect, check the host key, and log in. Use the result as a context manager.

    `greeting_timeout_s` bounds the wait for the first bytes of the host. `turn` is held from then until the login is
    done: with a semaphore, many threads may wait for dead hosts while few do the costly key exchanges.
    """
    _refuse_if_forbidden()
    pinned = (host_key,) if isinstance(host_key, HostKey) else tuple(host_key)
    transports: list[QuietTransport] = []
    try:
        stream = _reach(endpoint, jumps, transports, deadline, connect_timeout_s)
        if greeting_timeout_s is not None and isinstance(stream, socket.socket):
            await_greeting(stream, endpoint.address, deadline.within(greeting_timeout_s))
        with turn or contextlib.nullcontext():
            transport, seen = _shake_hands(stream, endpoint, pinned, transports, deadline)
            log_in(transport, endpoint, identity, deadline)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException:
        _end(transports)
        raise
    return Connection(endpoint, seen, transports)


def scan_host_key(
    endpoint: Endpoint,
    *,
    deadline: Deadline,
    jumps: Sequence[Hop] = (),
    preferred_types: Sequence[str] = KEY_TYPES,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    greeting_timeout_s: float | None = None,
) -> HostKey:
    """The key that a host shows, without logging in to it. Only a comparison by a person makes it trusted."""
    _refuse_if_forbidden()
    transports: list[QuietTransport] = []
    try:
        stream = _reach(endpoint, jumps, transports, deadline, connect_timeout_s)
        if greeting_timeout_s is not None and isinstance(stream, socket.socket):
            await_greeting(stream, endpoint.address, deadline.within(greeting_timeout_s))
        transport, seen = exchange_keys(stream, endpoint, deadline, preferred_types)
        transports.append(transport)
        return seen
    finally:
        _end(transports)


def _refuse_if_forbidden() -> None:
    reason = package.forbid() if package.forbid is not None else None
    if reason:
        raise ContactForbidden(reason)


def _end(transports: Sequence[QuietTransport]) -> None:
    for transport in reversed(transports):
        transport.end()


def _shake_hands(
    stream: Stream,
    endpoint: Endpoint,
    pinned: Sequence[HostKey],
    transports: list[QuietTransport],
    deadline: Deadline,
) -> tuple[QuietTransport, HostKey]:
    transport, seen = exchange_keys(stream, endpoint, deadline, [key.type for key in pinned])
    transports.append(transport)
    check_host_key(endpoint, seen, pinned)
    return transport, seen


def _reach(
    endpoint: Endpoint,
    jumps: Sequence[Hop],
    transports: list[QuietTransport],
    deadline: Deadline,
    connect_timeout_s: float,
) -> Stream:
    """A stream to the endpoint, through every jump host in turn."""
    if not jumps:
        return dial(endpoint.address, endpoint.port, deadline.within(connect_timeout_s))
    first = jumps[0].endpoint
    with _as_jump(first):
        stream: Stream = dial(first.address, first.port, deadline.within(connect_timeout_s))
    for hop, following in zip(jumps, [*(hop.endpoint for hop in jumps[1:]), endpoint], strict=True):
        with _as_jump(hop.endpoint):
            transport, _seen = _shake_hands(stream, hop.endpoint, (hop.host_key,), transports, deadline)
            log_in(transport, hop.endpoint, hop.identity, deadline)
            transport.set_keepalive(KEEPALIVE_S)
        if following is endpoint:
            return _forward(transport, hop.endpoint, following, deadline)
        with _as_jump(following):
            stream = _forward(transport, hop.endpoint, following, deadline)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _as_jump(hop: Endpoint) -> Iterator[None]:
    """Name the jump host in whatever fails on it."""
    try:
        yield
    except JumpFailed:
        raise
    except HostError as error:
        raise JumpFailed(f"{hop.address}:{hop.port}", error) from error


def _forward(transport: QuietTransport, hop: Endpoint, to: Endpoint, deadline: Deadline) -> Stream:
    """Let a jump host open a connection to the next endpoint."""
    deadline.check("jump", to.address)
    destination = (to.address.strip("[]"), to.port)
    try:
        return transport.open_channel(
            "direct-tcpip", dest_addr=destination, src_addr=("127.0.0.1", 0), timeout=deadline.remaining_s
        )
    except ChannelException as error:
        raise _forward_error(error, transport.open_failure, hop, to) from None
    except (SSHException, EOFError, OSError):
        if transport.is_active() or deadline.expired:
            raise TimedOut("jump", to.address, deadline.span_s) from None
        inner = lost(transport, hop.address, "it ended while forwarding")
        raise JumpFailed(f"{hop.address}:{hop.port}", inner) from None


def _forward_error(error: ChannelException, said: str, hop: Endpoint, to: Endpoint) -> HostError:
    text = said.lower()
    if error.code == _PROHIBITED or "prohibited" in text:
        inner = ChannelRefused(hop.address, said or "forwarding is prohibited")
        return JumpFailed(f"{hop.address}:{hop.port}", inner)
    if "refused" in text:
        return ConnectionRefused(to.address, to.port)
    if "timed out" in text:
        return TimedOut("jump", to.address)
    if "resolve" in text or "not known" in text:
        return NameNotResolved(to.address, said)
    if "reset" in text:
        return ConnectionLost(to.address, said)
    return NoRoute(to.address, to.port, said or error.text)
