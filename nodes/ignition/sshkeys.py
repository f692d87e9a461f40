"""Lines of authorized_keys: the type, strength and fingerprint of each key."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

_ED25519_BYTES = 32
_CERTIFICATE = "-cert-v01@openssh.com"
_SIZES = {
    "ssh-ed25519": 256,
    "sk-ssh-ed25519@openssh.com": 256,
    "ecdsa-sha2-nistp256": 256,
    "ecdsa-sha2-nistp384": 384,
    "ecdsa-sha2-nistp521": 521,
    "sk-ecdsa-sha2-nistp256@openssh.com": 256,
}
_WITH_NUMBERS = ("ssh-rsa", "ssh-dss")
KEY_TYPES = (*_SIZES, *_WITH_NUMBERS)


@dataclass(frozen=True)
class SshKey:
    """One key. `problem` is why it cannot be read; then there is no fingerprint."""

    type: str
    fingerprint: str = ""
    bits: int | None = None
    comment: str = ""
    options: str = ""
    problem: str | None = None

    @property
    def is_certificate(self) -> bool:
        return self.type.endswith(_CERTIFICATE)


class _Damaged(Exception):
    """The key's bytes are not what its type says."""


def read_key(line: str) -> SshKey | None:
    """The key of a line; None for an empty line or a comment."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    type_, rest = _word(line)
    options = ""
    if not _is_type(type_):
        options = type_
        type_, rest = _word(rest)
    if not _is_type(type_):
        return SshKey(options[:40], problem="type")
    text, comment = _word(rest)
    try:
        blob = base64.b64decode(text, validate=True)
        bits = _bits(type_, blob)
    except (binascii.Error, ValueError, _Damaged):
        return SshKey(type_, comment=comment, options=options, problem="damaged")
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
    return SshKey(type_, f"SHA256:{digest}", bits, comment, options)


def _is_type(word: str) -> bool:
    return word.removesuffix(_CERTIFICATE).removesuffix("@openssh.com") in {
        name.removesuffix("@openssh.com") for name in KEY_TYPES
    }


def _word(text: str) -> tuple[str, str]:
    """The text up to the first space that is not within quotes, and what is behind it."""
    is_quoted = False
    for at, character in enumerate(text):
        if character == '"' and text[at - 1 : at] != "\\":
            is_quoted = not is_quoted
        elif character in " \t" and not is_quoted:
            return text[:at], text[at:].strip()
    return text, ""


def _bits(type_: str, blob: bytes) -> int | None:
    name, rest = _field(blob)
    if name.decode("ascii", "replace") != type_:
        raise _Damaged
    if type_.endswith(_CERTIFICATE):
        return None
    if type_ in _WITH_NUMBERS:
        first, rest = _field(rest)
        if type_ == "ssh-rsa":
            first, rest = _field(rest)
        return int.from_bytes(first, "big").bit_length()
    if type_ in ("ssh-ed25519", "sk-ssh-ed25519@openssh.com"):
        key, _ = _field(rest)
        if len(key) != _ED25519_BYTES:
            raise _Damaged
    else:
        _, rest = _field(rest)
        _field(rest)
    return _SIZES[type_]


def _field(blob: bytes) -> tuple[bytes, bytes]:
    """A text with its length before it, and what is behind it."""
    if len(blob) < 4:
        raise _Damaged
    length = int.from_bytes(blob[:4], "big")
    if len(blob) < 4 + length:
        raise _Damaged
    return blob[4 : 4 + length], blob[4 + length :]
