"""Names of Ansible hosts: ranges such as web[01:50], and a port behind a colon."""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterator

from nodes.importing.rows import MAX_ROWS, N_, Refused

_RANGE = re.compile(r"\[(\d{0,9}):(\d{1,9})(?::(\d{1,4}))?\]|\[([a-zA-Z]):([a-zA-Z])(?::(\d{1,4}))?\]")
_PORT = re.compile(r"(?P<host>.+):(?P<port>\d{1,10})")
TOO_WIDE = N_("%(text)s stands for more than %(limit)s hosts.")
RANGE_MEND = N_("A range is written [01:50], [1:9:2] or [a:f], the smaller end first, both equally long.")


class WrongRange(ValueError):
    """A name with brackets that are no range."""


def hosts_of(pattern: str) -> tuple[list[str], str]:
    """The host names that a pattern stands for, and its port or nothing."""
    pattern, port = _with_port(pattern)
    return expand(pattern), port


def _with_port(pattern: str) -> tuple[str, str]:
    """`host:2222` and `[fd00::2]:2222`; an IPv6 address without brackets keeps its colons."""
    found = _PORT.fullmatch(pattern)
    if found and (_bare_ipv6(found["host"]) or ":" not in re.sub(r"\[[^\]]*\]", "", found["host"])):
        return _bare_ipv6(found["host"]) or found["host"], found["port"]
    return _bare_ipv6(pattern) or pattern, ""


def _bare_ipv6(text: str) -> str:
    """The address between brackets, or nothing."""
    if not (text.startswith("[") and text.endswith("]")):
        return ""
    try:
        return str(ipaddress.IPv6Address(text[1:-1])) and text[1:-1]
    except ValueError:
        return ""


def expand(pattern: str) -> list[str]:
    """`web[01:03]` is web01, web02, web03; `[a:c]` counts letters; a third number is the step."""
    names = [""]
    position = 0
    for part in _RANGE.finditer(pattern):
        middle = list(_range(part))
        before = pattern[position : part.start()]
        if len(names) * len(middle) > MAX_ROWS:
            raise Refused(TOO_WIDE, N_("Use a smaller range."), text=pattern, limit=MAX_ROWS)
        names = [name + before + word for name in names for word in middle]
        position = part.end()
    rest = pattern[position:]
    if set("[]") & set("".join(_RANGE.split(pattern)[::7])) or not names:
        raise WrongRange(pattern)
    return [name + rest for name in names]


def _range(part: re.Match[str]) -> Iterator[str]:
    low, high, step, first, last, letters = part.groups()
    stride = int(step or letters or 1)
    if not stride:
        raise WrongRange(part[0])
    if first is not None:
        known = string.ascii_letters
        return iter(known[known.index(first) : known.index(last) + 1 : stride])
    width = len(low) if low.startswith("0") and len(low) > 1 else 0
    if width and width != len(high):
        raise WrongRange(part[0])
    if int(high) - int(low or 0) > MAX_ROWS * stride:
        raise Refused(TOO_WIDE, N_("Use a smaller range."), text=part[0], limit=MAX_ROWS)
    return (str(number).zfill(width) for number in range(int(low or 0), int(high) + 1, stride))
