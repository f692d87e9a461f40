"""The way through jump hosts: one after another, for one contact alone or shared by those of a batch."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from paramiko.ssh_exception import SSHException

from nodes.hosts.errors import (
    ConnectionLost,
    ConnectionRefused,
    ForwardingRefused,
    HostError,
    JumpFailed,
    NameNotResolved,
    NoRoute,
    TimedOut,
)
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.dial import await_greeting, dial
from nodes.hosts.ssh.handshake import Endpoint, check_host_key, exchange_keys, log_in, lost
from nodes.hosts.ssh.host_keys import HostKey
from nodes.hosts.ssh.identity import Identity
from nodes.hosts.ssh.transport import ForwardRefused, QuietTransport, Stream

KEEPALIVE_S = 15
GREETING_TIMEOUT_S = 8.0
_PROHIBITED = 1
#: Hosts that are reached over one connection at the same time; further ones wait for their turn.
CHANNELS_AT_ONCE = 32
#: A jump host that failed is not tried again for each of the 200 hosts behind it.
FAILED_FOR_S = 10.0
#: Shared connections are bounded by the keepalive and the kernel, not by the deadline of one contact.
_SHARED_SPAN_S = 7 * 86_400.0


@dataclass(frozen=True)
class Hop:
    """A jump host on the way to the target, with its own login and its own pinned key."""

    endpoint: Endpoint
    identity: Identity
    host_key: HostKey
    name: str = ""

    @property
    def shown(self) -> str:
        """How errors call it."""
        return self.name or f"{self.endpoint.address}:{self.endpoint.port}"


def through(
    jumps: Sequence[Hop],
    endpoint: Endpoint,
    transports: list[QuietTransport],
    deadline: Deadline,
    connect_timeout_s: float,
) -> Stream:
    """A stream to the endpoint through every jump host in turn. What was opened is added to `transports`."""
    chain(jumps, transports, deadline, connect_timeout_s)
    return forward(transports[-1], jumps[-1], endpoint, deadline)


def chain(jumps: Sequence[Hop], transports: list[QuietTransport], deadline: Deadline, connect_timeout_s: float) -> None:
    """Log in to each of the jump hosts, every one through the one before it."""
    first = jumps[0].endpoint
    with _as_jump(jumps[0]):
        stream: Stream = dial(first.address, first.port, deadline.within(connect_timeout_s))
    for number, hop in enumerate(jumps):
        with _as_jump(hop):
            if number:
                stream = forward(transports[-1], jumps[number - 1], hop.endpoint, deadline)
            await_first_bytes(stream, hop.endpoint.address, deadline.within(GREETING_TIMEOUT_S))
            transport, seen = exchange_keys(stream, hop.endpoint, deadline, [hop.host_key.type])
            transports.append(transport)
            check_host_key(hop.endpoint, seen, (hop.host_key,))
            log_in(transport, hop.endpoint, hop.identity, deadline)
            transport.set_keepalive(KEEPALIVE_S)


def forward(transport: QuietTransport, hop: Hop, to: Endpoint, deadline: Deadline) -> Stream:
    """Let a jump host open a connection to the next endpoint."""
    deadline.check("jump", to.address)
    try:
        return transport.forward(to.address.strip("[]"), to.port, deadline.remaining_s)
    except ForwardRefused as refused:
        raise _forward_error(refused, hop, to) from None
    except (SSHException, EOFError, OSError):
        if transport.is_active() or deadline.expired:
            raise TimedOut("jump", to.address, deadline.span_s) from None
        raise JumpFailed(hop.shown, lost(transport, hop.endpoint.address, "it ended while forwarding")) from None


def await_first_bytes(stream: Stream, address: str, deadline: Deadline) -> None:
    """Wait for the greeting of an SSH server, whatever it comes over."""
    if isinstance(stream, socket.socket):
        await_greeting(stream, address, deadline)
        return
    arrived = threading.Event()
    # Set by paramiko when something can be read, and when the channel was closed.
    stream.in_buffer.set_event(arrived)
    if not arrived.wait(deadline.remaining_s):
        raise TimedOut("banner", address, deadline.span_s)


@contextlib.contextmanager
def _as_jump(hop: Hop) -> Iterator[None]:
    """Name the jump host in whatever fails on it."""
    try:
        yield
    except JumpFailed:
        raise
    except HostError as error:
        raise JumpFailed(hop.shown, error) from error


def _forward_error(refused: ForwardRefused, hop: Hop, to: Endpoint) -> HostError:
    text = refused.said.lower()
    if refused.code == _PROHIBITED or "prohibited" in text:
        return JumpFailed(
            hop.shown, ForwardingRefused(hop.endpoint.address, f"{to.address} port {to.port}", refused.said)
        )
    if "refused" in text:
        return ConnectionRefused(to.address, to.port)
    if "timed out" in text:
        return TimedOut("jump", to.address)
    if "resolve" in text or "not known" in text:
        return NameNotResolved(to.address, refused.said)
    if "reset" in text:
        return ConnectionLost(to.address, refused.said)
    return NoRoute(to.address, to.port, refused.said)


@dataclass
class _Shared:
    """The connection through one chain of jump hosts, or why there is none."""

    turns: threading.Semaphore
    opening: threading.Lock = field(default_factory=threading.Lock)
    transports: list[QuietTransport] = field(default_factory=list)
    failure: JumpFailed | None = None
    failed_at_s: float = 0.0

    @property
    def is_alive(self) -> bool:
        return bool(self.transports) and all(transport.is_active() for transport in self.transports)


class SharedJumps:
    """Connections to jump hosts that many contacts share: one login on the jump host instead of one per host.

    Safe from many threads. A connection that has died is opened once more for whoever comes next. Close it when the last
    contact is over.
    """

    def __init__(self, channels_at_once: int = CHANNELS_AT_ONCE) -> None:
        self._channels_at_once = channels_at_once
        self._known: dict[tuple[Hop, ...], _Shared] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    @contextlib.contextmanager
    def turn(self, jumps: Sequence[Hop], deadline: Deadline) -> Iterator[None]:
        """Held during a contact: bounds how many hosts are reached over one connection at once."""
        shared = self._of(jumps)
        if not shared.turns.acquire(timeout=deadline.remaining_s):
            raise JumpFailed(jumps[-1].shown, TimedOut("channel", jumps[-1].endpoint.address, deadline.span_s))
        try:
            yield
        finally:
            shared.turns.release()

    def stream(self, jumps: Sequence[Hop], endpoint: Endpoint, deadline: Deadline, connect_timeout_s: float) -> Stream:
        """A stream to the endpoint over the shared connection, which is opened when there is none."""
        shared = self._of(jumps)
        transport = self._open(shared, jumps, deadline, connect_timeout_s)
        try:
            return forward(transport, jumps[-1], endpoint, deadline)
        except JumpFailed:
            if transport.is_active():
                raise
        # It has died since it was used last: once more over a fresh one.
        return forward(self._open(shared, jumps, deadline, connect_timeout_s), jumps[-1], endpoint, deadline)

    def is_alive(self, jumps: Sequence[Hop]) -> bool:
        """Whether the shared connection through these jump hosts is up."""
        return self._of(jumps).is_alive

    def close(self) -> None:
        """End every connection. May be called again."""
        with self._lock:
            self._is_closed = True
            known = list(self._known.values())
        for shared in known:
            with shared.opening:
                _end(shared.transports)

    def _of(self, jumps: Sequence[Hop]) -> _Shared:
        with self._lock:
            return self._known.setdefault(tuple(jumps), _Shared(threading.Semaphore(self._channels_at_once)))

    def _open(
        self, shared: _Shared, jumps: Sequence[Hop], deadline: Deadline, connect_timeout_s: float
    ) -> QuietTransport:
        if not shared.opening.acquire(timeout=deadline.remaining_s):
            raise JumpFailed(jumps[0].shown, TimedOut("connect", jumps[0].endpoint.address, deadline.span_s))
        try:
            if self._is_closed:
                raise JumpFailed(jumps[0].shown, ConnectionLost(jumps[0].endpoint.address, "it was closed"))
            if shared.is_alive:
                return shared.transports[-1]
            if shared.failure is not None and time.monotonic() - shared.failed_at_s < FAILED_FOR_S:
                raise shared.failure.again()
            _end(shared.transports)
            shared.transports, shared.failure = [], None
            try:
                chain(jumps, shared.transports, deadline, connect_timeout_s)
            except JumpFailed as error:
                shared.failure, shared.failed_at_s = error, time.monotonic()
                raise
            for transport in shared.transports:
                transport.set_deadline(Deadline.after(_SHARED_SPAN_S))
            return shared.transports[-1]
        finally:
            shared.opening.release()


def _end(transports: Sequence[QuietTransport]) -> None:
    for transport in reversed(transports):
        transport.end()
