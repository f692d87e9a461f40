"""Everything that looks random in a fleet comes from its seed, so that a restart finds the same hosts."""

import hashlib
import random
import uuid


def digest(seed: int, *parts: object) -> bytes:
    """Thirty-two bytes that depend on the seed and the parts only."""
    text = "\x1f".join([str(seed), *(str(part) for part in parts)])
    return hashlib.sha256(text.encode()).digest()


def hexdigest(seed: int, *parts: object) -> str:
    """A checksum-like text of 64 hex digits."""
    return digest(seed, *parts).hex()


def number(seed: int, *parts: object) -> int:
    """A large whole number."""
    return int.from_bytes(digest(seed, *parts)[:8], "big")


def fraction(seed: int, *parts: object) -> float:
    """A number from 0 up to 1."""
    return number(seed, *parts) / 2**64


def generator(seed: int, *parts: object) -> random.Random:
    """A random generator of its own for one purpose."""
    return random.Random(number(seed, *parts))  # noqa: S311  made-up hosts, no secrets


def uuid4(seed: int, *parts: object) -> str:
    """A version 4 UUID."""
    return str(uuid.UUID(bytes=digest(seed, *parts)[:16], version=4))


def machine_hex(seed: int, *parts: object) -> str:
    """Thirty-two hex digits, as in /etc/machine-id."""
    return digest(seed, *parts)[:16].hex()
