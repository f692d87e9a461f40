"""Keyset pages: `{results, next, previous}`. A page costs the same at any depth, and rows that come or go shift nothing.

Every order ends with the primary key. Empty values stand last in both directions.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from django.db.models import ExpressionWrapper, F, Q, QuerySet, TextField
from rest_framework.request import Request

from fleetui.core.clock import in_our_time
from fleetui.core.errors import InvalidInput

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_MAX_CURSOR_CHARS = 1000
KeyKind = Literal["uuid", "integer"]


@dataclass(frozen=True)
class Sort:
    """A column to sort by. `unique` needs no tie-breaker."""

    column: str
    kind: Literal["text", "integer", "time"] = "text"
    nullable: bool = False
    unique: bool = False


@dataclass(frozen=True)
class Order:
    """What `?sort=` asked for."""

    name: str
    sort: Sort
    descending: bool
    key: str = "pk"
    key_kind: KeyKind = "uuid"

    @property
    def text(self) -> str:
        return f"-{self.name}" if self.descending else self.name

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys([self.sort.column, self.key]))


@dataclass(frozen=True)
class Cursor:
    """A place between two rows: what was read last, and which way to read on."""

    backward: bool
    value: Any
    key: Any


def read_limit(text: str | None) -> int:
    """1 to 1000; DEFAULT_LIMIT without one."""
    if not text:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise InvalidInput(
        f"{text!r} is not a page size.", field="limit", value=text, mend=f"Give a number from 1 to {MAX_LIMIT}."
    )


def read_order(text: str | None, sorts: Mapping[str, Sort], default: str, key: str, key_kind: KeyKind) -> Order:
    wanted = text or default
    name = wanted.removeprefix("-")
    if name not in sorts:
        raise InvalidInput(
            f"{wanted!r} is not an order.",
            field="sort",
            value=wanted,
            mend=f"Use {', '.join(sorts)}, with - in front for the other way round.",
        )
    return Order(name=name, sort=sorts[name], descending=wanted.startswith("-"), key=key, key_kind=key_kind)


def write_cursor(order: Order, row: Mapping[str, Any], *, backward: bool) -> str:
    place = [int(backward), order.text, row[order.sort.column], row[order.key]]
    return base64.urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def read_cursor(text: str, order: Order) -> Cursor:
    """Raises InvalidInput for anything that write_cursor did not write for this very order."""
    wrong = InvalidInput(
        "The cursor is not one of this list in this order.",
        field="cursor",
        value=text,
        mend="Follow `next` and `previous` as they were answered, or start without a cursor.",
    )
    if len(text) > _MAX_CURSOR_CHARS:
        raise wrong
    try:
        backward, sort, value, key = orjson.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
        if backward not in (0, 1) or sort != order.text:
            raise wrong
        return Cursor(bool(backward), _value(value, order), _key(key, order))
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise wrong from error


def _value(value: Any, order: Order) -> Any:
    if value is None:
        if not order.sort.nullable:
            raise ValueError("null")
        return None
    if order.sort.kind == "integer":
        return _integer(value)
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not text")
    return in_our_time(datetime.fromisoformat(value)) if order.sort.kind == "time" else value


def _key(value: Any, order: Order) -> Any:
    return _integer(value) if order.key_kind == "integer" else uuid.UUID(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**62:
        raise ValueError("not an integer")
    return value


def _ordering(order: Order, *, backward: bool) -> list[Any]:
    down = order.descending != backward
    column = F(order.sort.column)
    nulls: dict[str, Any] = {}
    if order.sort.nullable:
        nulls = {"nulls_first": True} if backward else {"nulls_last": True}
    parts: list[Any] = [column.desc(**nulls) if down else column.asc(**nulls)]
    if not order.sort.unique:
        parts.append(F(order.key).desc() if down else F(order.key).asc())
    return parts


def ordering(order: Order) -> list[Any]:
    """What a query set is ordered by, from the first row on."""
    return _ordering(order, backward=False)


def _beyond(order: Order, cursor: Cursor) -> Q:
    """Rows that come after the cursor, in the direction of reading."""
    beyond = "lt" if order.descending != cursor.backward else "gt"
    column = order.sort.column
    tie = Q(**{f"{order.key}__{beyond}": cursor.key})
    if cursor.value is None:
        found = Q(**{f"{column}__isnull": True}) & tie
        return found | Q(**{f"{column}__isnull": False}) if cursor.backward else found
    found = Q(**{f"{column}__{beyond}": cursor.value})
    if not order.sort.unique:
        found |= Q(**{column: cursor.value}) & tie
    if order.sort.nullable and not cursor.backward:
        found |= Q(**{f"{column}__isnull": True})
    return found


@dataclass(frozen=True)
class Page:
    """Rows as dicts, with the addresses of the pages beside."""

    rows: list[dict[str, Any]]
    next: str | None
    previous: str | None


def read_page(
    queryset: QuerySet[Any],
    *,
    columns: Sequence[str],
    order: Order,
    cursor: Cursor | None,
    limit: int,
    request: Request,
    documents: Collection[str] = (),
) -> Page:
    """One query: the page, and one row more to know whether there is another. `documents` are read as text."""
    backward = cursor is not None and cursor.backward
    if cursor is not None:
        queryset = queryset.filter(_beyond(order, cursor))
    wanted = list(dict.fromkeys([*columns, *order.columns]))
    rows = list(_values(queryset.order_by(*_ordering(order, backward=backward)), wanted, documents)[: limit + 1])
    for row in rows:
        for name in documents:
            row[name] = row.pop(f"_{name}")
    more = len(rows) > limit
    rows = rows[:limit]
    if backward:
        rows.reverse()
    if not rows:
        return Page([], None, None)
    has_next, has_previous = (True, more) if backward else (more, cursor is not None)
    after = write_cursor(order, rows[-1], backward=False) if has_next else None
    before = write_cursor(order, rows[0], backward=True) if has_previous else None
    return Page(rows, _address(request, after), _address(request, before))


def _values(queryset: QuerySet[Any], columns: Sequence[str], documents: Collection[str]) -> QuerySet[Any]:
    """The columns, those with JSON as the text that they are in the database, under a name of their own."""
    texts = {f"_{name}": ExpressionWrapper(F(name), output_field=TextField()) for name in documents}
    return queryset.values(*(name for name in columns if name not in documents), **texts)


def _address(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return str(request.build_absolute_uri(f"{request.path}?{query.urlencode()}"))
