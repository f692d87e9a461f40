"""Pages of a list by keyset: the next page starts after the last row shown, so that it costs the same on every page."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from fleetui.core.clock import in_our_time

PAGE_SIZES = (50, 100, 200)


@dataclass(frozen=True)
class Order:
    """How a list is sorted: by a column (its value may repeat), then by a column that is unique."""

    column: str
    unique: str
    is_descending: bool = False

    def columns(self, *, backwards: bool) -> list[str]:
        first = f"{'-' if self.is_descending != backwards else ''}{self.column}"
        second = f"{'-' if backwards else ''}{self.unique}"
        return [second] if self.column == self.unique and not self.is_descending else [first, second]

    def beyond(self, value: Any, unique: Any, *, backwards: bool) -> Q:
        """Rows after (or before) the place of these two values."""
        step = "lt" if self.is_descending != backwards else "gt"
        if self.column == self.unique:
            return Q(**{f"{self.column}__{step}": value})
        tie = Q(**{self.column: value, f"{self.unique}__{'lt' if backwards else 'gt'}": unique})
        return Q(**{f"{self.column}__{step}": value}) | tie


@dataclass(frozen=True)
class Cursor:
    """A place between two rows. `number` is how many rows stood before the page when it was made."""

    value: Any
    unique: str
    number: int

    def encode(self) -> str:
        value = {"t": self.value.isoformat()} if isinstance(self.value, datetime) else self.value
        text = json.dumps([value, self.unique, self.number], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor | None:
        """None for anything that is not a cursor: an old link then shows the first page."""
        try:
            padded = text + "=" * (-len(text) % 4)
            value, unique, number = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
            if isinstance(value, dict):
                value = in_our_time(datetime.fromisoformat(value["t"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, binascii.Error):
            return None
        if not _is_text(unique) or not _is_small(number) or not _is_sortable(value):
            return None
        return cls(value, unique, max(number, 0))


def _is_small(number: object) -> bool:
    return isinstance(number, int) and abs(number) < 2**31


def _is_sortable(value: object) -> bool:
    return isinstance(value, datetime) or _is_small(value) or _is_text(value)


def _is_text(value: object) -> bool:
    """Text that a database takes: no NUL, no lone half of a character pair."""
    return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)


@dataclass(frozen=True)
class Page:
    """Rows of one page. `first` is the number of its first row; `after` and `before` lead to the pages beside it."""

    rows: Sequence[Any]
    first: int
    after: str
    before: str

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1 if self.rows else 0


def page_of(found: QuerySet[Any], order: Order, size: int, arguments: Mapping[str, str]) -> Page:
    """The page that `after` or `before` in the arguments name; the first one without them. One query."""
    before, after = Cursor.decode(arguments.get("before", "")), Cursor.decode(arguments.get("after", ""))
    cursor = after or before
    backwards = after is None and before is not None
    if cursor is not None and (narrowed := _beyond(found, order, cursor, backwards=backwards)) is not None:
        found = narrowed
    else:
        cursor, backwards = None, False
    rows = list(found.order_by(*order.columns(backwards=backwards))[: size + 1])
    has_more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    number = 0 if cursor is None else cursor.number
    skipped = max(number - len(rows), 0) if backwards and has_more else 0 if backwards else number
    has_next = has_more or backwards
    has_previous = (has_more and backwards) or (cursor is not None and not backwards)
    return Page(
        rows=rows,
        first=skipped + 1 if rows else 0,
        after=_cursor(rows[-1], order, skipped + len(rows)) if rows and has_next else "",
        before=_cursor(rows[0], order, skipped) if rows and has_previous else "",
    )


def _beyond(found: QuerySet[Any], order: Order, cursor: Cursor, *, backwards: bool) -> QuerySet[Any] | None:
    """None when the cursor belongs to another order, so that its value does not fit the column."""
    try:
        return found.filter(order.beyond(cursor.value, cursor.unique, backwards=backwards))
    except (TypeError, ValueError, ValidationError):
        return None


def _cursor(row: Any, order: Order, number: int) -> str:
    return Cursor(getattr(row, order.column), str(getattr(row, order.unique)), number).encode()


def page_size(wanted: str) -> int:
    return int(wanted) if wanted in {str(size) for size in PAGE_SIZES} else PAGE_SIZES[0]
