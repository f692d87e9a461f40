"""The order of version strings, for Fedora CoreOS and for anything that counts upwards.

Runs of digits are compared as numbers and come after letters, so that `1.10` follows `1.9`.
Letters mark a version that precedes the plain one (`1.9.0-beta.1` < `1.9.0`); a leading `v` and
what follows a `+` carry no rank.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

VersionKey = tuple[tuple[tuple[int, int, str], ...], str]

_TOKEN = re.compile(r"[0-9]+|[A-Za-z]+")
_FCOS = re.compile(r"([0-9]{1,4})\.([0-9]{8})\.([0-9]{1,4}|dev)\.([0-9]{1,4})")
_LETTERS, _END, _NUMBER = 0, 1, 2


@lru_cache(maxsize=16384)
def version_key(version: str) -> VersionKey:
    """A sort key under which newer versions are greater. Equal only for equal strings."""
    ranked = version.strip().split("+", 1)[0]
    if re.match(r"[vV][0-9]", ranked):
        ranked = ranked[1:]
    tokens = [_token_key(token) for token in _TOKEN.findall(ranked)]
    return (*tokens, (_END, 0, "")), version


def _token_key(token: str) -> tuple[int, int, str]:
    # Digits are compared by length and text: int() refuses runs beyond 4300 digits.
    if token[0].isdigit():
        digits = token.lstrip("0")
        return _NUMBER, len(digits), digits
    return _LETTERS, 0, token.lower()


def is_newer(version: str, than: str) -> bool:
    """Whether `version` ranks above `than`; the same rank written differently is not newer."""
    return version_key(version)[0] > version_key(than)[0]


def fcos_stream_number(version: str) -> str:
    """The third part of a Fedora CoreOS version (`3` is stable), or an empty string."""
    match = _FCOS.fullmatch(version)
    return match[3] if match else ""


def version_date(version: str) -> datetime | None:
    """The day that a Fedora CoreOS version carries in its second part."""
    match = _FCOS.fullmatch(version)
    if match is None:
        return None
    try:
        return datetime.strptime(match[2], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
