"""Lists as files: CSV for spreadsheets and JSON lines for scripts, streamed row by row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from fleetui.core.text import safe_cell
from fleetui.core.words import any_of

#: format -> (media type, ending of the file)
FORMATS: Final[dict[str, tuple[str, str]]] = {
    "csv": ("text/csv; charset=utf-8", "csv"),
    "jsonl": ("application/x-ndjson", "jsonl"),
}
CHUNK_ROWS = 500
_UNSAFE = re.compile(r"[^A-Za-z0-9._=-]+")
_NAME_CHARS = 80

Row = Sequence[Any]


def read_format(text: str | None) -> str:
    """csv, unless jsonl is asked for; raises InvalidInput."""
    found = text or "csv"
    if found not in FORMATS:
        mend = _("Use %(known)s.") % {"known": any_of(FORMATS)}
        raise InvalidInput(
            _("%(value)r is not a format of files.") % {"value": found[:50]}, field="format", value=found, mend=mend
        )
    return found


def as_file(
    *, format: str, names: Sequence[str], rows: Iterable[Row], title: str, query: str, now: datetime
) -> StreamingHttpResponse:
    """The rows as a download; nothing of it is held longer than a few hundred rows."""
    media_type, ending = FORMATS[format]
    lines = _csv(names, rows) if format == "csv" else _json_lines(names, rows)
    response = StreamingHttpResponse(_chunks(lines), content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{file_name(title, query, now)}.{ending}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


def file_name(title: str, query: str, now: datetime) -> str:
    """Title, date and filter, in characters that every file system takes."""
    words = _UNSAFE.sub("-", query.replace("%", "-").replace("&", "_")).strip("-_.")[:_NAME_CHARS]
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H%MZ")
    return "_".join(part for part in (title, stamp, words) if part)


class _Line:
    """What csv.writer writes to: each line is handed on."""

    def write(self, text: str) -> str:
        return text


def _csv(names: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    writer = csv.writer(_Line(), lineterminator="\r\n")
    # The mark lets spreadsheets read names in every script.
    yield ("\ufeff" + writer.writerow(list(map(cell, names)))).encode()
    for row in rows:
        yield writer.writerow([cell(value) for value in row]).encode()


def cell(value: Any) -> str:
    """A value as a cell: lists with semicolons, times in UTC, nothing that a spreadsheet would take for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return safe_cell("; ".join(f"{key or 'unknown'}={cell(one)}" for key, one in sorted(value.items())))
    if isinstance(value, list | tuple):
        return safe_cell("; ".join(map(cell, value)))
    return safe_cell(value)


def _json_lines(names: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        document = dict(zip(names, row, strict=True))
        yield orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Some hundred lines at once: a network write for each would take longer than the rows."""
    held: list[bytes] = []
    for line in lines:
        held.append(line)
        if len(held) == CHUNK_ROWS:
            yield b"".join(held)
            held.clear()
    if held:
        yield b"".join(held)
