"""What a row of the nodes list shows, and how the list can be sorted."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, IntegerField, Value, When
from django.db.models.functions import Coalesce
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fleetui.core.templatetags.ui import state_badge
from nodes.models import Node
from nodes.querysets import NodeQuerySet
from nodes.views.axis_words import Axis, axes_of
from nodes.views.paging import Order

#: Values from worst to best: an axis is sorted by how much it asks for attention, not by its spelling.
_RANKS = {
    "reachability": ("key_mismatch", "unreachable", "never_seen", "reachable"),
    "health": ("degraded", "unknown", "healthy"),
    "update_state": (
        "rolled_back", "reboot_pending", "deferred", "staged", "update_available", "unknown", "up_to_date",
    ),
}  # fmt: skip
SORTS = ("name", "pool", "version", *_RANKS, "last_seen")
DEFAULT_SORT = "name"
#: A name longer than this keeps its end in a narrow column: the ends of names tell hosts apart.
_WHOLE_NAME, _NAME_TAIL = 12, 7
SSH_PORT = 22
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = (
    "name", "address", "port", "pool__name", "lifecycle", "os_family", "os_name", "os_version", "os_stream",
    "booted_version", "unread_sections", "facts_at", "last_seen_at", "failing_since", "poll_requested_at",
    *(f"{axis}{part}" for axis in _RANKS for part in ("", "_reason", "_params", "_since")),
)  # fmt: skip


def sort_wanted(text: str) -> str:
    """The sort of the address when it is one, else the usual one."""
    return text if text.removeprefix("-") in SORTS else DEFAULT_SORT


def sorted_by(found: NodeQuerySet, sort: str) -> tuple[NodeQuerySet, Order]:
    """The nodes with what they are sorted by, and the order."""
    key, is_descending = sort.removeprefix("-"), sort.startswith("-")
    if key == "name":
        return found, Order("name", "name", is_descending)
    return found.annotate(place=_place(key)), Order("place", "name", is_descending)


def _place(key: str) -> Any:
    if key == "pool":
        # Nodes without a pool come last, as on every other page.
        return Coalesce(F("pool__name"), Value("\uffff"))
    if key == "version":
        return F("booted_version")
    if key == "last_seen":
        return Coalesce(F("last_seen_at"), Value(_LONG_AGO, output_field=DateTimeField()))
    whens = [When(**{key: value}, then=Value(rank)) for rank, value in enumerate(_RANKS[key])]
    return Case(*whens, default=Value(len(whens)), output_field=IntegerField())


def shown_columns(found: NodeQuerySet) -> NodeQuerySet:
    """Only what a row shows: facts and deployments of a page of nodes would be megabytes."""
    return found.select_related("pool").only(*_SHOWN)


@dataclass(frozen=True)
class Row:
    """One node of the list."""

    node: Node
    axes: Sequence[Axis]
    cells: Mapping[str, SafeString]

    @property
    def revision(self) -> str:
        """Differs whenever the row would be drawn differently."""
        node = self.node
        shown = (
            node.name, node.address, node.port, node.pool_id, node.lifecycle, node.booted_version, node.facts_at,
            node.last_seen_at, node.unread_sections, bool(node.poll_requested_at), *self.axes,
        )  # fmt: skip
        return f"{zlib.crc32(repr(shown).encode()):08x}"

    @property
    def os(self) -> str:
        return self.node.os_name or self.node.os_family

    @property
    def address(self) -> str:
        """With the port, unless it is SSH's own."""
        node = self.node
        return node.address if node.port == SSH_PORT else f"{node.address}:{node.port}"

    @property
    def name_head(self) -> str:
        """What may be cut off."""
        return self.node.name.removesuffix(self.name_tail) if self.name_tail else self.node.name

    @property
    def name_tail(self) -> str:
        """What is never cut off."""
        return self.node.name[-_NAME_TAIL:] if len(self.node.name) > _WHOLE_NAME else ""


def rows_of(nodes: Iterable[Node]) -> list[Row]:
    """Rows with their axes drawn; most nodes of a page share the same few, which are drawn once."""
    drawn: dict[tuple[str, ...], SafeString] = {}
    found = []
    for node in nodes:
        axes = axes_of(node)
        cells = {}
        for axis in axes:
            key = (axis.level, axis.word, axis.short, axis.sentence)
            cells[axis.name] = drawn.get(key) or drawn.setdefault(key, _cell(axis))
        found.append(Row(node, axes, cells))
    return found


def _cell(axis: Axis) -> SafeString:
    why = format_html('<span class="n-why">{}</span>', axis.short) if axis.short else ""
    return format_html(
        '<span class="n-axis" title="{}">{}{}</span>', axis.sentence, state_badge(axis.level, axis.word), why
    )
