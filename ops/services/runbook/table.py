"""The table of one pool, as page and API show it: how each task stands, how it went last, and what comes next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Q, Subquery

from fleetui.access.principals import Principal
from nodes.models import Pool
from ops.models import BackupDrill, BackupPolicy, BackupRun, Operation, Schedule
from ops.runbook import BACKUP, KINDS, OF_POLICIES, Stand, Task
from ops.services.runbook.standing import policies_by_pool, policies_of, stands
from ops.states import ACTIVE, State


@dataclass(frozen=True)
class Last:
    """The last attempt. `counts` are the operations of its request in the pool, by state; `by` reads `user:anna`.

    Of a backup that another job made and reported there is no operation.
    """

    at: datetime
    by: str
    counts: dict[str, int]
    request: Any = None
    operation: Any = None


@dataclass(frozen=True)
class Row:
    """One task. `running` are operations that have not ended; `next_at` is the next time by `schedule`."""

    stand: Stand
    last: Last | None = None
    running: int = 0
    next_at: datetime | None = None
    schedule: Schedule | None = None
    policies: list[BackupPolicy] = field(default_factory=list)

    @property
    def task(self) -> Task:
        return self.stand.task


def table(principal: Principal, pool: Pool, now: datetime) -> list[Row]:
    """Of what this principal sees. The same number of queries for every pool."""
    found = stands(Pool.objects.filter(pk=pool.pk), now)[pool.pk]
    may_backups = principal.may("backups.read", pool)
    policies = policies_by_pool([pool.pk]).get(pool.pk, []) if may_backups else []
    attempts = _attempts(pool)
    running = dict(
        Operation.objects.open()
        .filter(pool=pool, kind__in=KINDS, state__in=sorted(ACTIVE))
        .order_by()
        .values_list("kind")
        .annotate(Count("pk"))
    )
    due = _due(principal, pool)
    rows = []
    for one in found:
        is_of_policies = one.task.name in OF_POLICIES
        if is_of_policies and not may_backups:
            continue
        held = policies_of(one.task, policies) if is_of_policies else []
        tries = [attempts[kind] for kind in one.task.kinds if kind in attempts]
        last = _last_of(one.task, held) if is_of_policies else max(tries, key=lambda last: last.at, default=None)
        own = [each.schedule if one.task.name == BACKUP else each.drill_schedule for each in held]
        times = [schedule for schedule in own if schedule and schedule.next_run_at]
        times += [schedule for kind in one.task.kinds for schedule in due.get(kind, [])]
        schedule = min(times, key=lambda schedule: schedule.next_run_at or now, default=None)
        rows.append(
            Row(
                one,
                last,
                sum(running.get(kind, 0) for kind in one.task.kinds),
                schedule.next_run_at if schedule else None,
                schedule,
                held,
            )
        )
    return rows


def _attempts(pool: Pool) -> dict[str, Last]:
    """The last of each kind that ended in the pool. Three queries."""
    ended = Operation.objects.filter(pool=OuterRef("pk"), ended_at__isnull=False).exclude(state=State.VOID)
    newest = {
        f"last_{kind}": Subquery(ended.filter(kind=kind).order_by("-ended_at").values("pk")[:1])
        for kind in KINDS
        if kind not in OF_POLICIES
    }
    ids = Pool.objects.order_by().annotate(**newest).values_list(*newest).get(pk=pool.pk)
    rows = list(Operation.objects.filter(pk__in=[pk for pk in ids if pk]).select_related("request"))
    counts: dict[Any, Counter[str]] = {}
    whole = Operation.objects.filter(request__in=[row.request_id for row in rows], pool=pool).order_by()
    for request, state, count in whole.values_list("request", "state").annotate(Count("pk")):
        counts.setdefault(request, Counter())[state] = count
    return {
        row.kind: Last(row.ended_at, row.request.requester, dict(counts[row.request_id]), row.request_id, row.pk)
        for row in rows
    }


def _last_of(task: Task, policies: list[BackupPolicy]) -> Last | None:
    """By the ledger, which also knows what other jobs backed up, and by whom a drill was asked for."""
    ledger = (BackupRun if task.name == BACKUP else BackupDrill).objects
    ended = ledger.filter(policy__in=[one.pk for one in policies], ended_at__isnull=False)
    run = ended.select_related("operation__request").order_by("-ended_at").first()
    if run is None:
        return None
    operation = run.operation
    by = run.asked_by if isinstance(run, BackupDrill) else run.reported_by
    by = by or (operation.request.requester if operation else "")
    state = State.SUCCEEDED if run.state == "good" else State.FAILED
    return Last(run.ended_at, by, {state.value: 1}, operation.request_id if operation else None, run.operation_id)


def _due(principal: Principal, pool: Pool) -> dict[str, list[Schedule]]:
    """Schedules of operations that reach the pool, by kind: its own, and those for every pool that leave none out."""
    rows = Schedule.objects.visible_to(principal).filter(job="operation", next_run_at__isnull=False)
    found: dict[str, list[Schedule]] = {}
    for schedule in rows.filter(Q(pool=pool) | Q(pool=None, pool_name="", task__selector={})):
        found.setdefault(str(schedule.task.get("kind", "")), []).append(schedule)
    return found
