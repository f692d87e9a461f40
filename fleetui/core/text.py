"""Text that came from outside: cleaned at the edge, so that a database or a page never meets its surprises."""

from __future__ import annotations

import re

# CSI and OSC sequences, then every other escape; host output may hold terminal codes.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def clean(text: str) -> str:
    """Strip NUL, ANSI sequences and other control characters; tabs and line ends stay (PostgreSQL refuses NUL)."""
    return _CONTROL.sub("", _ANSI.sub("", text))


def safe_cell(value: object) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
