"""Which tables travel, and how a row becomes a line of JSON and a row again, the same on both databases."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from typing import Any, TypeVar

from django.apps import apps
from django.db import models

from fleetui.audit.chain import iso

#: Made anew: by `migrate`, by signing in again (sessions), by the nodes that are added (their tally), by running processes (heartbeats).
LEFT_OUT = frozenset(
    {"contenttypes.ContentType", "auth.Permission", "sessions.Session", "nodes.Tally", "core.Heartbeat"}
)
#: So many rows are read at once: facts may be large.
CHUNK_ROWS = 200

#: Of a table with more rows progress is said.
TOLD_EVERY = 20_000

Model = type[models.Model]
Line = TypeVar("Line")


def travelling() -> list[Model]:
    """Every table but those left out and the links to them, by name."""
    found = [model for model in apps.get_models(include_auto_created=True) if _travels(model)]
    return sorted(found, key=lambda model: model._meta.label_lower)


def _travels(model: Model) -> bool:
    meta = model._meta
    if not meta.managed or meta.proxy or meta.label in LEFT_OUT:
        return False
    linked = (field.related_model for field in meta.concrete_fields if field.is_relation)
    return not any(isinstance(other, type) and other._meta.label in LEFT_OUT for other in linked)


def columns_of(model: Model) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def lines_of(model: Model) -> Iterator[bytes]:
    """The rows in the order of their keys, a line each, read in chunks."""
    writers = [_writer(field) for field in model._meta.concrete_fields]
    rows = model._base_manager.order_by("pk").values_list(*columns_of(model))
    for row in rows.iterator(chunk_size=CHUNK_ROWS):
        values = [write(value) if value is not None else None for write, value in zip(writers, row, strict=True)]
        yield json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def rows_of(model: Model, lines: Iterable[bytes]) -> Iterator[models.Model]:
    """Unsaved rows of the model; raises ValueError for a line that is none of its rows."""
    columns = columns_of(model)
    readers = [_reader(field) for field in model._meta.concrete_fields]
    for line in lines:
        values = json.loads(line)
        if not isinstance(values, list) or len(values) != len(columns):
            raise ValueError("a line has not as many values as the table has columns")
        given = {
            name: read(value) if value is not None else None
            for name, read, value in zip(columns, readers, values, strict=True)
        }
        yield model(**given)


def telling(
    lines: Iterable[Line], name: str, say: Callable[[str], None], *, of: int | None = None, every: int = TOLD_EVERY
) -> Iterator[Line]:
    """The same lines; of a long table it is said now and then how far it is."""
    for number, line in enumerate(lines, start=1):
        yield line
        if number % every == 0:
            say(f"{name}: {number} rows ..." if of is None else f"{name}: {number} of {of} rows ...")


def _kind(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """The field whose values a column holds: behind a foreign key, the key that it points to."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return field


def _same(value: Any) -> Any:
    return value


def _as_text(value: bytes | memoryview) -> str:
    return base64.b64encode(bytes(value)).decode()


_CODECS: list[tuple[type[models.Field[Any, Any]], Callable[[Any], Any], Callable[[Any], Any]]] = [
    (models.DateTimeField, iso, datetime.fromisoformat),
    (models.DateField, date.isoformat, date.fromisoformat),
    (models.UUIDField, str, uuid.UUID),
    (models.BinaryField, _as_text, base64.b64decode),
    (models.JSONField, _same, _same),
    (models.BooleanField, _same, _same),
    (models.IntegerField, _same, _same),
    (models.FloatField, _same, _same),
    (models.CharField, _same, _same),
    (models.TextField, _same, _same),
]


def _codec(field: models.Field[Any, Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    kind = _kind(field)
    for of, write, read in _CODECS:
        if isinstance(kind, of):
            return write, read
    raise TypeError(f"{field} is of a kind that no line can hold")


def _writer(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    return _codec(field)[0]


def _reader(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    return _codec(field)[1]
