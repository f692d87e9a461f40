"""What holds for the node of a step now, beside what was frozen when the operation was asked for."""

from __future__ import annotations

from typing import Any

from nodes.models import Node
from ops.models import Operation, PoolCheck
from ops.services.holds import held_on

#: Until the restart, a version may still be held back; afterwards it is too late.
_BEFORE_RESTART = ("preflight", "stage")


def standing(row: Operation, node: Node) -> dict[str, Any]:
    """Of an upgrade the versions that are held back from the node; of a soak the checks that its pool defines."""
    if row.kind == "upgrade" and row.step in _BEFORE_RESTART:
        return {"held": sorted(held_on([node])[node.pk])}
    if row.step == "soak" and node.pool_id:
        checks = PoolCheck.objects.filter(pool=node.pool_id).order_by("name")
        return {"health_checks": list(checks.values("name", "kind", "params", "timeout_s"))}
    return {}
