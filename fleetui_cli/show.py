"""What is printed: tables for people, JSON for machines, and nothing that a terminal would take for a command."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(value: object) -> str:
    """Text of the server without control characters: a host's output must not steer a terminal."""
    return "" if value is None else _CONTROL.sub("", str(value))


def local(moment: object, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time of the API in the zone of this machine; nothing for none."""
    if moment is None:
        return ""
    try:
        return datetime.fromisoformat(str(moment)).astimezone().strftime(form)
    except ValueError:
        return clean(moment)


def out(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tell(line: str) -> None:
    """What is not the answer, such as progress, goes to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def as_json(value: Any, *, is_line: bool = False) -> None:
    out(json.dumps(value, ensure_ascii=False) if is_line else json.dumps(value, ensure_ascii=False, indent=2))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Columns as wide as their widest cell; the last one runs on."""
    cells = [[clean(row.get(name)).replace("\n", " ") or "-" for name in columns] for row in rows]
    heads = [name.upper().replace("_", " ").replace(".", " ") for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in [heads, *cells]:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """One thing a line, names in front."""
    width = max(len(name) for name, _value in pairs)
    for name, value in pairs:
        if value not in (None, "", [], {}):
            out(f"{name.ljust(width)}  {clean(value)}")
