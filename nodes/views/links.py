"""Links into the list of nodes, and the bars of the three axes that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import get_script_prefix, reverse

from fleetui.core.templatetags.ui import changed_query
from fleetui.core.templatetags.ui_words import level_of, word_of
from nodes.wording import axis_name


def nodes_url(**filters: object) -> str:
    """The list of nodes with these filters; empty ones are left out, several values repeat."""
    query = urlencode({name: value for name, value in filters.items() if value not in ("", None)}, doseq=True)
    address = _list_address(get_script_prefix())
    return f"{address}?{query}" if query else address


@cache
def _list_address(prefix: str) -> str:
    """Looked up once per place in the web: the overview has five hundred such links."""
    return reverse("nodes:list")


def list_url(query: str) -> str:
    """The list as somebody came from it, filtered and sorted; a selection is posted with its query as `filter`."""
    kept = QueryDict(query.lstrip("?"))
    address = _list_address(get_script_prefix())
    return f"{address}{changed_query(kept, {})}" if kept else address


def axis_bars(axes: Mapping[str, Mapping[str, int]], **where: object) -> list[dict[str, Any]]:
    """A bar per axis from its counts by value; each segment leads to its nodes, among those that `where` chooses."""
    return [
        {
            "title": axis_name(axis),
            "segments": [
                {
                    "level": level_of(axis, value),
                    "label": word_of(axis, value),
                    "count": count,
                    "url": nodes_url(**{**where, axis: value}),
                }
                for value, count in values.items()
            ],
        }
        for axis, values in axes.items()
    ]
