"""No fresh, proven backup: no upgrade. How a policy stands that is set as such a gate, and what it stands before."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from nodes.models import Node
from ops.models import BackupPolicy
from ops.services.backups.reading import overdue_at, unproven_at

#: Kinds of operation that a gate stands before.
#: Replacements ask for themselves (ops.services.replacing.plans).
GATED: Final = ("upgrade", "rollback")


GATES: Final = ("open", "no_backup", "backup_old", "never_proven", "proof_old")


@dataclass(frozen=True)
class Gate:
    """How a policy that gates upgrades stands: `code` is open, or why it is shut; `hours` the age of what is too old."""

    policy: str
    code: str
    hours: int | None = None

    @property
    def is_open(self) -> bool:
        return self.code == "open"

    def as_json(self) -> dict[str, Any]:
        return {"policy": self.policy, "code": self.code, "hours": self.hours}


def gate_of(policy: BackupPolicy, now: datetime) -> Gate:
    """Fresh: not overdue. Proven: by a drill within the time that the policy gives. Both are needed."""
    code, since = "open", policy.last_good_at
    if policy.last_good_at is None:
        code = "no_backup"
    elif overdue_at(policy) <= now:
        code = "backup_old"
    elif policy.last_proven_at is None:
        code, since = "never_proven", None
    else:
        since, until = policy.last_proven_at, unproven_at(policy)
        if until is not None and until <= now:
            code = "proof_old"
    return Gate(policy.name, code, int((now - since) / timedelta(hours=1)) if since else None)


def gates_on(nodes: Sequence[Node], now: datetime) -> Mapping[uuid.UUID, list[Gate]]:
    """The gates before each node: of policies of its own and of its pool, by name. One query.

    For upgrades and for whatever else takes a control plane's node away, such as its replacement.
    """
    pools = {node.pool_id for node in nodes if node.pool_id}
    on_node, on_pool = Q(node__in=[node.pk for node in nodes]), Q(pool__in=pools) | Q(node__pool__in=pools)
    rows = BackupPolicy.objects.filter(on_node | on_pool, is_gate=True).select_related("node").order_by("name")
    found: dict[uuid.UUID, list[Gate]] = {node.pk: [] for node in nodes}
    for policy in rows:
        gate = gate_of(policy, now)
        pool = policy.pool_id or (policy.node.pool_id if policy.node else None)
        for node in nodes:
            if node.pk == policy.node_id or (pool is not None and node.pool_id == pool):
                found[node.pk].append(gate)
    return found
