"""Certificates out of text and bytes: PEM, DER, kubeconfig, and lines of OpenSSH. What cannot be read is said, never guessed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from nodes.certificates.record import Certificate, Form

#: A certificate with thousands of names is larger than any that is in use.
MOST_BYTES = 65_536
MOST_NAMES = 200
_PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----\s*([A-Za-z0-9+/=\s]*?)-----END (?:X509 )?CERTIFICATE-----")
_KUBECONFIG = re.compile(
    rb"^\s*(?:- )?(?:client-certificate-data|certificate-authority-data):\s*[\"']?([A-Za-z0-9+/=]+)", re.M
)
_SSH_LINE = re.compile(rb"^(?:\S+-cert-v01@openssh\.com) [A-Za-z0-9+/=]+", re.M)
_FOREVER = 2**64 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Unreadable(ValueError):
    """The bytes are no certificate that can be read; the text says what is wrong, without any of the bytes."""


def read_all(text: bytes) -> Iterator[Certificate | Unreadable]:
    """Every certificate in a text, in its order: PEM blocks, those inside a kubeconfig, lines of OpenSSH; or one in DER."""
    if text[:1] == b"\x30":
        yield _attempt(read_der, text)
        return
    for block in _PEM.finditer(text):
        yield _attempt(_read_base64, block[1])
    for value in _KUBECONFIG.finditer(text):
        try:
            yield from read_all(base64.b64decode(value[1], validate=True))
        except (binascii.Error, ValueError):
            yield Unreadable("The base64 of a kubeconfig is damaged.")
    for line in _SSH_LINE.finditer(text):
        yield _attempt(read_ssh, line[0])


def _attempt(read: Callable[[bytes], Certificate], blob: bytes) -> Certificate | Unreadable:
    try:
        return read(blob)
    except Unreadable as error:
        return error


def _read_base64(body: bytes) -> Certificate:
    try:
        return read_der(base64.b64decode(b"".join(body.split()), validate=True))
    except binascii.Error:
        raise Unreadable("The base64 of a PEM block is damaged.") from None


def read_der(blob: bytes) -> Certificate:
    """An X.509 certificate. Raises Unreadable."""
    if len(blob) > MOST_BYTES:
        raise Unreadable("The certificate is larger than 64 KiB.")
    with warnings.catch_warnings():
        # Serial numbers and versions that the standard forbids are in use all the same.
        warnings.simplefilter("ignore")
        try:
            return _x509(x509.load_der_x509_certificate(blob), blob)
        except (ValueError, TypeError, UnsupportedAlgorithm, OverflowError, x509.InvalidVersion) as error:
            raise Unreadable(f"It is no X.509 certificate: {type(error).__name__}.") from None


def _x509(read: x509.Certificate, blob: bytes) -> Certificate:
    extensions = _extensions(read)
    constraints = extensions.get(x509.BasicConstraints)
    subject_key = extensions.get(x509.SubjectKeyIdentifier)
    authority_key = extensions.get(x509.AuthorityKeyIdentifier)
    key_type, key_bits = _key(read)
    return Certificate(
        form=Form.X509,
        subject=_plain(_name(read.subject)),
        issuer=_plain(_name(read.issuer)),
        serial=f"{read.serial_number:x}",
        names=_names(extensions.get(x509.SubjectAlternativeName)),
        not_before=read.not_valid_before_utc,
        not_after=read.not_valid_after_utc,
        key_type=key_type,
        key_bits=key_bits,
        signature=_signature(read),
        # Of the days before extensions, a root is one that nobody else issued.
        is_ca=constraints.ca if isinstance(constraints, x509.BasicConstraints) else read.version is x509.Version.v1,
        fingerprint=hashlib.sha256(blob).hexdigest(),
        blob=blob,
        subject_key=subject_key.digest.hex() if isinstance(subject_key, x509.SubjectKeyIdentifier) else "",
        authority_key=_authority_key(authority_key),
    )


def _extensions(read: x509.Certificate) -> dict[type[x509.ExtensionType], x509.ExtensionType]:
    """A certificate whose extensions are damaged still has a subject and an end."""
    try:
        return {type(one.value): one.value for one in read.extensions}
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        return {}


def _authority_key(found: x509.ExtensionType | None) -> str:
    if isinstance(found, x509.AuthorityKeyIdentifier) and found.key_identifier is not None:
        return found.key_identifier.hex()
    return ""


def _name(name: x509.Name) -> str:
    try:
        return name.rfc4514_string()
    except ValueError:
        return "?"


def _names(found: x509.ExtensionType | None) -> tuple[str, ...]:
    if not isinstance(found, x509.SubjectAlternativeName):
        return ()
    kinds = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
    return tuple(_plain(str(name.value)) for name in found if isinstance(name, kinds))[:MOST_NAMES]


def _key(read: x509.Certificate) -> tuple[str, int]:
    try:
        return key_words(read.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return "unknown", 0


def key_words(key: object) -> tuple[str, int]:
    """The type of a public key and its length in bits."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ECDSA", key.curve.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 256
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 456
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    return "unknown", 0


def _signature(read: x509.Certificate) -> str:
    try:
        found = read.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return found.name if found is not None else "none"


def read_ssh(line: bytes) -> Certificate:
    """An OpenSSH certificate, as a line of a *-cert.pub file. Raises Unreadable."""
    parts = line.split()
    if len(parts) < 2 or len(parts[1]) > MOST_BYTES:
        raise Unreadable("It is no line of an OpenSSH certificate.")
    try:
        blob = base64.b64decode(parts[1], validate=True)
        read = load_ssh_public_identity(b" ".join(parts[:2]))
        if not isinstance(read, SSHCertificate):
            raise Unreadable("It is an OpenSSH key without a certificate.")
        key_type, key_bits = key_words(read.public_key())
        authority = read.signature_key()
        text = authority.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    except Unreadable:
        raise
    except (ValueError, UnsupportedAlgorithm, struct.error, IndexError, OverflowError, AttributeError):
        raise Unreadable("The OpenSSH certificate is damaged.") from None
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(text)).digest()).decode().rstrip("=")
    return Certificate(
        form=Form.SSH,
        subject=_plain(read.key_id.decode("utf-8", "replace")),
        issuer=f"SHA256:{digest}",
        serial=f"{read.serial:x}",
        names=tuple(_plain(name.decode("utf-8", "replace")) for name in read.valid_principals)[:MOST_NAMES],
        not_before=_moment(read.valid_after) if read.valid_after else None,
        not_after=None if read.valid_before == _FOREVER else _moment(read.valid_before),
        key_type=key_type,
        key_bits=key_bits,
        signature="host" if read.type is SSHCertificateType.HOST else "user",
        is_ca=False,
        fingerprint=hashlib.sha256(blob).hexdigest(),
        blob=blob,
    )


def _moment(seconds: int) -> datetime:
    """What lies outside the calendar is put at its end."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _plain(text: str) -> str:
    """For people and databases: no control characters, and no longer than anybody reads."""
    return _CONTROL.sub("", text)[:500]
