"""What an endpoint serves: one TLS handshake without verification, within a deadline, and the chain that came with it.

Nothing is sent but the handshake, and nothing is trusted: the chain is read to be judged.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from nodes.hosts.errors import HostError, TimedOut
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.dial import dial

#: A chain with all its certificates is a few KiB.
MOST_BYTES = 262_144
_READ_BYTES = 16_384
_DER = 2  # _ssl.ENCODING_DER


class EndpointError(Exception):
    """An endpoint could not be looked at. `kind` is that of a HostError, or not_tls, or no_certificate."""

    def __init__(self, kind: str, reason: str = "") -> None:
        super().__init__(f"{kind} {reason}".strip())
        self.kind, self.reason = kind, reason


def served_chain(host: str, port: int, server_name: str, deadline: Deadline) -> list[bytes]:
    """The certificates that the endpoint sends, its own first, as DER. Raises EndpointError."""
    try:
        connection = dial(host, port, deadline)
    except HostError as error:
        raise EndpointError(error.kind, str(error.params.get("reason") or "")) from None
    with connection:
        return _Handshake(connection, server_name or host, deadline).chain()


def _context() -> ssl.SSLContext:
    """One that talks with everything: what is old or weak is to be read too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


class _Handshake:
    """The handshake over memory, so that the deadline holds for the whole of it and not for each read."""

    def __init__(self, connection: socket.socket, name: str, deadline: Deadline) -> None:
        self.connection, self.deadline = connection, deadline
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = _context().wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.got_bytes = 0

    def chain(self) -> list[bytes]:
        failure = ""
        try:
            self._shake()
        except ssl.SSLError as error:
            # One that asks for a certificate of ours refuses us after it has shown its own.
            failure = error.reason or type(error).__name__
        except (TimedOut, TimeoutError):
            raise EndpointError("timed_out") from None
        except OSError as error:
            raise EndpointError("connection_lost", error.strerror or type(error).__name__) from None
        found = _chain_of(self.tls)
        if found:
            return found
        raise EndpointError("not_tls" if failure else "no_certificate", failure.replace("_", " ").lower())

    def _shake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send()
                self._receive()
            else:
                self._send()
                return

    def _send(self) -> None:
        if self.outgoing.pending:
            self.connection.settimeout(max(self.deadline.remaining_s, 0.001))
            self.connection.sendall(self.outgoing.read())

    def _receive(self) -> None:
        self.deadline.check("handshake")
        self.connection.settimeout(max(self.deadline.remaining_s, 0.001))
        some = self.connection.recv(_READ_BYTES)
        self.got_bytes += len(some)
        if self.got_bytes > MOST_BYTES:
            raise EndpointError("not_tls", "too much was sent")
        if some:
            self.incoming.write(some)
        else:
            self.incoming.write_eof()


def _chain_of(tls: ssl.SSLObject) -> list[bytes]:
    """Public only since Python 3.13; before, the same stands one layer below."""
    read: Any = getattr(tls, "get_unverified_chain", None) or getattr(
        getattr(tls, "_sslobj", None), "get_unverified_chain", None
    )
    try:
        found = read() if read is not None else None
    except (ValueError, ssl.SSLError):
        found = None
    return [one if isinstance(one, bytes) else bytes(one.public_bytes(_DER)) for one in found or ()]
