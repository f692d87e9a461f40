"""What holds for the node of a step now, beside what was frozen when the operation was asked for."""

from __future__ import annotations

from typing import Any

from fleetui.core import clock
from nodes.models import Node
from ops.models import Operation, PoolCheck
from ops.services.backups.gates import GATED, gates_on
from ops.services.holds import held_on

#: Until the restart, a version may still be held back; afterwards it is too late.
_BEFORE_RESTART = ("preflight", "stage")


def standing(row: Operation, node: Node) -> dict[str, Any]:
    """Of an upgrade the versions that are held back from the node, and the gates before it; of a soak the checks of its pool."""
    if row.kind in GATED and row.step in _BEFORE_RESTART:
        held = {"held": sorted(held_on([node])[node.pk])} if row.kind == "upgrade" else {}
        gates = gates_on([node], clock.now())[node.pk] if row.step == "preflight" else []
        return {**held, "gates": [gate.as_json() for gate in gates]}
    if row.step == "soak" and node.pool_id:
        checks = PoolCheck.objects.filter(pool=node.pool_id).order_by("name")
        return {"health_checks": list(checks.values("name", "kind", "params", "timeout_s"))}
    return {}
