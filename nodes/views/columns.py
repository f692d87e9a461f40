"""What a row of the nodes list shows, and how the list can be sorted."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, IntegerField, Value, When
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from fleetui.core.filters import split_values
from nodes.columns import DEFAULT, Column, NotAColumn, columns, facts_of, value_of
from nodes.models import ColumnChoice, Node
from nodes.querysets import NodeQuerySet
from nodes.services.views import LISTING
from nodes.views.cells import Cells, address_of
from nodes.views.paging import Order
from nodes.views.subject import node_url

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
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True)
class Row:
    """One node of the list. `revision` differs whenever the row would be drawn differently."""

    node: Node
    url: str
    select_label: str
    cells: Sequence[SafeString]
    revision: str

    @property
    def address(self) -> str:
        return address_of(self.node)

    @property
    def name_head(self) -> str:
        """What may be cut off."""
        return self.node.name.removesuffix(self.name_tail) if self.name_tail else self.node.name

    @property
    def name_tail(self) -> str:
        """What is never cut off."""
        return self.node.name[-_NAME_TAIL:] if len(self.node.name) > _WHOLE_NAME else ""


def rows_of(nodes: Sequence[Node], wanted: Sequence[Column], query: QueryDict) -> list[Row]:
    """Rows with their cells drawn."""
    cells, facts = Cells(query), facts_of(nodes, wanted)
    select = _("Select %(name)s")
    found = []
    for node in nodes:
        values = [value_of(one, node, facts) for one in wanted]
        drawn = [cells.cell(one, node, value) for one, value in zip(wanted, values, strict=True)]
        # The words of a time change with every minute; the row has changed when the time itself has.
        told = [value if isinstance(value, datetime) else cell for value, cell in zip(values, drawn, strict=True)]
        shown = (node.name, node.address, node.port, node.lifecycle, bool(node.poll_requested_at), told)
        url, label = node_url(node.name), select % {"name": node.name}
        found.append(Row(node, url, label, drawn, f"{zlib.crc32(repr(shown).encode()):08x}"))
    return found


def choice_of(user_id: int | None) -> ColumnChoice | None:
    """What the user chose for the list."""
    if user_id is None:
        return None
    found: ColumnChoice | None = ColumnChoice.objects.filter(user=user_id, listing=LISTING).first()
    return found


def columns_wanted(query: QueryDict, choice: ColumnChoice | None) -> tuple[list[Column], list[NotAColumn]]:
    """The columns of the address, else those that the user chose, else the usual ones."""
    names = split_values(query.getlist("columns"))
    if not names and choice is not None:
        names = [str(name) for name in choice.columns]
    found, wrong = columns(names)
    return (found or columns(DEFAULT)[0]), wrong
