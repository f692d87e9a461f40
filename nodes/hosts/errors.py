"""What can go wrong between us and a host, each with one sentence and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from nodes.hosts.ssh import HostKey

Scalar: TypeAlias = str | int | float | bool | None


#: Kinds at which nothing answered at the address; of the others something did, or the way there failed.
NO_ANSWER: Final = frozenset({"refused", "no_route", "timed_out", "connection_lost"})
#: Kinds that waiting does not mend: somebody has to decide.
DECISIVE: Final = frozenset({"key_mismatch", "key_unknown", "bad_identity", "bad_host_certificate"})


def N_(text: str) -> str:
    """Marks a text that pages translate before they show it."""
    return text


class HostError(Exception):
    """A contact with a host failed. `message` says what happened, `what_to_do` says what to do next.

    `params` holds the values inside both sentences, so that a page can say them in another language.
    """

    kind: ClassVar[str] = "host_error"

    def __init__(self, message: str, what_to_do: str, **params: Scalar) -> None:
        super().__init__(message)
        self.message = message
        self.what_to_do = what_to_do
        self.params: dict[str, Scalar] = params

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


def told(error: HostError) -> dict[str, Any]:
    """What is kept of it where it is told later: its sentence, and what that is made of in another language."""
    return {"kind": error.kind, "message": error.message, "error": dict(error.params)}


class NameNotResolved(HostError):
    """The address is a name that no resolver knows."""

    kind = "name_not_resolved"

    def __init__(self, address: str, reason: str = "") -> None:
        super().__init__(
            f"The name {address} could not be resolved.",
            "Check the spelling of the address and the DNS server of this machine, or use an IP address.",
            address=address,
            reason=reason,
        )


class ConnectionRefused(HostError):
    """The machine answers, but nothing listens on the port."""

    kind = "refused"

    def __init__(self, address: str, port: int) -> None:
        super().__init__(
            f"{address} refused the connection on port {port}.",
            "Check that the SSH service runs on the host and that the port is right.",
            address=address,
            port=port,
        )


class NoRoute(HostError):
    """No network path leads to the address."""

    kind = "no_route"

    def __init__(self, address: str, port: int, reason: str = "") -> None:
        super().__init__(
            f"No network route leads to {address} port {port}.",
            "Check that the host is on, and the network, firewall and VPN between this machine and the host.",
            address=address,
            port=port,
            reason=reason,
        )


_PHASES: dict[str, tuple[str, str]] = {
    "connect": (
        "{address} did not answer the connection in time.",
        "Check that the host is on and that no firewall drops the connection.",
    ),
    "banner": (
        "{address} accepted the connection but did not identify itself as an SSH server in time.",
        "Check that the port belongs to an SSH service and that the host is not overloaded.",
    ),
    "key_exchange": (
        "{address} did not finish the SSH key exchange in time.",
        "Check the load of the host, and for a network path that drops large packets (MTU).",
    ),
    "auth": (
        "{address} did not answer the login in time.",
        "Check the load of the host and its login services (PAM, directory, DNS).",
    ),
    "channel": (
        "{address} did not open a session in time.",
        "Check the load of the host and the journal of its SSH service.",
    ),
    "command": (
        "The command on {address} did not finish in time.",
        "Check the load of the host, or allow the command more time.",
    ),
    "jump": (
        "The jump host did not reach {address} in time.",
        "Check that the host is on and that the jump host can reach it.",
    ),
}


class TimedOut(HostError):
    """The time was over; `phase` says at which step of the contact."""

    kind = "timed_out"

    def __init__(self, phase: str, address: str = "", seconds: float | None = None) -> None:
        message, what_to_do = _PHASES.get(phase, _PHASES["command"])
        super().__init__(
            message.format(address=address or "The host"),
            what_to_do,
            phase=phase,
            address=address,
            seconds=None if seconds is None else round(seconds, 1),
        )
        self.phase = phase


class HostKeyMismatch(HostError):
    """The host showed another key than the pinned one."""

    kind = "key_mismatch"

    def __init__(self, address: str, expected: str, seen: str, seen_key: HostKey | None = None) -> None:
        super().__init__(
            f"{address} shows another host key than the trusted one: expected {expected}, seen {seen}.",
            "If the host was reinstalled, compare the key with its console and trust the new one; "
            "if not, someone may be between you and the host.",
            address=address,
            expected=expected,
            seen=seen,
        )
        self.expected = expected
        self.seen = seen
        self.seen_key = seen_key


class HostKeyUnknown(HostError):
    """No key is pinned for the host yet; `seen` is the key it shows, if it was asked."""

    kind = "key_unknown"

    def __init__(self, address: str, seen: HostKey | None = None) -> None:
        shown = f"; it shows {seen.fingerprint}" if seen else ""
        super().__init__(
            f"No host key is trusted yet for {address}{shown}.",
            "Compare the fingerprint with the console of the host, then trust it.",
            address=address,
            seen=seen.fingerprint if seen else "",
            key_type=seen.type if seen else "",
        )
        self.seen = seen


_CERTIFICATES: dict[str, tuple[str, str]] = {
    "unknown_ca": (
        "is signed by {ca}, which is no certificate authority of the pool",
        "Add the public key of that authority to the pool if it is yours; if not, find out who answers.",
    ),
    "bad_signature": (
        "has a signature that does not hold",
        "Have the certificate authority sign the key of the host again; if it did, find out who answers.",
    ),
    "not_a_host_certificate": (
        "is not for a host but for a user",
        "Sign the key of the host with ssh-keygen -s CA -h.",
    ),
    "critical_option": (
        "demands {options}, which is not known",
        "Sign the key of the host again without critical options.",
    ),
    "not_yet_valid": (
        "is valid only from {moment} on",
        "Check the clocks of the host, the authority and this machine.",
    ),
    "expired": ("has expired on {moment}", "Have the certificate authority sign the key of the host again."),
    "wrong_principal": (
        "is for {principals}, not for this host",
        "Sign the key with the name or the address of the node: ssh-keygen -s CA -h -n NAME.",
    ),
    "damaged": ("cannot be read", "Have the certificate authority sign the key of the host again."),
}


class BadHostCertificate(HostError):
    """The host showed a certificate that may not be trusted; `reason` is one word, `params` hold its values."""

    kind = "bad_host_certificate"

    def __init__(self, address: str, reason: str, **values: Scalar) -> None:
        detail, what_to_do = _CERTIFICATES[reason]
        super().__init__(
            f"The host certificate of {address} {detail.format(**values)}.",
            what_to_do,
            address=address,
            reason=reason,
            **values,
        )
        self.reason = reason


class AuthenticationFailed(HostError):
    """The host did not accept the login."""

    kind = "authentication"

    def __init__(self, address: str, username: str, reason: str = "", key: str = "", certificate: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        what_to_do = (
            f"Check that the host trusts the authority of the certificate {certificate} (TrustedUserCAKeys), "
            f"that the certificate names {username}, and that it is valid by the clock of the host."
            if certificate
            else "Check the user name, and that the public key is in the authorized keys of this user on the host."
        )
        super().__init__(
            f"{address} did not accept the login of {username}{detail}.",
            what_to_do,
            address=address,
            username=username,
            reason=reason,
            key=key,
            certificate=certificate,
        )


class NoCommonAlgorithm(HostError):
    """Client and host share no way to encrypt or to exchange keys."""

    kind = "no_common_algorithm"

    def __init__(self, address: str, reason: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(
            f"{address} and this client share no SSH algorithm{detail}.",
            "Update the SSH server of the host, or allow it a current algorithm such as curve25519 and AES-GCM.",
            address=address,
            reason=reason,
        )


class ChannelRefused(HostError):
    """The host accepted the login but refused a session."""

    kind = "channel_refused"

    def __init__(self, address: str, reason: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(
            f"{address} accepted the login but refused to run the command{detail}.",
            "Check that the user has a shell and that the SSH server allows sessions (ForceCommand, MaxSessions).",
            address=address,
            reason=reason,
        )


class ForwardingRefused(HostError):
    """A jump host accepted the login but may not open connections for us."""

    kind = "forwarding_refused"

    def __init__(self, address: str, target: str, reason: str = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(
            f"{address} accepted the login but refused to open a connection to {target}{detail}.",
            "Check that the SSH server of the jump host allows forwarding (AllowTcpForwarding, PermitOpen).",
            address=address,
            target=target,
            reason=reason,
        )


class CommandFailed(HostError):
    """The command ran and ended with a status other than 0."""

    kind = "command_failed"

    def __init__(self, command: str, exit_status: int, stderr: str = "") -> None:
        last_line = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
        detail = f": {last_line[:300]}" if last_line else "."
        super().__init__(
            f"The command {command} ended with status {exit_status}{detail}",
            "Read the error output of the command, and the journal of the host.",
            command=command,
            exit_status=exit_status,
            stderr=stderr[:4000],
        )
        self.exit_status = exit_status


class OutputTooLarge(HostError):
    """The command printed more than the limit; what came before the limit is not kept."""

    kind = "output_too_large"

    def __init__(self, command: str, limit_bytes: int) -> None:
        super().__init__(
            f"The command {command} printed more than {limit_bytes} bytes.",
            "Run the command on the host to see why it prints that much.",
            command=command,
            limit_bytes=limit_bytes,
        )


_LOST: dict[str, str] = {
    "": "Check whether the host restarted; the next contact shows it.",
    "not_ssh": "Check that the port belongs to an SSH server.",
    "turned_away": "Check that the port is right, and the load, MaxStartups and the journal of the SSH server there.",
}


class ConnectionLost(HostError):
    """The connection ended before the host had answered; `cause` is one word where more is known of it."""

    kind = "connection_lost"

    def __init__(self, address: str, reason: str = "", cause: Literal["", "not_ssh", "turned_away"] = "") -> None:
        detail = f" ({reason})" if reason else ""
        super().__init__(
            f"The connection to {address} was lost{detail}.",
            _LOST[cause],
            address=address,
            reason=reason,
            cause=cause,
        )


class JumpFailed(HostError):
    """A jump host on the way failed; `inner` says how."""

    kind = "jump_failed"

    def __init__(self, hop: str, inner: HostError) -> None:
        super().__init__(
            f"The jump host {hop} failed: {inner.message}",
            inner.what_to_do,
            hop=hop,
            inner_kind=inner.kind,
            inner_message=inner.message,
        )
        self.hop = hop
        self.inner = inner

    def again(self) -> JumpFailed:
        """The same failure for another contact, without the stack of the first."""
        return JumpFailed(self.hop, self.inner)


class BadIdentity(HostError):
    """The private key or its certificate cannot be used."""

    kind = "bad_identity"

    def __init__(self, message: str, what_to_do: str, reason: str = "") -> None:
        super().__init__(message, what_to_do, reason=reason)
