"""Operations that waited too long for their turn or for approvals: they touched nothing and end as timed out."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from fleetui.audit.log import Entry, append
from ops.models import Operation
from ops.states import UNTOUCHED, State


def expire_untouched(now: datetime) -> int:
    """End what waits past its deadline, and what waits for a node that is not there any more."""
    rows = list(
        Operation.objects.filter(state__in=sorted(UNTOUCHED), deadline__lte=now).select_related("request")[:200]
    )
    if not rows:
        return 0
    with transaction.atomic():
        entries = []
        for row in rows:
            mine = Operation.objects.filter(pk=row.pk, state=row.state)
            waited = {"waited_for": row.wait_reason or row.state}
            if mine.update(
                state=State.TIMED_OUT,
                state_since=now,
                ended_at=now,
                due_at=None,
                result="deadline",
                result_params=waited,
            ):
                what = {"state": "timed_out", "kind": row.kind, "node": row.node_name}
                entries.append(
                    Entry(
                        actor=row.request.requester,
                        action="operations.end",
                        subject=f"operation:{row.pk}",
                        after=what,
                        outcome="failed",
                    )
                )
        append(entries)
    return len(entries)
