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
from ops.runbook import BACKUP, CONTAINER_UPDATE, KINDS, OS_UPDATE, TASKS, Stand, Task, stand
from ops.services.backups.reading import overdue_at
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
    rows = BackupPolicy.objects.filter(Q(pool__in=ids) | Q(node__pool__in=ids)).select_related("node", "schedule")
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
    if task.name == BACKUP and policies:
        # What was backed up the longest ago counts: one policy that goes well does not hide another.
        last = min((one.last_good_at for one in policies), key=lambda at: (at is not None, at))
        since, nodes = min(one.created_at for one in policies), max(nodes, 1)
        if days is None:
            return _by_policies(task, policies, last, now)
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


def _by_policies(task: Task, policies: list[BackupPolicy], last: datetime | None, now: datetime) -> Stand:
    due_at = min(overdue_at(one) for one in policies)
    code = "overdue" if due_at <= now else "well" if last else "waits"
    return Stand(task, code, 0, by_policies=True, last_good_at=last, due_at=due_at)
