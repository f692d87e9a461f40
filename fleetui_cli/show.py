"""What is printed: tables for people, JSON for machines, and nothing that a terminal would take for a command."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from io import TextIOWrapper
from typing import Any, TextIO

from fleetui_cli.codes import Code, Problem

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(value: object) -> str:
    """Text of the server without control characters: a host's output must not steer a terminal."""
    return "" if value is None else _CONTROL.sub("", str(value))


def in_words(value: object) -> str:
    """One value in one line: labels as site=bkk, members of lists with commas, true and false as the API says them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return " ".join(f"{clean(name)}={in_words(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(in_words(one) for one in value)
    return clean(value)


def local(moment: object, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time of the API in the zone of this machine; nothing for none."""
    if moment is None:
        return ""
    try:
        return datetime.fromisoformat(str(moment)).astimezone().strftime(form)
    except ValueError:
        return clean(moment)


def out(line: str = "") -> None:
    """Raises Problem where it cannot be written: a script must not take that for the end of an operation."""
    try:
        print(line, file=_opened(sys.stdout), flush=True)
    except OSError as error:
        # What is held back would be written once more when Python ends, and fail with a code of its own.
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Problem(Code.UNPRINTED, f"The output cannot be written: {error.strerror or error}.") from error


def _opened(stream: TextIO | None) -> TextIO:
    if stream is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return stream


def print_anything() -> None:
    """What the terminal's encoding lacks is printed as its number, such as a Thai reason in the C locale."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(line: str) -> None:
    """What is not the answer, such as progress, goes to standard error; nothing depends on its being read."""
    with suppress(OSError):
        print(line, file=_opened(sys.stderr), flush=True)


def as_json(value: Any, *, is_line: bool = False) -> None:
    out(json.dumps(value, ensure_ascii=False) if is_line else json.dumps(value, ensure_ascii=False, indent=2))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Columns as wide as their widest cell; the last one runs on."""
    cells = [[in_words(row.get(name)).replace("\n", " ") or "-" for name in columns] for row in rows]
    heads = [name.upper().replace("_", " ").replace(".", " ") for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in [heads, *cells]:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """One thing a line, names in front."""
    width = max(len(name) for name, _value in pairs)
    for name, value in pairs:
        if value not in (None, "", [], {}):
            out(f"{name.ljust(width)}  {in_words(value)}")
