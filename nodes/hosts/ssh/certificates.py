"""SSH host certificates, as PROTOCOL.certkeys of OpenSSH has them: what one says, and whether it may be trusted."""

from __future__ import annotations

import base64
import struct
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
    load_ssh_public_key,
)

from nodes.hosts.errors import BadHostCertificate
from nodes.hosts.ssh.host_keys import HostKey
from nodes.hosts.ssh.transport import printable

SUFFIX = "-cert-v01@openssh.com"
MINIMAL_RSA_BITS = 2048
_FOREVER = 2**64 - 1
#: SHA-1 signatures of RSA keys are refused, as OpenSSH does since 8.2.
_SIGNATURES = {
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"rsa-sha2-256",
    b"rsa-sha2-512",
}


@dataclass(frozen=True)
class HostCertificate:
    """What a trusted certificate of a host says. `valid_before` None means for ever."""

    key: HostKey
    authority: HostKey
    key_id: str
    serial: int
    principals: tuple[str, ...]
    valid_after: datetime | None
    valid_before: datetime | None


def parse_authority(line: str) -> HostKey:
    """Read the public key of a certificate authority: a line of a .pub file. Raises ValueError with a sentence."""
    if SUFFIX in line:
        raise ValueError("This is a certificate, not the public key of an authority.")
    key = HostKey.parse(line.removeprefix("@cert-authority * "))
    try:
        loaded = load_ssh_public_key(key.line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("The key is damaged; copy the whole line again.") from None
    if isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < MINIMAL_RSA_BITS:
        raise ValueError("The RSA key has fewer than 2048 bits.")
    return key


def is_certificate(blob: bytes) -> bool:
    """Whether what a host showed is a certificate and not a plain key."""
    return _first_string(blob).endswith(SUFFIX.encode())


def check_certificate(
    blob: bytes, address: str, *, authorities: Collection[HostKey], names: Collection[str], now: datetime
) -> HostCertificate:
    """The certificate, once it holds: signed by one of the authorities, for this host, now. Raises BadHostCertificate.

    `names` are what the host may be called in it. Unlike OpenSSH, a certificate without any name holds for none.
    """
    read = _read(blob, address)
    authority = _authority(read)
    if authority is None or authority not in authorities:
        shown = authority.fingerprint if authority else "?"
        raise BadHostCertificate(address, "unknown_ca", ca=shown)
    found = _found(read, authority)
    if not _is_signed(read, blob):
        raise BadHostCertificate(address, "bad_signature", ca=authority.fingerprint)
    if read.type is not SSHCertificateType.HOST:
        raise BadHostCertificate(address, "not_a_host_certificate", key_id=found.key_id)
    if read.critical_options:
        options = printable(", ".join(sorted(name.decode("utf-8", "replace") for name in read.critical_options)))
        raise BadHostCertificate(address, "critical_option", key_id=found.key_id, options=options)
    if read.valid_after > now.timestamp():
        raise BadHostCertificate(address, "not_yet_valid", key_id=found.key_id, moment=_shown(found.valid_after))
    if read.valid_before <= now.timestamp():
        raise BadHostCertificate(address, "expired", key_id=found.key_id, moment=_shown(found.valid_before))
    if not {name.lower() for name in found.principals} & {name.lower() for name in names if name}:
        named = ", ".join(found.principals[:5]) or "–"
        raise BadHostCertificate(address, "wrong_principal", key_id=found.key_id, principals=printable(named))
    return found


def _read(blob: bytes, address: str) -> SSHCertificate:
    kind = _first_string(blob)
    try:
        read = load_ssh_public_identity(kind + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm, struct.error, IndexError, OverflowError):
        raise BadHostCertificate(address, "damaged") from None
    if not isinstance(read, SSHCertificate):
        raise BadHostCertificate(address, "damaged")
    return read


def _authority(read: SSHCertificate) -> HostKey | None:
    try:
        return _plain(read.signature_key())
    except (ValueError, UnsupportedAlgorithm):
        return None


def _plain(key: object) -> HostKey:
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("no key of a type that is used")
    kind, text = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode().split()[:2]
    return HostKey(kind, text)


def _found(read: SSHCertificate, authority: HostKey) -> HostCertificate:
    return HostCertificate(
        key=_plain(read.public_key()),
        authority=authority,
        key_id=printable(read.key_id.decode("utf-8", "replace")),
        serial=read.serial,
        principals=tuple(printable(name.decode("utf-8", "replace")) for name in read.valid_principals),
        valid_after=_moment(read.valid_after) if read.valid_after else None,
        valid_before=None if read.valid_before == _FOREVER else _moment(read.valid_before),
    )


def _is_signed(read: SSHCertificate, blob: bytes) -> bool:
    if _signature_type(blob) not in _SIGNATURES:
        return False
    try:
        read.verify_cert_signature()
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _signature_type(blob: bytes) -> bytes:
    """The algorithm of the signature: the first string in the last field of a certificate."""
    kind = _first_string(blob)
    strings_of_key = 1 if kind.startswith(b"ssh-ed25519") else 2
    rest = blob
    for _ in range(2 + strings_of_key):  # type, nonce, key
        rest = _after_string(rest)
    rest = rest[12:]  # serial, type
    for _ in range(2):  # key id, principals
        rest = _after_string(rest)
    rest = rest[16:]  # validity
    for _ in range(4):  # critical options, extensions, reserved, key of the authority
        rest = _after_string(rest)
    return _first_string(rest[4:])


def _after_string(blob: bytes) -> bytes:
    return blob[4 + int.from_bytes(blob[:4], "big") :]


def _moment(seconds: int) -> datetime:
    """Whatever the certificate says: what lies outside the calendar is put at its ends."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _shown(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else ""


def _first_string(blob: bytes) -> bytes:
    size = int.from_bytes(blob[:4], "big") if len(blob) >= 4 else 0
    return blob[4 : 4 + size] if size <= 100 else b""
