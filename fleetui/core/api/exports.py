"""Whole lists as files: the rows, fields, filters and order of a listing, streamed in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from fleetui.core import clock
from fleetui.core.api.actions import Param
from fleetui.core.api.pagination import ordering, read_order
from fleetui.core.api.shapes import one_of
from fleetui.core.api.views import Listing, asked_fields, filtered
from fleetui.core.export import CHUNK_ROWS, FORMATS, as_file, read_format

_NO_FILTERS = ("limit", "cursor")
_NOT_NAMED = ("format", "fields", "sort")
#: Takes format, query, number of rows and names of columns; called before the first row leaves.
Record = Callable[[str, str, int, list[str]], None]


def export_params(listing: Listing) -> tuple[Param, ...]:
    """The parameters of the list, without its pages, and the format."""
    kind = {**one_of(FORMATS), "default": "csv"}
    words = "CSV for spreadsheets, or JSON lines: one object a line."
    return (Param("format", kind, words), *(one for one in listing.params if one.name not in _NO_FILTERS))


def export(
    listing: Listing, queryset: QuerySet[Any], request: Request, *, title: str, record: Record
) -> StreamingHttpResponse:
    """All rows that pass the filters."""
    query = request.query_params
    format = read_format(query.get("format"))
    names = asked_fields(request, listing.shape) or list(listing.shape.fields)
    order = read_order(query.get("sort"), listing.sorts, listing.default_sort, listing.key, listing.key_kind)
    if listing.filterset:
        queryset = filtered(queryset, listing.filterset, request)
    if request.method != "HEAD":
        record(format, query.urlencode(), queryset.count(), names)
    rows = queryset.order_by(*ordering(order)).values(*listing.shape.columns(names))
    kept = query.copy()
    for name in _NOT_NAMED:
        kept.pop(name, None)
    return as_file(
        format=format,
        names=names,
        rows=_rendered(listing, rows, names),
        title=title,
        query=kept.urlencode(),
        now=clock.now(),
    )


def _rendered(listing: Listing, rows: QuerySet[Any], names: list[str]) -> Iterator[list[Any]]:
    for row in rows.iterator(chunk_size=CHUNK_ROWS):
        yield list(listing.shape.render(row, names).values())
