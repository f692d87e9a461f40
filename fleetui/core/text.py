"""Text that came from outside: cleaned at the edge, so that a database or a page never meets its surprises."""

from __future__ import annotations

import re

# CSI and OSC sequences, then every other escape; host output may hold terminal codes.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Lone surrogates: what surrogateescape makes of bytes that are no UTF-8.
_HALF = re.compile("[\ud800-\udfff]+")


def clean(text: str) -> str:
    """Strip NUL, ANSI sequences and other control characters; tabs and line ends stay (PostgreSQL refuses NUL).

    Half a character, as where somebody cut a text by bytes, becomes U+FFFD: neither JSON nor a page can hold it.
    """
    return _HALF.sub("\ufffd", _CONTROL.sub("", _ANSI.sub("", text)))


def safe_cell(value: object) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA) else text


def said_cell(text: str) -> str:
    """What a safe cell says."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
