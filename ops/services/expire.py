"""Operations that waited too long for their turn or for approvals: they touched nothing and end as timed out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from fleetui.audit.log import Entry, append
from ops.models import Operation
from ops.services.telling import tell_ends
from ops.states import UNTOUCHED, State


def expire_untouched(now: datetime) -> int:
    """End what waits past its deadline, or past the time that it had to be approved in."""
    # Not the newest first, as elsewhere: for that SQLite would read through all that ever ended.
    untouched = (
        Operation.objects.open().filter(state__in=sorted(UNTOUCHED)).select_related("request").order_by("deadline")
    )
    unapproved = Q(state=State.AWAITING_APPROVAL, request__approve_by__lte=now)
    rows = list(untouched.filter(Q(deadline__lte=now) | unapproved)[:200])
    if not rows:
        return 0
    with transaction.atomic():
        entries, ended = [], []
        # By id, as all who write several operations take them.
        for row in sorted(rows, key=lambda row: row.pk):
            mine = Operation.objects.filter(pk=row.pk, state=row.state)
            result, params = _why(row)
            if mine.update(
                state=State.TIMED_OUT,
                state_since=now,
                ended_at=now,
                due_at=None,
                result=result,
                result_params=params,
                wait_reason="",
                wait_params={},
                wait_since=None,
            ):
                ended.append((row, State.TIMED_OUT.value, result))
                what = {"state": "timed_out", "kind": row.kind, "node": row.node_name, "result": result}
                entries.append(
                    Entry(
                        actor=row.request.requester,
                        action="operations.end",
                        subject=f"operation:{row.pk}",
                        before={"state": row.state},
                        after=what,
                        reason=row.request.reason,
                        outcome="failed",
                    )
                )
        tell_ends(ended, now=now)
        append(entries)
    return len(entries)


def _why(row: Operation) -> tuple[str, dict[str, Any]]:
    if row.state == State.AWAITING_APPROVAL:
        return "not_approved", {"needed": row.request.approvals_needed}
    return "deadline", {"waited_for": row.wait_reason or row.state, **row.wait_params, "untouched": True}
