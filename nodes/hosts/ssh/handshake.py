"""From a connected stream to a checked host and a login, with every failure said in our own errors."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    IncompatiblePeer,
    PartialAuthentication,
    SSHException,
)

from nodes.hosts.errors import (
    AuthenticationFailed,
    BadHostCertificate,
    ConnectionLost,
    HostError,
    HostKeyMismatch,
    HostKeyUnknown,
    NoCommonAlgorithm,
    TimedOut,
)
from nodes.hosts.ssh.certificates import SUFFIX, HostCertificate, check_certificate, is_certificate
from nodes.hosts.ssh.deadline import Deadline
from nodes.hosts.ssh.host_keys import KEY_TYPES, HostKey
from nodes.hosts.ssh.identity import Identity
from nodes.hosts.ssh.transport import QuietTransport, Stream, printable

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class Endpoint:
    """Where to log in, and as whom."""

    address: str
    port: int = 22
    username: str = "core"

    def __str__(self) -> str:
        return f"{self.username}@{self.address}:{self.port}"


def exchange_keys(
    stream: Stream,
    endpoint: Endpoint,
    deadline: Deadline,
    key_types: Sequence[str] = (),
    *,
    certificates: bool = False,
) -> tuple[QuietTransport, HostKey]:
    """Identify each other and exchange keys. Returns the transport and the key that the host proved to own.

    With `certificates` a certificate is asked for before a plain key; `QuietTransport.host_key_blob` has what was shown.
    """
    transport = QuietTransport(stream, deadline)
    try:
        transport._preferred_keys = _wanted_algorithms(key_types, certificates=certificates)  # type: ignore[attr-defined]
        done = threading.Event()
        transport.start_client(event=done)
        done.wait(deadline.remaining_s)
        if not transport.initial_kex_done or transport.host_key is None:
            raise _handshake_error(transport, endpoint, deadline)
        key = transport.host_key
        return transport, HostKey(key.get_name(), key.get_base64())
    except BaseException:
        transport.end()
        raise


def check_host_key(endpoint: Endpoint, seen: HostKey, pinned: Sequence[HostKey]) -> None:
    """Accept only a pinned key."""
    if not pinned:
        raise HostKeyUnknown(endpoint.address, seen)
    if seen not in pinned:
        same_type = [key for key in pinned if key.type == seen.type] or pinned
        expected = ", ".join(key.fingerprint for key in same_type)
        raise HostKeyMismatch(endpoint.address, expected, seen.fingerprint, seen)


@dataclass(frozen=True)
class Authorities:
    """The certificate authorities whose host certificates are trusted, and what the host may be called in one."""

    keys: tuple[HostKey, ...]
    names: tuple[str, ...]


def check_host(
    transport: QuietTransport,
    endpoint: Endpoint,
    seen: HostKey,
    pinned: Sequence[HostKey],
    authorities: Authorities | None,
) -> HostCertificate | None:
    """Accept only a pinned key or, where none is pinned, a certificate of one of the authorities, which is returned."""
    blob = transport.host_key_blob
    if pinned or authorities is None or not is_certificate(blob):
        check_host_key(endpoint, seen, pinned)
        return None
    now = datetime.now(UTC)
    found = check_certificate(blob, endpoint.address, authorities=authorities.keys, names=authorities.names, now=now)
    if found.key != seen:
        raise BadHostCertificate(endpoint.address, "damaged")
    return found


def log_in(transport: QuietTransport, endpoint: Endpoint, identity: Identity, deadline: Deadline) -> None:
    """Log in with the key of the identity, and with nothing else."""
    done = threading.Event()
    try:
        transport.auth_publickey(endpoint.username, identity.signing_key, done)
        done.wait(deadline.remaining_s)
    except (SSHException, EOFError, OSError) as error:
        transport.saved_exception = transport.saved_exception or error
    if transport.is_authenticated():
        return
    raise _login_error(transport, endpoint, identity, deadline, answered=done.is_set())


def _wanted_algorithms(key_types: Iterable[str], *, certificates: bool) -> tuple[str, ...]:
    """The signature algorithms for these key types first, then the others, so that another key is still seen."""
    ordered: list[str] = []
    for key_type in (*key_types, *KEY_TYPES):
        for name in _RSA_SIGNATURES if key_type == "ssh-rsa" else (key_type,):
            if name not in ordered:
                ordered.append(name)
    if certificates:
        ordered = [*(f"{name}{SUFFIX}" for name in ordered), *ordered]
    return tuple(ordered)


def _handshake_error(transport: QuietTransport, endpoint: Endpoint, deadline: Deadline) -> HostError:
    cause = transport.get_exception()
    identified = bool(transport.remote_version)
    inner = cause.__context__ if isinstance(cause, SSHException) else None
    if isinstance(cause, IncompatiblePeer):
        reason = str(cause).removeprefix("Incompatible ssh peer ").removeprefix("Incompatible ssh server ").strip("()")
        return NoCommonAlgorithm(endpoint.address, printable(reason))
    if transport.is_active() or isinstance(inner, TimeoutError) or deadline.expired:
        return TimedOut("key_exchange" if identified else "banner", endpoint.address, deadline.span_s)
    if identified:
        reason = _protocol_reason(transport, cause, "it ended during the key exchange")
        return ConnectionLost(endpoint.address, reason)
    if transport.is_web_server or (isinstance(cause, SSHException) and not isinstance(inner, EOFError | OSError)):
        return ConnectionLost(endpoint.address, "the port does not speak SSH", "not_ssh")
    if transport.last_line:
        return ConnectionLost(endpoint.address, f"the host said: {transport.last_line}", "turned_away")
    return ConnectionLost(endpoint.address, "it ended before the host identified itself", "turned_away")


def _protocol_reason(transport: QuietTransport, cause: Exception | None, otherwise: str) -> str:
    if transport.disconnect_reason:
        return f"the host said: {transport.disconnect_reason}"
    if isinstance(cause, SSHException) and "Signature verification" in str(cause):
        return "the host could not prove that it owns its key"
    if cause is not None and not isinstance(cause, EOFError | OSError):
        return "the host broke the SSH protocol"
    return otherwise


def _login_error(
    transport: QuietTransport, endpoint: Endpoint, identity: Identity, deadline: Deadline, *, answered: bool
) -> HostError:
    cause = transport.get_exception()
    if not answered and (transport.is_active() or deadline.expired):
        return TimedOut("auth", endpoint.address, deadline.span_s)
    ended = transport.disconnect_reason
    if isinstance(cause, AuthenticationException) or transport.is_active() or "auth" in ended.lower():
        reason = _login_reason(cause, ended)
        return AuthenticationFailed(
            endpoint.address, endpoint.username, reason, identity.fingerprint, identity.certificate_id
        )
    return ConnectionLost(endpoint.address, _protocol_reason(transport, cause, "it ended during the login"))


def _login_reason(cause: Exception | None, ended: str) -> str:
    if isinstance(cause, PartialAuthentication):
        return f"the key was accepted, but the host also demands {printable(', '.join(cause.allowed_types))}"
    if isinstance(cause, BadAuthenticationType):
        return f"the host allows only {printable(', '.join(cause.allowed_types)) or 'no method'}"
    if ended:
        return ended
    return printable(str(cause)) if cause is not None and "pubkey algorithm" in str(cause) else ""


def lost(transport: QuietTransport, address: str, otherwise: str) -> ConnectionLost:
    """The error for a connection that ended, with what the host said about it."""
    return ConnectionLost(address, _protocol_reason(transport, transport.get_exception(), otherwise))
