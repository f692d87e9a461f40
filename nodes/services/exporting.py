"""Lists that leave FleetUI as files: rows are read in one statement, in chunks, and the audit log says who took what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from fleetui.access.principals import Principal
from fleetui.audit.log import Entry, record_alone
from nodes.columns import Column, facts_of, value_of
from nodes.models import Node
from nodes.querysets import NodeQuerySet

CHUNK = 500


def record_export(*, what: str, format: str, query: str, rows: int, columns: Sequence[str], actor: Principal) -> None:
    """Who took which rows of what, before the first one leaves."""
    after: Mapping[str, Any] = {"format": format, "filter": query, "rows": rows, "columns": list(columns)}
    record_alone(Entry(actor=str(actor), action=f"{what}.export", subject=what, after=after))


def node_rows(found: NodeQuerySet, wanted: Sequence[Column]) -> Iterator[list[Any]]:
    """Name and values of every node, a chunk at a time; facts are one or two queries a chunk."""
    nodes: Iterator[Node] = found.iterator(chunk_size=CHUNK)
    while chunk := list(islice(nodes, CHUNK)):
        facts = facts_of(chunk, wanted)
        for node in chunk:
            yield [node.name, *(value_of(one, node, facts) for one in wanted)]
