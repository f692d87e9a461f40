"""The written form of where a host is: USER@HOST[:PORT]."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

DEFAULT_USER = "core"
DEFAULT_PORT = 22
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}\$?")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_FORM = "A host is written USER@HOST, USER@HOST:PORT or USER@[IPv6]:PORT"


@dataclass(frozen=True)
class Target:
    username: str
    address: str
    port: int


def parse_target(text: str) -> Target:
    """Read `[USER@]HOST[:PORT]`; an IPv6 address with a port stands in brackets. Raises ValueError with a sentence."""
    user, at, place = text.strip().rpartition("@")
    username = user if at else DEFAULT_USER
    if not _USER.fullmatch(username):
        raise ValueError(f"The user name {username[:64]!r} is not usable. {_FORM}.")
    address, port = _split(place)
    if not (_is_address(address) or _HOST.fullmatch(address)):
        raise ValueError(f"The host {address[:100]!r} is neither a name nor an address. {_FORM}.")
    return Target(username, address, _port(port))


def _split(place: str) -> tuple[str, str | None]:
    if place.startswith("["):
        address, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or not _is_ipv6(address):
            raise ValueError(f"The address {place[:100]!r} is not an IPv6 address in brackets. {_FORM}.")
        return address, rest[1:] if rest else None
    if _is_ipv6(place):
        return place, None
    address, colon, port = place.partition(":")
    return address, port if colon else None


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535:
        return int(text)
    raise ValueError(f"The port {text[:20]!r} is not a number from 1 to 65535.")


def _is_ipv6(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv6Address)
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
