"""How the tasks of pools stand: the same reads for one pool and for all of them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from nodes.axes import UpdateState
from nodes.models import ContainerOnNode, Node, Pool
from ops.models import BackupPolicy, Operation, RunbookEntry
from ops.runbook import BACKUP, CONTAINER_UPDATE, KINDS, OF_POLICIES, OS_UPDATE, TASKS, Stand, Task, stand
from ops.services.backups.reading import overdue_at, unproven_at
from ops.states import State

#: Of a node that was not reached yet, or is of no kind that FleetUI updates, nothing can be said.
_KNOWN = ~Q(update_state=UpdateState.UNKNOWN.value)
_BEHIND = _KNOWN & ~Q(update_state=UpdateState.UP_TO_DATE.value)


_NONE = {"all": 0, "known": 0, "behind": 0}


def stands(pools: QuerySet[Pool], now: datetime) -> dict[uuid.UUID, list[Stand]]:
    """By pool, in the order of the table. Five queries, however many pools, nodes and operations there are."""
    done = {f"done_{kind}": Subquery(_newest_good(kind)) for kind in KINDS}
    rows = list(pools.order_by().annotate(**done).values("pk", "created_at", *done))
    ids = [row["pk"] for row in rows]
    set_days = {
        (pool, task): days
        for pool, task, days in RunbookEntry.objects.filter(pool__in=ids).values_list("pool", "task", "every_days")
    }
    members = Node.objects.filter(pool__in=ids, lifecycle="active").order_by()
    counted = {"all": Count("pk"), "known": Count("pk", filter=_KNOWN), "behind": Count("pk", filter=_BEHIND)}
    counts = {row["pool"]: row for row in members.values("pool").annotate(**counted)}
    with_containers = ContainerOnNode.objects.filter(node__pool__in=ids, managed_by__in=("quadlet", "unit")).order_by()
    containers = set(with_containers.values_list("node__pool", flat=True).distinct())
    policies = policies_by_pool(ids)
    return {
        row["pk"]: [
            _of_pool(
                task,
                row,
                days=set_days.get((row["pk"], task.name)),
                count=counts.get(row["pk"], _NONE),
                has_containers=row["pk"] in containers,
                policies=policies.get(row["pk"], []),
                now=now,
            )
            for task in TASKS.values()
        ]
        for row in rows
    }


def policies_by_pool(pools: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[BackupPolicy]]:
    """What backs up something of each pool. One query."""
    found: dict[uuid.UUID, list[BackupPolicy]] = defaultdict(list)
    ids = list(pools)
    rows = BackupPolicy.objects.filter(Q(pool__in=ids) | Q(node__pool__in=ids)).select_related(
        "node", "schedule", "drill_schedule"
    )
    for policy in rows.order_by("name"):
        found[policy.pool_id or policy.node.pool_id].append(policy)
    return found


def _newest_good(kind: str) -> Any:
    rows = Operation.objects.filter(pool=OuterRef("pk"), kind=kind, ended_at__isnull=False)
    rows = rows.filter(state=State.SUCCEEDED.value)
    return rows.order_by("-ended_at").values("ended_at")[:1]


def _of_pool(
    task: Task,
    row: dict[str, Any],
    *,
    days: int | None,
    count: dict[str, int],
    has_containers: bool,
    policies: list[BackupPolicy],
    now: datetime,
) -> Stand:
    times = [row[f"done_{kind}"] for kind in task.kinds if row.get(f"done_{kind}")]
    last: datetime | None = max(times) if times else None
    since, nodes = row["created_at"], count["all"]
    if task.name in OF_POLICIES and (held := policies_of(task, policies)):
        # What was backed up, or proven, the longest ago counts: one policy that goes well does not hide another.
        lasts = [one.last_good_at if task.name == BACKUP else one.last_proven_at for one in held]
        last = min(lasts, key=lambda at: (at is not None, at))
        since, nodes = min(one.created_at for one in held), max(nodes, 1)
        dues = [at for one in held if (at := overdue_at(one) if task.name == BACKUP else unproven_at(one))]
        if days is None and dues:
            return _by_policies(task, min(dues), last, now)
    applies = {OS_UPDATE: bool(count["known"]), CONTAINER_UPDATE: has_containers}
    return stand(
        task,
        days=days,
        applies=applies.get(task.name, True),
        last_good_at=last,
        since=since,
        now=now,
        nodes=nodes,
        settled=task.name == OS_UPDATE and bool(count["known"]) and not count["behind"],
    )


def policies_of(task: Task, policies: list[BackupPolicy]) -> list[BackupPolicy]:
    """Those that the task is about: what others back up, they prove."""
    return [one for one in policies if task.name == BACKUP or one.kind != "reported"]


def _by_policies(task: Task, due_at: datetime, last: datetime | None, now: datetime) -> Stand:
    code = "overdue" if due_at <= now else "well" if last else "waits"
    return Stand(task, code, 0, by_policies=True, last_good_at=last, due_at=due_at)
