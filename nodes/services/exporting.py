"""Rows of nodes for files: read in one statement, in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from nodes.columns import Column, facts_of, value_of
from nodes.models import Node
from nodes.querysets import NodeQuerySet

CHUNK = 500


def node_rows(found: NodeQuerySet, wanted: Sequence[Column]) -> Iterator[list[Any]]:
    """Name and values of every node, a chunk at a time; facts are one or two queries a chunk."""
    nodes: Iterator[Node] = found.iterator(chunk_size=CHUNK)
    while chunk := list(islice(nodes, CHUNK)):
        facts = facts_of(chunk, wanted)
        for node in chunk:
            yield [node.name, *(value_of(one, node, facts) for one in wanted)]
