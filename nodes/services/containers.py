"""Rows of containers: kept in step with what polls read, so that no list has to look into documents."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodes.facts.containers import described
from nodes.hosts.references import Reference
from nodes.models import ContainerOnNode

#: A host with thousands of containers costs no more rows than this.
MOST_ON_A_NODE = 500
_COMPARED = (
    *("runtime", "name", "repository", "tag", "digest", "state", "health", "unit", "managed_by"),
    "started_at",
)


def replace_containers(documents: Mapping[uuid.UUID, Mapping[str, Any]]) -> None:
    """Write what differs between the rows that nodes have and those of their documents. Belongs in a transaction."""
    wanted = [row for node, document in documents.items() for row in rows_of(node, document)]
    left = Counter(map(_key, wanted))
    gone = []
    for row in ContainerOnNode.objects.filter(node__in=list(documents)):
        if left[_key(row)] > 0:
            left[_key(row)] -= 1
        else:
            gone.append(row.pk)
    for start in range(0, len(gone), 500):
        ContainerOnNode.objects.filter(pk__in=gone[start : start + 500]).delete()
    fresh = []
    for row in wanted:
        if left[_key(row)] > 0:
            left[_key(row)] -= 1
            fresh.append(row)
    ContainerOnNode.objects.bulk_create(fresh, batch_size=60)


def _key(row: ContainerOnNode) -> tuple[Any, ...]:
    return (row.node_id, *(getattr(row, name) for name in _COMPARED), *row.ports)


def rows_of(node: uuid.UUID, document: Mapping[str, Any]) -> list[ContainerOnNode]:
    """The rows of one node, from the section `containers` of its facts."""
    found = [_row(node, one) for one in described(document)]
    return found[:MOST_ON_A_NODE]


def _row(node: uuid.UUID, one: Mapping[str, Any]) -> ContainerOnNode:
    reference: Reference | None = one["reference"]
    started = one.get("started_at")
    return ContainerOnNode(
        node_id=node,
        runtime=one["runtime"][:20],
        name=str(one.get("name") or one.get("id") or "")[:200],
        repository=(reference.repository if reference else str(one.get("image") or ""))[:300],
        tag=(reference.tag if reference else "")[:130],
        digest=one["digest"][:100],
        state=str(one.get("state") or "")[:20],
        health=str(one.get("health") or "")[:20],
        unit=one["unit"][:200],
        managed_by=one["managed_by"],
        started_at=datetime.fromisoformat(started) if started else None,
        ports=list(one.get("ports") or []),
    )
