"""Whole lists as files: the rows, fields, filters and order of a listing, streamed, and noted in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request

from fleetui.audit.log import record_export
from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.pagination import ordering, read_order
from fleetui.core.api.shapes import one_of
from fleetui.core.api.views import ApiView, Listing, asked_fields, filtered
from fleetui.core.export import CHUNK_ROWS, FORMATS, as_file, read_format

_NO_FILTERS = ("limit", "cursor")
_NOT_NAMED = ("format", "fields", "sort")
#: Rows that the one who asks may see (a fleetui.access.principals.Principal); may raise PermissionDenied.
Rows = Callable[[Any], QuerySet[Any]]
#: Adds to rendered rows what no column holds; takes the one who asks and a chunk of rows.
Extend = Callable[[Any, list[dict[str, Any]]], None]


def export_view(
    what: str, permission: str, listing: Listing, rows: Rows, *, extend: Extend | None = None
) -> type[ApiView]:
    """The endpoint that gives all rows of `listing` that pass the filters as a file; `what` as in `host_keys`."""

    class Export(ApiView):
        """All rows that pass the filters, streamed."""

        actions = {
            "GET": Action(
                permission,
                f"{what}_export",
                f"Export {what.replace('_', ' ')} as a file",
                {200: None},
                query=export_params(listing),
            )
        }

        def get(self, request: Request) -> StreamingHttpResponse:
            found = rows(self.principal)
            if listing.filterset:
                found = filtered(found, listing.filterset, request)
            return _export(what, listing, found, request, self.principal, extend)

    return Export


def export_params(listing: Listing) -> tuple[Param, ...]:
    """The parameters of the list, without its pages, and the format."""
    kind = {**one_of(FORMATS), "default": "csv"}
    words = "CSV for spreadsheets, or JSON lines: one object a line."
    return (Param("format", kind, words), *(one for one in listing.params if one.name not in _NO_FILTERS))


def _export(
    what: str, listing: Listing, found: QuerySet[Any], request: Request, principal: Any, extend: Extend | None
) -> StreamingHttpResponse:
    query = request.query_params
    format = read_format(query.get("format"))
    names = asked_fields(request, listing.shape) or list(listing.shape.fields)
    order = read_order(query.get("sort"), listing.sorts, listing.default_sort, listing.key, listing.key_kind)
    if request.method != "HEAD":
        count = found.count()
        record_export(what=what, format=format, query=query.urlencode(), rows=count, columns=names, actor=principal)
    kept = query.copy()
    for name in _NOT_NAMED:
        kept.pop(name, None)
    return as_file(
        format=format,
        names=names,
        rows=_rendered(listing, found.order_by(*ordering(order)), names, principal, extend),
        title=what.replace("_", "-"),
        query=kept.urlencode(),
        now=clock.now(),
    )


def _rendered(
    listing: Listing, found: QuerySet[Any], names: list[str], principal: Any, extend: Extend | None
) -> Iterator[list[Any]]:
    rows = found.values(*listing.shape.columns(names)).iterator(chunk_size=CHUNK_ROWS)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        if listing.prepare:
            listing.prepare(chunk)
        shown = [listing.shape.render(row, names) for row in chunk]
        if extend:
            extend(principal, shown)
        yield from (list(row.values()) for row in shown)
