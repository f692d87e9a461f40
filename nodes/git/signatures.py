"""Who signed a commit: SSH signatures (OpenSSH's PROTOCOL.sshsig) against allowed signers (ssh-keygen(1)).

Pure: no clock, no process; what verifies OpenPGP signatures is handed in. Whatever is not understood is no good
signature. `at` is the time when the commit was seen: its own date is written by whoever holds the key, and an expired
key could date it back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from nodes.git.openpgp import mails_in

NAMESPACE: Final = "git"
LEAST_RSA_BITS: Final = 2048
_MAGIC: Final = b"SSHSIG"
_ARMOUR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?")
_RSA: Final[dict[bytes, hashes.HashAlgorithm]] = {b"rsa-sha2-256": hashes.SHA256(), b"rsa-sha2-512": hashes.SHA512()}
_CURVES: Final[dict[bytes, hashes.HashAlgorithm]] = {
    b"ecdsa-sha2-nistp256": hashes.SHA256(),
    b"ecdsa-sha2-nistp384": hashes.SHA384(),
    b"ecdsa-sha2-nistp521": hashes.SHA512(),
}
_KINDS: Final = ("ssh-ed25519", "ssh-rsa", *(curve.decode() for curve in _CURVES))
_KEY_TYPE = re.compile(r"(?:ssh|sk-ssh|ecdsa|sk-ecdsa)-[A-Za-z0-9@.-]+")
_FIELD = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^\s"])+')
_OPTION = re.compile(r'([a-z-]+)(?:="([^"]*)")?', re.IGNORECASE)
_DATE = re.compile(r"(\d{8})(\d{4}(?:\d{2})?)?Z?")


class Verdict(StrEnum):
    GOOD = "good"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown_key"
    BAD = "bad"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Signature:
    """`signer` are the principals of the line that allows the key, or the owner of an OpenPGP key, and `emails` all
    addresses of theirs; `detail` names what is not supported."""

    verdict: Verdict
    signer: str = ""
    fingerprint: str = ""
    detail: str = ""
    emails: tuple[str, ...] = ()


@dataclass(frozen=True)
class AllowedSigner:
    """A line of the allowed signers."""

    principals: str
    key: bytes
    after: datetime | None
    before: datetime | None

    @property
    def kind(self) -> str:
        return _word(_Reader(self.key).string())

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.key)

    def is_valid(self, at: datetime) -> bool:
        return not ((self.after and at < self.after) or (self.before and at >= self.before))


class _Malformed(ValueError):
    """Bytes that are no SSH signature."""


class _Unsupported(Exception):
    """An algorithm or format that is not taken."""


class BadLine(ValueError):
    """A line that allows nobody: the reason in one word, and what it is about."""

    def __init__(self, reason: str, value: str = "", line: int = 0) -> None:
        super().__init__(f"{reason} in line {line}")
        self.reason, self.value, self.line = reason, value[:100], line


def verify(
    raw_commit: bytes,
    allowed_signers: str,
    *,
    at: datetime,
    openpgp: Callable[[bytes, bytes], Signature] | None = None,
) -> Signature:
    """Whether one of the allowed signers signed exactly this commit, with a key that is valid at that time.

    `openpgp` is asked with what was signed and the armoured signature.
    """
    payload, found = _split(raw_commit)
    if not found:
        return Signature(Verdict.UNSIGNED)
    if len(found) > 1:
        return Signature(Verdict.BAD)
    if not found[0].startswith(b"-----BEGIN SSH SIGNATURE-----"):
        if not found[0].startswith(b"-----BEGIN PGP "):
            if not found[0].startswith(b"-----BEGIN SIGNED MESSAGE-----"):
                return Signature(Verdict.BAD)
            return Signature(Verdict.UNSUPPORTED, detail="X.509")
        return openpgp(payload, found[0]) if openpgp else Signature(Verdict.UNSUPPORTED, detail="OpenPGP")
    try:
        key = _verified(payload, found[0])
    except _Unsupported as error:
        return Signature(Verdict.UNSUPPORTED, detail=str(error))
    except (_Malformed, InvalidSignature):
        return Signature(Verdict.BAD)
    fingerprint = fingerprint_of(key)
    lines = [line for line in signers_in(allowed_signers, is_strict=False) if line.key == key]
    if not lines:
        return Signature(Verdict.UNKNOWN_KEY, fingerprint=fingerprint)
    valid = next((line for line in lines if line.is_valid(at)), None)
    named = valid or lines[0]
    return Signature(
        Verdict.GOOD if valid else Verdict.EXPIRED,
        signer=named.principals,
        fingerprint=fingerprint,
        # All that the key is allowed for: whoever holds it is each of them.
        emails=tuple(dict.fromkeys(mail for line in lines for mail in mails_in(line.principals))),
    )


def signers_in(text: str, *, is_strict: bool = True) -> list[AllowedSigner]:
    """The lines that allow somebody; the first one that is no comment and allows nobody is a BadLine, or is left out."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            found.append(_allowed(line))
        except BadLine as bad:
            if is_strict:
                raise BadLine(bad.reason, bad.value, number) from bad
    return found


def fingerprint_of(key: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _split(raw: bytes) -> tuple[bytes, list[bytes]]:
    """The commit without its signatures, as it was signed, and the signatures."""
    head, separator, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    found: list[list[bytes]] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith(b" ") and inside:
            found[-1].append(line[1:])
            continue
        name, _space, value = line.partition(b" ")
        inside = name in (b"gpgsig", b"gpgsig-sha256")
        if inside:
            found.append([value])
        else:
            kept.append(line)
    return b"\n".join(kept) + separator + message, [b"\n".join(lines) for lines in found]


class _Reader:
    """The wire format of SSH, read strictly."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, count: int) -> bytes:
        if len(self.rest) < count:
            raise _Malformed
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def positive(self) -> int:
        value = int.from_bytes(self.string(), "big", signed=True)
        if value <= 0:
            raise _Malformed
        return value

    def end(self) -> None:
        if self.rest:
            raise _Malformed


def _verified(payload: bytes, armoured: bytes) -> bytes:
    """The public key, in SSH's wire format, that made this signature of the payload for Git."""
    matched = _ARMOUR.fullmatch(armoured)
    if not matched:
        raise _Malformed
    try:
        reader = _Reader(base64.b64decode(matched[1].replace(b"\n", b""), validate=True))
    except binascii.Error as error:
        raise _Malformed from error
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
        raise _Malformed
    key, namespace, reserved, digest, signature = (reader.string() for _part in range(5))
    reader.end()
    if namespace != NAMESPACE.encode():
        raise _Malformed
    if digest not in (b"sha256", b"sha512"):
        raise _Unsupported(_word(digest))
    hashed = hashlib.new(digest.decode(), payload).digest()
    parts = (namespace, reserved, digest, hashed)
    _check(key, signature, _MAGIC + b"".join(struct.pack(">I", len(part)) + part for part in parts))
    return key


def _check(key: bytes, signature: bytes, signed: bytes) -> None:
    reader = _Reader(signature)
    algorithm = reader.string()
    kind = _Reader(key).string()
    if algorithm not in (b"ssh-ed25519", *_RSA, *_CURVES):
        raise _Unsupported(_word(algorithm))
    if kind != (b"ssh-rsa" if algorithm in _RSA else algorithm):
        raise _Malformed
    body = reader.string()
    reader.end()
    try:
        public = load_ssh_public_key(kind + b" " + base64.b64encode(key))
    except UnsupportedAlgorithm as error:
        raise _Unsupported(_word(kind)) from error
    except ValueError as error:
        raise _Malformed from error
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(body, signed)
    elif isinstance(public, rsa.RSAPublicKey):
        if public.key_size < LEAST_RSA_BITS:
            raise _Unsupported(f"RSA {public.key_size}")
        public.verify(body, signed, padding.PKCS1v15(), _RSA[algorithm])
    elif isinstance(public, ec.EllipticCurvePublicKey):
        numbers = _Reader(body)
        pair = encode_dss_signature(numbers.positive(), numbers.positive())
        numbers.end()
        public.verify(pair, signed, ec.ECDSA(_CURVES[algorithm]))
    else:
        raise _Unsupported(_word(kind))


def _word(value: bytes) -> str:
    return value[:60].decode("ascii", "replace")


def _allowed(line: str) -> AllowedSigner:
    """A line that allows a key to sign for Git; a certificate authority and what is malformed allow nothing."""
    fields = _FIELD.findall(line)
    if len(fields) < 3:
        raise BadLine("fields")
    principals, options = fields[0].strip('"'), ""
    if not _KEY_TYPE.fullmatch(fields[1]):
        options, fields = fields[1], fields[1:]
    if len(fields) < 3 or not _KEY_TYPE.fullmatch(fields[1]):
        raise BadLine("fields")
    after, before = _dates(options)
    return AllowedSigner(principals, _key(fields[1], fields[2]), after, before)


def _key(kind: str, text: str) -> bytes:
    """A key that can be the one of a good signature."""
    if kind not in _KINDS:
        raise BadLine("kind", kind)
    try:
        key = base64.b64decode(text, validate=True)
        public = load_ssh_public_key(f"{kind} {text}".encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadLine("key") from error
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        raise BadLine("kind", f"RSA {public.key_size}")
    return key


def _dates(options: str) -> tuple[datetime | None, datetime | None]:
    """The validity of a line. BadLine where its options do not allow Git, or are not understood."""
    after = before = None
    for option in re.findall(r'(?:"[^"]*"|[^,"])+', options):
        matched = _OPTION.fullmatch(option)
        name, value = (matched[1].lower(), matched[2]) if matched else ("", None)
        if name == "namespaces" and value is not None:
            if not _matches(value):
                raise BadLine("namespace", value)
        elif name == "valid-after" and value:
            after = _date(value)
        elif name == "valid-before" and value:
            before = _date(value)
        else:
            raise BadLine("option", option)
    return after, before


def _matches(patterns: str) -> bool:
    """OpenSSH's pattern list: one must match, and none that is negated."""
    is_match = False
    for pattern in patterns.split(","):
        wanted = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(wanted, NAMESPACE):
            if pattern.startswith("!"):
                return False
            is_match = True
    return is_match


def _date(value: str) -> datetime:
    """Times without a zone are UTC, as the server's are."""
    matched = _DATE.fullmatch(value)
    if not matched:
        raise BadLine("date", value)
    text = matched[1] + (matched[2] or "0000").ljust(6, "0")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadLine("date", value) from error
