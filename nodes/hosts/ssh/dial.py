"""Names to addresses, and addresses to connected sockets, within a deadline."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import threading
import time
from typing import TypeAlias

from nodes.hosts.errors import ConnectionLost, ConnectionRefused, HostError, NameNotResolved, NoRoute, TimedOut
from nodes.hosts.ssh.deadline import Deadline

Resolved: TypeAlias = tuple[int, tuple[str | int | bytes, ...]]

# A second address gets its chance when the first one has not answered for this long (RFC 8305).
NEXT_ADDRESS_AFTER_S = 0.25
UNACKNOWLEDGED_MS = 30_000


def dial(address: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first of the addresses of a name that answers. Raises a HostError otherwise."""
    host = address.strip().strip("[]")
    attempts = _Attempts(address, port, deadline)
    try:
        connected = attempts.first_connected(resolve(host, port, deadline))
    finally:
        attempts.close_others()
    _tune(connected)
    return connected


def await_greeting(sock: socket.socket, address: str, deadline: Deadline) -> None:
    """Wait for the first bytes of the host, which an SSH server sends unasked. A host that hangs still takes connections."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(deadline.remaining_s * 1000):
        sock.close()
        raise TimedOut("banner", address, deadline.span_s)


def resolve(host: str, port: int, deadline: Deadline) -> list[Resolved]:
    """The addresses of a host. A resolver that hangs is given up at the deadline."""
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        return _getaddrinfo(host, port, socket.AI_NUMERICHOST)
    answer: list[Resolved] = []
    failure: list[str] = []

    def ask() -> None:
        try:
            answer.extend(_getaddrinfo(host, port, 0))
        except socket.gaierror as error:
            failure.append(error.strerror or str(error))
        except (OSError, UnicodeError, ValueError) as error:
            failure.append(str(error))

    # getaddrinfo takes no timeout, so it runs aside and is left behind when it is too slow.
    thread = threading.Thread(target=ask, name="ssh-resolve", daemon=True)
    thread.start()
    thread.join(deadline.remaining_s)
    if answer:
        return list(answer)
    raise NameNotResolved(host, failure[0] if failure else "the resolver did not answer in time")


def _getaddrinfo(host: str, port: int, flags: int) -> list[Resolved]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, sockaddr) for family, _type, _proto, _name, sockaddr in found]


class _Attempts:
    """Connection attempts that run side by side until one succeeds."""

    def __init__(self, address: str, port: int, deadline: Deadline) -> None:
        self.address, self.port, self.deadline = address, port, deadline
        self.poll = select.poll()
        self.pending: dict[int, socket.socket] = {}
        self.failures: list[int] = []

    def first_connected(self, addresses: list[Resolved]) -> socket.socket:
        waiting = list(addresses)
        while True:
            next_at = time.monotonic() + NEXT_ADDRESS_AFTER_S
            started = self._start(*waiting.pop(0)) if waiting else None
            if started is not None:
                return started
            if not self.pending and not waiting:
                raise self._error()
            connected = self._wait(next_at if waiting else self.deadline.at_s)
            if connected is not None:
                return connected
            if self.deadline.expired:
                raise self._error()

    def close_others(self) -> None:
        for sock in self.pending.values():
            sock.close()
        self.pending.clear()

    def _start(self, family: int, sockaddr: tuple[str | int | bytes, ...]) -> socket.socket | None:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        except OSError as error:
            self.failures.append(error.errno or 0)
            return None
        sock.settimeout(0.0)
        code = sock.connect_ex(sockaddr)
        if code == 0:
            return sock
        if code != errno.EINPROGRESS:
            sock.close()
            self.failures.append(code)
            return None
        self.pending[sock.fileno()] = sock
        self.poll.register(sock, select.POLLOUT)
        return None

    def _wait(self, until_s: float) -> socket.socket | None:
        """Wait for one attempt to end; returns early when all have failed."""
        until_s = min(until_s, self.deadline.at_s)
        while self.pending:
            wait_ms = max(0.0, (until_s - time.monotonic()) * 1000)
            events = self.poll.poll(wait_ms)
            for number, _event in events:
                sock = self.pending.pop(number)
                self.poll.unregister(number)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return sock
                sock.close()
                self.failures.append(code)
            if not events:
                return None
        return None

    def _error(self) -> HostError:
        if errno.ECONNREFUSED in self.failures:
            return ConnectionRefused(self.address, self.port)
        if errno.ECONNRESET in self.failures:
            return ConnectionLost(self.address, "the connection was reset at once")
        if self.pending or errno.ETIMEDOUT in self.failures or not self.failures:
            return TimedOut("connect", self.address, self.deadline.span_s)
        code = self.failures[-1]
        return NoRoute(self.address, self.port, errno.errorcode.get(code, str(code)))


def _tune(sock: socket.socket) -> None:
    sock.settimeout(None)
    with contextlib.suppress(OSError):
        # With Nagle on, every small request waits for a delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
