"""A request with `stop_after`: when so many of its operations have ended badly, none of it begins any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry
from fleetui.core.errors import InvalidInput
from ops.models import Operation, OperationRequest
from ops.states import UNTOUCHED, State

MOST = 2000
#: The result of what did not begin because of it.
RESULT = "threshold"
#: What counts. One that runs out of time before it began has only waited.
_BAD_STATES = frozenset({State.FAILED, State.NEEDS_ATTENTION, State.TIMED_OUT})
_BAD = Q(state__in=[State.FAILED, State.NEEDS_ATTENTION]) | Q(state=State.TIMED_OUT, started_at__isnull=False)


def checked_stop_after(value: int | None) -> int | None:
    if value is None or 1 <= value <= MOST:
        return value
    raise InvalidInput(
        _("A request cannot stop after %(value)s failures.") % {"value": value},
        field="stop_after",
        value=value,
        mend=_("Give 1 to %(most)s, or leave it out.") % {"most": MOST},
    )


class Threshold:
    """What one operation that ends may do to the rest of its request. Everything happens in the transaction of that end.

    Requests without a threshold cost no query. `hold_request` comes before the node of the operation is taken and
    `hold_operations` after it: stop, request, nodes, operations, audit head. Two that end badly at the same time see
    each other's count one after the other, since both take the request first.
    """

    def __init__(self, row: Operation, after: str) -> None:
        self._row = row
        #: Once it has stopped nothing is left to stop: what we read of it before the transaction is still true.
        self._counts = row.request.stop_after is not None and row.request.stopped_at is None and after in _BAD_STATES
        self._request = row.request

    def hold_request(self) -> None:
        if self._counts:
            self._request = OperationRequest.objects.select_for_update().get(pk=self._row.request_id)

    def hold_operations(self) -> None:
        """This one and those that may be ended, by id, as all who write several operations take them."""
        if self._counts:
            mine = Q(pk=self._row.pk) | Q(request=self._row.request_id, state__in=sorted(UNTOUCHED))
            Operation.objects.filter(mine).held()

    def stop(self, now: datetime) -> list[Entry]:
        """End what has not begun, if so many have ended badly by now; gives what is to be audited."""
        request = self._request
        if not self._counts or request.stopped_at is not None:
            return []
        bad = request.operations.filter(_BAD).count()
        untouched = request.operations.filter(state__in=sorted(UNTOUCHED))
        if bad < (request.stop_after or 0) or not (ended := list(untouched.order_by("number"))):
            return []
        params = {"count": bad, "stop_after": request.stop_after}
        untouched.update(**_ended(params, now))
        OperationRequest.objects.filter(pk=request.pk).update(stopped_at=now)
        after = {"kind": request.kind, "ended_badly": bad, "stop_after": request.stop_after, "not_begun": len(ended)}
        stopped = Entry(str(SYSTEM), "operations.stop_request", f"request:{request.pk}", after=after)
        return [stopped, *_entries(ended)]


def _ended(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "state": State.CANCELLED,
        "state_since": now,
        "ended_at": now,
        "due_at": None,
        "result": RESULT,
        "result_params": params,
        "wait_reason": "",
        "wait_params": {},
        "wait_since": None,
    }


def _entries(ended: Sequence[Operation]) -> list[Entry]:
    return [
        Entry(
            actor=str(SYSTEM),
            action="operations.end",
            subject=f"operation:{row.pk}",
            before={"state": str(row.state)},
            after={"state": str(State.CANCELLED), "kind": row.kind, "node": row.node_name, "result": RESULT},
            outcome="failed",
        )
        for row in ended
    ]
