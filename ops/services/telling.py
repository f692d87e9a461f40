"""What operations, requests and schedules tell of, in the words of the notifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.notify.outbox import Told, tell
from nodes.models import Pool
from ops import wording
from ops.models import BackupPolicy, Operation, OperationRequest, ScheduleRun
from ops.runbook import Stand
from ops.states import State
from ops.wording.runbook import TASKS as TASK_WORDS

_FAILED = frozenset({State.FAILED, State.TIMED_OUT})


def tell_end(row: Operation, state: str, result: str, *, now: datetime) -> None:
    """An operation ended, or waits for a person. In its transaction."""
    tell_ends([(row, state, result)], now=now)


def tell_ends(ended: Iterable[tuple[Operation, str, str]], *, now: datetime) -> None:
    """Several that ended in one transaction, each with its state and result: rules are read once."""
    tell([_end(row, state, result) for row, state, result in ended], now=now)


def _end(row: Operation, state: str, result: str) -> Told:
    if state == State.NEEDS_ATTENTION:
        event, severity, text = "operation.needs_attention", "critical", _("%(kind)s on %(node)s needs attention")
    elif state in _FAILED:
        event, severity, text = "operation.failed", "warning", _("%(kind)s on %(node)s failed")
    else:
        event, severity, text = "operation.finished", "info", _("%(kind)s on %(node)s ended")
    words = {"kind": wording.kind_word(row.kind), "node": row.node_name}
    return Told(
        event=event,
        severity=severity,
        text=text % words,
        path=reverse("operation", args=[row.pk]),
        subject=_subject(row),
        pool_id=row.pool_id,
        pool=row.pool_name,
        details={"operation": str(row.pk), "kind": row.kind, "state": str(state), "result": result},
    )


def _subject(row: Operation) -> str:
    if row.is_on_node:
        return f"node:{row.node_name}"
    return f"{row.cluster_name}:{row.node_name}" if row.cluster_name else row.subject


def tell_approval_wanted(request: OperationRequest, rows: Iterable[Operation], *, now: datetime) -> None:
    """Once per pool that the request touches."""
    pools = {row.pool_id: row.pool_name for row in rows}
    words = {"kind": wording.kind_word(request.kind), "who": request.requester.partition(":")[2]}
    text = _("%(who)s asks for approval: %(kind)s") % words
    path, details = reverse("operation_bulk", args=[request.pk]), {"request": str(request.pk), "kind": request.kind}
    subject = f"request:{request.pk}"
    wanted = [
        Told("request.approval_wanted", "warning", text, path, subject, pool_id, pool, details)
        for pool_id, pool in pools.items()
    ]
    tell(wanted, now=now)


def tell_finished(
    request: OperationRequest, counts: Mapping[tuple[Any, str], Mapping[str, int]], *, now: datetime
) -> None:
    """All operations of a request have ended. Once per pool that it touched, with how many ended how there.

    One that stopped at its threshold says so.
    """
    path, subject = reverse("operation_bulk", args=[request.pk]), f"request:{request.pk}"
    told = []
    for (pool_id, pool), states in counts.items():
        ended = ", ".join(
            f"{wording.state_word(state).lower()} {states[state]}" for state in State if states.get(state)
        )
        words = {"kind": wording.kind_word(request.kind), "pool": pool, "ended": ended}
        if request.stopped_at:
            text = _("%(kind)s stopped at its threshold of failures, and has ended: %(ended)s")
            if pool:
                text = _("%(kind)s in %(pool)s stopped at its threshold of failures, and has ended: %(ended)s")
        else:
            text = _("%(kind)s in %(pool)s has ended: %(ended)s") if pool else _("%(kind)s has ended: %(ended)s")
        details = {"request": str(request.pk), "kind": request.kind, "states": dict(states)}
        severity = "warning" if request.stopped_at or _FAILED & states.keys() else "info"
        told.append(Told("request.finished", severity, text % words, path, subject, pool_id, pool, details))
    tell(told, now=now)


def tell_run(run: ScheduleRun, *, now: datetime) -> None:
    """A schedule was missed, or failed."""
    schedule = run.schedule
    is_missed = run.state == "missed"
    text = _("The schedule %(name)s was missed: %(why)s") if is_missed else _("The schedule %(name)s failed: %(why)s")
    one = Told(
        event="schedule.missed" if is_missed else "schedule.failed",
        severity="warning" if is_missed else "critical",
        text=text % {"name": schedule.name, "why": run.why},
        path=reverse("schedule", args=[schedule.pk]),
        subject=f"schedule:{schedule.name}",
        pool_id=schedule.pool_id,
        pool=schedule.pool.name if schedule.pool else schedule.pool_name,
        details={
            "schedule": str(schedule.pk),
            "due_at": run.due_at.isoformat(),
            "paused": schedule.paused_at is not None,
        },
    )
    tell([one], now=now)


def tell_overdue(policy: BackupPolicy, *, is_overdue: bool, now: datetime) -> str:
    """A policy has no recent good backup, or has one again; the sentence that was told."""
    last = policy.last_good_at
    words = {"name": policy.name, "time": f"{last:%Y-%m-%d %H:%M} UTC" if last else ""}
    if not is_overdue:
        text = _("%(name)s has a recent good backup again") % words
    elif last:
        text = _("%(name)s has had no good backup since %(time)s") % words
    else:
        text = _("%(name)s never had a good backup") % words
    event, severity = ("backup.overdue", "critical") if is_overdue else ("backup.recovered", "info")
    _tell_policy(policy, event, severity, text, {"last_good_at": last.isoformat() if last else None}, now)
    return text


def tell_drill_failed(policy: BackupPolicy, why: str, *, now: datetime) -> None:
    text = _("The restore drill of %(name)s failed: %(why)s") % {"name": policy.name, "why": why}
    _tell_policy(policy, "backup.drill_failed", "critical", text, {}, now)


def tell_unproven(policy: BackupPolicy, *, is_unproven: bool, now: datetime) -> None:
    """The last proof of a policy is too old, or there is a recent one again."""
    last = policy.last_proven_at
    words = {"name": policy.name, "time": f"{last:%Y-%m-%d %H:%M} UTC" if last else ""}
    if not is_unproven:
        text = _("%(name)s was proven by a restore drill again") % words
    elif last:
        text = _("%(name)s has not been proven by a restore drill since %(time)s") % words
    else:
        text = _("%(name)s was never proven by a restore drill") % words
    event, severity = ("backup.unproven", "warning") if is_unproven else ("backup.proven", "info")
    _tell_policy(policy, event, severity, text, {"last_proven_at": last.isoformat() if last else None}, now)


def _tell_policy(
    policy: BackupPolicy, event: str, severity: str, text: str, details: Mapping[str, Any], now: datetime
) -> None:
    pool = policy.pool or (policy.node.pool if policy.node else None)
    one = Told(
        event=event,
        severity=severity,
        text=text,
        path=reverse("backup_policy", args=[policy.pk]),
        subject=f"backup-policy:{policy.name}",
        pool_id=pool.pk if pool else None,
        pool=pool.name if pool else "",
        details={"policy": str(policy.pk), "kind": policy.kind, **details},
    )
    tell([one], now=now)


def tell_task(pool: Pool, task: str, stand: Stand | None, *, now: datetime) -> None:
    """A Day-2 task of a pool is overdue; without a stand it is not any more."""
    last = stand.last_good_at if stand else None
    words = {
        "pool": pool.name,
        "task": TASK_WORDS.get(task, task),
        "time": f"{last:%Y-%m-%d %H:%M} UTC" if last else "",
    }
    if stand is None:
        text = _("%(pool)s: %(task)s is not overdue any more") % words
    elif last:
        text = _("%(pool)s: %(task)s is overdue, and was last done %(time)s") % words
    else:
        text = _("%(pool)s: %(task)s is overdue, and was never done") % words
    details = {"task": task, "every_days": stand.every_days if stand else None}
    one = Told(
        event="runbook.overdue" if stand else "runbook.in_time",
        severity="warning" if stand else "info",
        text=text,
        path=reverse("runbook", args=[pool.name]),
        subject=f"pool:{pool.name}/{task}",
        pool_id=pool.pk,
        pool=pool.name,
        details={**details, "last_good_at": last.isoformat() if last else None},
    )
    tell([one], now=now)
