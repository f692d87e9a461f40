"""Operations that wait for nothing any more: too long for their turn or for approvals, or for a node that was retired."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from fleetui.audit.log import Entry, append
from nodes.axes import Lifecycle
from nodes.models import Node
from ops.models import Operation
from ops.services.telling import tell_ends
from ops.states import UNTOUCHED, State


def expire_untouched(now: datetime) -> int:
    """End what waits past its deadline, or past the time that it had to be approved in. They touched nothing."""
    # Not the newest first, as elsewhere: for that SQLite would read through all that ever ended.
    untouched = (
        Operation.objects.open().filter(state__in=sorted(UNTOUCHED)).select_related("request").order_by("deadline")
    )
    unapproved = Q(state=State.AWAITING_APPROVAL, request__approve_by__lte=now)
    return _end(list(untouched.filter(Q(deadline__lte=now) | unapproved)[:200]), _out_of_time, now)


def void_of_retired(now: datetime) -> int:
    """End what has not begun on nodes that were retired; what has begun turns back by itself."""
    # From the operations that are open to their nodes, never from the nodes to all that was ever done to them.
    retired = Node.objects.filter(pk=OuterRef("node_id"), lifecycle=Lifecycle.RETIRED)
    untouched = Operation.objects.open().filter(state__in=sorted(UNTOUCHED)).order_by("deadline")
    rows = untouched.filter(Exists(retired)).select_related("request")[:200]
    return _end(list(rows), lambda _row: (State.VOID, "void", {}), now)


_Why = tuple[State, str, dict[str, Any]]


def _end(rows: list[Operation], why: Callable[[Operation], _Why], now: datetime) -> int:
    if not rows:
        return 0
    with transaction.atomic():
        entries, ended = [], []
        # By id, as all who write several operations take them.
        for row in sorted(rows, key=lambda row: row.pk):
            mine = Operation.objects.filter(pk=row.pk, state=row.state)
            state, result, params = why(row)
            if mine.update(
                state=state,
                state_since=now,
                ended_at=now,
                due_at=None,
                result=result,
                result_params=params,
                wait_reason="",
                wait_params={},
                wait_since=None,
            ):
                ended.append((row, state.value, result))
                what = {"state": state.value, "kind": row.kind, "node": row.node_name, "result": result}
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


def _out_of_time(row: Operation) -> _Why:
    if row.state == State.AWAITING_APPROVAL:
        return State.TIMED_OUT, "not_approved", {"needed": row.request.approvals_needed}
    waited = {"waited_for": row.wait_reason or row.state, **row.wait_params, "untouched": True}
    return State.TIMED_OUT, "deadline", waited
