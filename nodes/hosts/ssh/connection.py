"""Connections to hosts: straight or through jump hosts, opened, used and closed within a deadline."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Self

import nodes.hosts.ssh as package
from nodes.hosts.errors import CommandFailed, TimedOut
from nodes.hosts.ssh.certificates import HostCertificate, is_certificate
from nodes.hosts.ssh.command import CommandResult, command_line, open_session, run_command
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.dial import dial
from nodes.hosts.ssh.exchange import Exchange
from nodes.hosts.ssh.handshake import Authorities, Endpoint, check_host, exchange_keys, log_in
from nodes.hosts.ssh.host_keys import KEY_TYPES, HostKey
from nodes.hosts.ssh.identity import Identity
from nodes.hosts.ssh.jumps import KEEPALIVE_S, Hop, SharedJumps, await_first_bytes, through
from nodes.hosts.ssh.transport import QuietTransport, Stream

MAX_OUTPUT_BYTES = 4 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
#: A connection that rested may have died unseen: a host that does not answer on it within this time is asked over another.
RESTED_TIMEOUT_S = 5.0
LONGEST_REST_S = 86_400.0


class ContactForbidden(RuntimeError):
    """The program tried to talk to a host at a moment when it must not, such as inside a transaction."""


class Connection:
    """A logged-in connection. Closing it ends all its threads; one command runs at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        host_key: HostKey,
        transports: list[QuietTransport],
        certificate: HostCertificate | None = None,
        trusted_until: float | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.host_key = host_key
        self.certificate = certificate
        #: Unix seconds after which a certificate of either side holds no more.
        self.trusted_until = trusted_until
        self.opened_at_s = time.monotonic()
        self._has_rested = False
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
            opened_by = deadline.within(RESTED_TIMEOUT_S) if self._has_rested else deadline
            result = run_command(
                self._transports[-1],
                self.endpoint.address,
                line,
                stdin=stdin,
                deadline=deadline,
                opened_by=opened_by,
                max_bytes=max_bytes,
                expect_disconnect=expect_disconnect,
            )
            self._has_rested = False
        finally:
            self._one_at_a_time.release()
        if check and result.exit_status:
            raise CommandFailed(line[:200], result.exit_status, result.stderr.decode("utf-8", "replace"))
        return result

    @contextlib.contextmanager
    def exchange(self, line: str, *, deadline: Deadline) -> Iterator[Exchange]:
        """Start one command line, quoted by the caller, and talk with it. Nothing else runs on the connection meanwhile."""
        _refuse_if_forbidden()
        if not self._one_at_a_time.acquire(timeout=deadline.remaining_s):
            raise TimedOut("channel", self.endpoint.address, deadline.span_s)
        try:
            for transport in self._transports:
                transport.set_deadline(deadline)
            channel = open_session(self._transports[-1], self.endpoint.address, deadline)
            with contextlib.closing(Exchange(channel, self.endpoint.address, line, deadline)) as talk:
                yield talk
        finally:
            self._one_at_a_time.release()

    def rest(self) -> None:
        """Wait for the next contact: nothing is sent meanwhile, the kernel watches whether the host is still there."""
        self._has_rested = True
        for transport in self._transports:
            transport.set_keepalive(0)
            transport.set_deadline(Deadline.after(LONGEST_REST_S))

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
    shared: SharedJumps | None = None,
    authorities: Authorities | None = None,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    greeting_timeout_s: float | None = None,
    turn: contextlib.AbstractContextManager[object] | None = None,
) -> Connection:
    """Connect, check the host key, and log in. Use the result as a context manager.

    `shared` are connections to jump hosts that other contacts use too; without it the way is opened for this one alone.
    With `authorities`, and no `host_key`, a host certificate that one of them signed is trusted.
    `greeting_timeout_s` bounds the wait for the first bytes of the host. `turn` is held from then until the login is
    done: with a semaphore, many threads may wait for dead hosts while few do the costly key exchanges.
    """
    _refuse_if_forbidden()
    pinned = (host_key,) if isinstance(host_key, HostKey) else tuple(host_key)
    transports: list[QuietTransport] = []
    try:
        stream = _reach(endpoint, jumps, shared, transports, deadline, connect_timeout_s)
        if greeting_timeout_s is not None:
            await_first_bytes(stream, endpoint.address, deadline.within(greeting_timeout_s))
        with turn or contextlib.nullcontext():
            wants_certificate = authorities is not None and not pinned
            types = [key.type for key in pinned]
            transport, seen = exchange_keys(stream, endpoint, deadline, types, certificates=wants_certificate)
            transports.append(transport)
            certificate = check_host(transport, endpoint, seen, pinned, authorities)
            log_in(transport, endpoint, identity, deadline)
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException:
        _end(transports)
        raise
    return Connection(endpoint, seen, transports, certificate, _trusted_until(identity, certificate))


def _trusted_until(identity: Identity, certificate: HostCertificate | None) -> float | None:
    ends = [float(identity.certificate_expires_at)] if identity.certificate_expires_at is not None else []
    if certificate is not None and certificate.valid_before is not None:
        ends.append(certificate.valid_before.timestamp())
    return min(ends, default=None)


def scan_host_key(
    endpoint: Endpoint,
    *,
    deadline: Deadline,
    jumps: Sequence[Hop] = (),
    shared: SharedJumps | None = None,
    preferred_types: Sequence[str] = KEY_TYPES,
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    greeting_timeout_s: float | None = None,
) -> HostKey:
    """The key that a host shows, without logging in to it. Only a comparison by a person makes it trusted."""
    with _shown(endpoint, deadline, jumps, shared, preferred_types, connect_timeout_s, greeting_timeout_s) as (_, key):
        return key


def scan_host(
    endpoint: Endpoint, *, authorities: Authorities, deadline: Deadline, jumps: Sequence[Hop] = ()
) -> tuple[HostKey, HostCertificate | None]:
    """The key that a host shows and, where it shows one, the certificate that one of the authorities signed.

    Raises BadHostCertificate for a certificate that may not be trusted.
    """
    how = (endpoint, deadline, jumps, None, KEY_TYPES, CONNECT_TIMEOUT_S, None)
    with _shown(*how, certificates=True) as (transport, key):
        if not is_certificate(transport.host_key_blob):
            return key, None
        return key, check_host(transport, endpoint, key, (), authorities)


@contextlib.contextmanager
def _shown(
    endpoint: Endpoint,
    deadline: Deadline,
    jumps: Sequence[Hop],
    shared: SharedJumps | None,
    preferred_types: Sequence[str],
    connect_timeout_s: float,
    greeting_timeout_s: float | None,
    *,
    certificates: bool = False,
) -> Iterator[tuple[QuietTransport, HostKey]]:
    _refuse_if_forbidden()
    transports: list[QuietTransport] = []
    try:
        stream = _reach(endpoint, jumps, shared, transports, deadline, connect_timeout_s)
        if greeting_timeout_s is not None:
            await_first_bytes(stream, endpoint.address, deadline.within(greeting_timeout_s))
        transport, seen = exchange_keys(stream, endpoint, deadline, preferred_types, certificates=certificates)
        transports.append(transport)
        yield transport, seen
    finally:
        _end(transports)


def _refuse_if_forbidden() -> None:
    reason = package.forbid() if package.forbid is not None else None
    if reason:
        raise ContactForbidden(reason)


def _end(transports: Sequence[QuietTransport]) -> None:
    for transport in reversed(transports):
        transport.end()


def _reach(
    endpoint: Endpoint,
    jumps: Sequence[Hop],
    shared: SharedJumps | None,
    transports: list[QuietTransport],
    deadline: Deadline,
    connect_timeout_s: float,
) -> Stream:
    """A stream to the endpoint: straight, through jump hosts, or over a connection to them that others use too."""
    if not jumps:
        return dial(endpoint.address, endpoint.port, deadline.within(connect_timeout_s))
    if shared is not None:
        return shared.stream(jumps, endpoint, deadline, connect_timeout_s)
    return through(jumps, endpoint, transports, deadline, connect_timeout_s)
