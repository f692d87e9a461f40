"""Public host keys: reading, comparing, and looking them up in an OpenSSH known_hosts text."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import re
from dataclasses import dataclass

KEY_TYPES: tuple[str, ...] = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)


@dataclass(frozen=True)
class HostKey:
    """The public key by which a host is known."""

    type: str
    base64: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ssh-keygen -l prints it."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def line(self) -> str:
        """Type and key, as in a .pub file without its comment."""
        return f"{self.type} {self.base64}"

    def __str__(self) -> str:
        return self.line

    @classmethod
    def parse(cls, line: str) -> HostKey:
        """Read a line of a .pub file, of ssh-keyscan or of known_hosts. Raises ValueError with a sentence."""
        fields = line.split()
        for position in (0, 1):
            if len(fields) > position + 1 and fields[position] in KEY_TYPES:
                return cls._checked(fields[position], fields[position + 1])
        raise ValueError("This is not a public host key line of the form: ssh-ed25519 AAAAC3...")

    @classmethod
    def _checked(cls, key_type: str, text: str) -> HostKey:
        try:
            blob = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("The key is not valid base64; copy the whole line again.") from None
        inner_type, _, rest = _ssh_string(blob)
        if inner_type != key_type.encode() or not _whole(rest):
            raise ValueError("The key does not match its type, or is cut; copy the whole line again.")
        return cls(key_type, base64.b64encode(blob).decode())


def _whole(rest: bytes) -> bool:
    """Whether the strings of a key end where it ends: a line that was cut still is base64."""
    count = 0
    while rest:
        text, size, rest = _ssh_string(rest)
        if size != len(text) or not size:
            return False
        count += 1
    return count > 0


def _ssh_string(blob: bytes) -> tuple[bytes, int, bytes]:
    size = int.from_bytes(blob[:4], "big") if len(blob) >= 4 else 0
    return blob[4 : 4 + size], size, blob[4 + size :]


def known_hosts_lookup(text: str, address: str, port: int = 22) -> list[HostKey]:
    """All usable keys that a known_hosts text holds for a host, without repeats.

    A key marked @revoked for the host is left out everywhere. Certificate authorities are not host keys
    and are left out, and so are lines that cannot be read.
    """
    name = address.strip("[]").lower()
    wanted = name if port == 22 else f"[{name}]:{port}"
    found: list[HostKey] = []
    revoked: set[HostKey] = set()
    for raw_line in text.splitlines():
        marker, names, key = _known_hosts_line(raw_line)
        if key is None or marker == "@cert-authority" or not _names_match(names, wanted):
            continue
        if marker == "@revoked":
            revoked.add(key)
        elif key not in found:
            found.append(key)
    return [key for key in found if key not in revoked]


def _known_hosts_line(line: str) -> tuple[str, str, HostKey | None]:
    fields = line.split()
    if not fields or fields[0].startswith("#"):
        return "", "", None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3 or marker not in ("", "@revoked", "@cert-authority"):
        return "", "", None
    try:
        return marker, fields[0], HostKey.parse(f"{fields[1]} {fields[2]}")
    except ValueError:
        return "", "", None


def _names_match(names: str, wanted: str) -> bool:
    matched = False
    for pattern in names.split(","):
        if pattern.startswith("|"):
            matched = matched or _hashed_name_matches(pattern, wanted)
        elif pattern.startswith("!"):
            if _glob_matches(pattern[1:], wanted):
                return False
        elif pattern:
            matched = matched or _glob_matches(pattern, wanted)
    return matched


def _glob_matches(pattern: str, wanted: str) -> bool:
    # Brackets are literal in known_hosts ([host]:port), so only * and ? may stay special.
    literal = re.sub(r"\[", "[[]", pattern.lower())
    return fnmatch.fnmatchcase(wanted, literal)


def _hashed_name_matches(pattern: str, wanted: str) -> bool:
    parts = pattern.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, expected = base64.b64decode(parts[2]), base64.b64decode(parts[3])
    except (binascii.Error, ValueError):
        return False
    # SHA-1 is the format of hashed known_hosts names; it protects no key.
    seen = hmac.new(salt, wanted.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(seen, expected)
