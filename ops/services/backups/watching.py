"""What is looked at again and again: runs whose operations have ended, and policies that have no recent good backup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from fleetui.audit.log import Entry, append
from fleetui.core.heartbeats import mark
from ops.models import BackupDrill, BackupPolicy, BackupRun
from ops.services.backups.reading import overdue_at, unproven_at
from ops.services.telling import tell_drill_failed, tell_overdue, tell_unproven
from ops.states import FINAL, State
from ops.wording import result_sentence

#: The sign of life that says that something is overdue: only then pages ask what.
OVERDUE_JOB: Final = "backup_overdue"


def settle(now: datetime, policy: BackupPolicy | None = None) -> int:
    """Write into the ledger how runs ended that did not become good; returns how many.

    The operation has said so to everybody already; this keeps it when the operation is long gone.
    """
    ended = Q(operation__state__in=sorted(FINAL)) | Q(operation=None)
    rows = BackupRun.objects.filter(ended, state="running").select_related("operation")
    count = 0
    for run in rows.filter(policy=policy) if policy is not None else rows:
        operation = run.operation
        columns: Mapping[str, Any] = {
            "state": "failed",
            "ended_at": operation.ended_at if operation else now,
            "result": operation.result if operation else "operation_gone",
            "result_params": operation.result_params if operation else {},
        }
        count += BackupRun.objects.filter(pk=run.pk, state="running").update(**columns)
    drills = BackupDrill.objects.filter(ended, state="running").select_related(
        "operation", "policy__pool", "policy__node__pool"
    )
    for drill in drills.filter(policy=policy) if policy is not None else drills:
        count += _failed(drill, now)
    return count


def _failed(drill: BackupDrill, now: datetime) -> int:
    """A drill that did not end well is told of, unless a person ended it."""
    operation = drill.operation
    result = operation.result if operation else "operation_gone"
    params = operation.result_params if operation else {}
    ended_at = operation.ended_at if operation else now
    with transaction.atomic():
        mine = BackupDrill.objects.filter(pk=drill.pk, state="running")
        if not mine.update(state="failed", ended_at=ended_at, result=result, result_params=params):
            return 0
        if operation is None or operation.state not in (State.CANCELLED, State.VOID):
            tell_drill_failed(drill.policy, result_sentence(result, params), now=now)
    return 1


def watch(now: datetime) -> int:
    """Tell once of each policy that became overdue, and once when it is not any more; returns how many are overdue."""
    overdue = 0
    for policy in BackupPolicy.objects.select_related("node__pool", "pool"):
        is_overdue = overdue_at(policy) <= now
        overdue += is_overdue
        if is_overdue != (policy.overdue_since is not None):
            _turned(policy, is_overdue=is_overdue, now=now)
        until = unproven_at(policy)
        is_unproven = until is not None and until <= now
        if is_unproven != (policy.unproven_since is not None):
            _proof_turned(policy, is_unproven=is_unproven, now=now)
    if overdue:
        mark(OVERDUE_JOB, {"count": overdue})
    return overdue


def _turned(policy: BackupPolicy, *, is_overdue: bool, now: datetime) -> None:
    with transaction.atomic():
        mine = BackupPolicy.objects.filter(pk=policy.pk, overdue_since__isnull=is_overdue)
        if not mine.update(overdue_since=now if is_overdue else None):
            return
        text = tell_overdue(policy, is_overdue=is_overdue, now=now)
        if is_overdue:
            entry = Entry("system:fleetui", "backups.overdue", f"backup-policy:{policy.name}", reason=text)
            append([entry])


def _proof_turned(policy: BackupPolicy, *, is_unproven: bool, now: datetime) -> None:
    with transaction.atomic():
        mine = BackupPolicy.objects.filter(pk=policy.pk, unproven_since__isnull=is_unproven)
        if mine.update(unproven_since=now if is_unproven else None):
            tell_unproven(policy, is_unproven=is_unproven, now=now)
