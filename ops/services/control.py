"""What people do to operations that exist: cancel, resolve, retry, stop everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from nodes.models import Node
from ops.actions.restore import PERMISSION as RESTORES
from ops.actions.restore import RESTORE, RESTORE_BESIDE, RESTORE_KINDS
from ops.actions.tidy import TIDY, leftovers
from ops.models import Operation, Stop
from ops.services.replacing.confirming import going_on, may_see_planes, require_planes
from ops.services.request import Answer, request_operations
from ops.services.stopped import say_lifted, say_stopped
from ops.states import FINAL, UNTOUCHED, State

#: What one may ask for again.
RETRIED = (State.FAILED, State.TIMED_OUT, State.CANCELLED, State.VOID)
CANCELLED_AT_ONCE = 100


def cancel(*, operation: Operation, actor: Principal, now: datetime, reason: str = "") -> Operation:
    """Cancel: at once where nothing began, else between two steps, taking back what can be taken back."""
    _require(actor, operation)
    _require_loose(operation)
    with transaction.atomic():
        mine = Operation.objects.filter(pk=operation.pk)
        asked, ended = _columns(actor, now, reason)
        done, after = mine.filter(state__in=sorted(UNTOUCHED)).update(**ended), State.CANCELLED
        if not done:
            # Due at once: a wait of minutes must not delay it. A step at work reads it when it has ended.
            working = mine.filter(state__in=[State.RUNNING, State.WAITING], cancel_requested_at=None)
            done, after = working.update(**asked, due_at=now), State.CANCELLING
        if not done:
            operation.refresh_from_db()
            if operation.state in FINAL:
                raise Conflict(_("This operation has ended."), mend=_("Read it again."))
            if operation.state == State.NEEDS_ATTENTION:
                raise Conflict(_("This operation waits for a person."), mend=_("Resolve it."))
            return operation
        append([_entry("operations.cancel", operation, actor, reason, after)])
    operation.refresh_from_db()
    return operation


def _require(actor: Principal, operation: Operation) -> None:
    """Whoever ends or lets go on what restores a backup may restore."""
    require(actor, "operations.request", operation)
    if operation.kind in RESTORE_KINDS:
        require(actor, RESTORES, operation)


def _may(actor: Principal, operation: Operation) -> bool:
    is_restore = operation.kind in RESTORE_KINDS
    return actor.may("operations.request", operation) and (not is_restore or actor.may(RESTORES, operation))


def _is_bound(operation: Operation) -> bool:
    """Of a restore: what has changed something ends by its guide, and with it what keeps the other hosts."""
    if operation.kind == RESTORE_BESIDE.kind:
        return True
    return operation.kind == RESTORE.kind and bool(operation.memory.get("changed"))


def may_cancel(actor: Principal, operation: Operation) -> bool:
    """Whether there is something to cancel, and who asks may."""
    is_open = operation.state in {State.RUNNING, State.WAITING, *UNTOUCHED} and operation.cancel_requested_at is None
    return is_open and not _is_bound(operation) and _may(actor, operation)


def may_resolve(actor: Principal, operation: Operation) -> bool:
    return operation.state == State.NEEDS_ATTENTION and _may(actor, operation)


def may_go_on(actor: Principal, operation: Operation) -> bool:
    """Of a control plane it takes what asking for it takes: the next step may remove a member of etcd."""
    return may_resolve(actor, operation) and may_see_planes(actor, operation)


def _require_loose(operation: Operation) -> None:
    if operation.kind == RESTORE_BESIDE.kind:
        raise Conflict(
            _("It keeps this host from other work while a backup is restored."), mend=_("Cancel the restore itself.")
        )
    if _is_bound(operation) and operation.state not in FINAL:
        raise Conflict(
            _("The restore has begun to change hosts: it does not end in the middle by itself."),
            mend=_("Let it go on, or go back, in its guide."),
        )


def cancel_all(*, operations: Iterable[Operation], actor: Principal, now: datetime, reason: str = "") -> int:
    """Cancel those that have not ended and may be cancelled by this principal; returns how many.

    So many at once share a transaction: hundreds of their own keep all others from writing for many seconds.
    """
    wanted = [one.pk for one in operations if _may_end(one) and _may(actor, one)]
    batches = (wanted[start : start + CANCELLED_AT_ONCE] for start in range(0, len(wanted), CANCELLED_AT_ONCE))
    return sum(_cancel_batch(batch, actor, now, reason) for batch in batches)


def _may_end(operation: Operation) -> bool:
    is_open = operation.state not in FINAL and operation.state != State.NEEDS_ATTENTION
    # What has not begun goes with the rest of its request.
    return is_open and (operation.state in UNTOUCHED or not _is_bound(operation))


def _cancel_batch(keys: Sequence[Any], actor: Principal, now: datetime, reason: str) -> int:
    asked, ended = _columns(actor, now, reason)
    with transaction.atomic():
        # As they are now, and nobody else moves them until all are written.
        found = (
            Operation.objects.filter(pk__in=keys)
            .only("kind", "node_name", "state", "cancel_requested_at", "memory")
            .held()
        )
        rows = [row for row in found if _may_end(row)]
        untouched = [row for row in rows if row.state in UNTOUCHED]
        working = [
            row for row in rows if row.state in (State.RUNNING, State.WAITING) and row.cancel_requested_at is None
        ]
        Operation.objects.filter(pk__in=[row.pk for row in untouched]).update(**ended)
        Operation.objects.filter(pk__in=[row.pk for row in working]).update(**asked, due_at=now)
        append(
            [_entry("operations.cancel", row, actor, reason, State.CANCELLED) for row in untouched]
            + [_entry("operations.cancel", row, actor, reason, State.CANCELLING) for row in working]
        )
    return len(rows)


def _columns(actor: Principal, now: datetime, reason: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is written where a step is at work, and where nothing began."""
    asked = {"cancel_requested_at": now, "cancel_requested_by": str(actor), "cancel_reason": reason[:300]}
    return asked, {
        **asked,
        "state": State.CANCELLED,
        "state_since": now,
        "ended_at": now,
        "due_at": None,
        "result": "cancelled",
        "result_params": {"by": str(actor), "reason": reason[:300], "untouched": True},
        "wait_reason": "",
        "wait_params": {},
        "wait_since": None,
    }


def resolve(*, operation: Operation, go_on: bool, actor: Principal, now: datetime, reason: str = "") -> Operation:
    """A person has looked at an operation that needed attention: it goes on with its step, or ends as failed.

    Before it ends, what it left on the host is taken back as far as the host lets it.
    """
    _require(actor, operation)
    if go_on:
        # Its end as failed takes nothing away from anybody, and neither does a cancel.
        require_planes(actor, operation)
    with transaction.atomic():
        waiting = Operation.objects.filter(pk=operation.pk, state=State.NEEDS_ATTENTION)
        row = waiting.select_for_update().first()
        columns: dict[str, Any] = {} if row is None else going_on(now) if go_on else _given_up(row, actor, now, reason)
        if not columns or not waiting.update(**columns):
            raise Conflict(_("This operation does not wait for a person."), mend=_("Read it again."))
        action = "operations.go_on" if go_on else "operations.resolve"
        append([_entry(action, operation, actor, reason, columns["state"])])
    operation.refresh_from_db()
    return operation


def _given_up(row: Operation, actor: Principal, now: datetime, reason: str) -> dict[str, Any]:
    """The columns of an operation that a person ends: it tidies up first where there is something to take back."""
    # What went before tidying says more than that it could not be tidied.
    before = row.memory.get("ending") or {"result": row.result, "params": row.result_params}
    params = {"by": str(actor), "reason": reason[:300], "before": before["result"], "known": before["params"]}
    ending = {"state": State.FAILED.value, "result": "ended_by_person", "params": params}
    memory = {**row.memory, "ending": ending, "given_up": True}
    if not leftovers(memory) or row.node_id is None:
        ended = {"result": ending["result"], "result_params": params}
        return {"state": State.FAILED, "state_since": now, "due_at": None, "ended_at": now, **ended}
    memory.pop("busy", None)
    return {
        "state": State.CANCELLING,
        "state_since": now,
        "memory": memory,
        "step": TIDY,
        "step_number": row.step_number + 1,
        "attempt": 1,
        "due_at": now,
        "result": "",
        "result_params": {},
    }


def retry(
    *,
    operations: Sequence[Operation],
    actor: Principal,
    now: datetime,
    reason: str = "",
    idempotency_key: str = "",
) -> Answer:
    """Ask again for what did not succeed, with a new plan; all of one kind and with the same parameters.

    What was retried before is left out: the retry is what can be retried then.
    """
    again = set(Operation.objects.filter(retry_of__in=operations).values_list("retry_of", flat=True))
    if idempotency_key:
        again -= set(_retried_under(idempotency_key, actor))
    # A restore is asked for with its guide: which backup, on which hosts, is looked at anew.
    wanted = [
        one
        for one in operations
        if one.state in RETRIED and one.node_id and one.pk not in again and one.kind not in RESTORE_KINDS
    ]
    if not wanted:
        raise Conflict(
            _("None of these can be retried."),
            mend=_(
                "Choose some that failed or were cancelled, and were not retried yet. "
                "Of a whole request, what a person cancelled or rejected is left out."
            ),
        )
    first = wanted[0]
    nodes = list(Node.objects.filter(pk__in=[one.node_id for one in wanted]).select_related("pool__cluster"))
    return request_operations(
        nodes=nodes,
        kind=first.kind,
        params=first.params,
        reason=reason or first.request.reason,
        selector={"retry_of": str(first.request_id), "operations": sorted(str(one.pk) for one in wanted)},
        idempotency_key=idempotency_key,
        max_attempts=first.request.max_attempts,
        stop_after=first.request.stop_after,
        retries={one.node_id: one.pk for one in wanted if one.node_id},
        actor=actor,
        now=now,
    )


def _retried_under(key: str, actor: Principal) -> list[Any]:
    """What the request of this key retried, so that the same call again finds it and answers the same."""
    mine = Operation.objects.filter(request__requester=str(actor), request__idempotency_key=key[:200])
    return list(mine.values_list("retry_of", flat=True))


def stop_all(*, actor: Principal, now: datetime, reason: str) -> Stop:
    """Nothing starts any more until somebody lifts it; what runs goes on to its end."""
    if not actor.may_somewhere("operations.request"):
        require(actor, "operations.request")
    with transaction.atomic():
        Stop.objects.get_or_create(id=1)
        free = Stop.objects.filter(id=1, stopped_at=None)
        if free.update(stopped_at=now, stopped_by=str(actor), reason=reason[:300]):
            say_stopped(Stop.objects.get(id=1))
            append([Entry(actor=str(actor), action="operations.stop_all", subject="operations", reason=reason)])
    return Stop.objects.get(id=1)


def lift_stop(*, actor: Principal, reason: str = "") -> Stop:
    """Let operations start again. Needs the right everywhere: it concerns every pool."""
    require(actor, "operations.request")
    with transaction.atomic():
        stopped = Stop.objects.filter(id=1, stopped_at__isnull=False)
        if stopped.update(stopped_at=None, stopped_by="", reason=""):
            say_lifted()
            append([Entry(actor=str(actor), action="operations.lift_stop", subject="operations", reason=reason)])
    return Stop.objects.get_or_create(id=1)[0]


def _entry(action: str, operation: Operation, actor: Principal, reason: str, after: State) -> Entry:
    what = {"kind": operation.kind, "node": operation.node_name, "state": operation.state}
    return Entry(
        actor=str(actor),
        action=action,
        subject=f"operation:{operation.pk}",
        before=what,
        after={"state": str(after)},
        reason=reason,
    )
