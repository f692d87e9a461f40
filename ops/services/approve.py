"""Approvals: how many a request needs, and what a yes or a no does. The database refuses approving one's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, person_of, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from ops.models import Approval, ApprovalRule, Operation, OperationRequest
from ops.services.rules import rule_for
from ops.states import State


@dataclass(frozen=True)
class Needed:
    """How many approvals a request needs, and until when they have to be there."""

    approvals: int = 0
    until: datetime | None = None


def needed_for(*, kind: str, pools: Iterable[str], approve_by: datetime | None = None, now: datetime) -> Needed:
    """The strictest rule of the pools that a request touches. `approve_by` may ask for less time than the rule gives."""
    if approve_by is not None and approve_by <= now:
        raise _bad_time(approve_by, _("It lies in the past."), _("Give a later time, or leave it out."))
    rules = list(ApprovalRule.objects.all())
    wanted = [rule for pool in set(pools) if (rule := rule_for(rules, pool, kind)) is not None and rule.approvers]
    if not wanted:
        return Needed()
    latest = now + timedelta(seconds=min(rule.expires_after_s for rule in wanted))
    if approve_by is not None and approve_by > latest:
        mend = _("Give a time until %(latest)s, or leave it out.") % {"latest": latest.isoformat(timespec="seconds")}
        raise _bad_time(approve_by, _("The approval rule gives less time."), mend)
    return Needed(max(rule.approvers for rule in wanted), approve_by or latest)


def _bad_time(value: datetime, why: str, mend: str) -> InvalidInput:
    return InvalidInput(
        _("Until then nobody can approve it. %(why)s") % {"why": why},
        field="approve_by",
        value=value.isoformat(),
        mend=mend,
    )


def decide(*, request: OperationRequest, grant: bool, actor: Principal, now: datetime, reason: str = "") -> Approval:
    """Approve or reject a whole request. The last approval that is needed queues its operations; a rejection ends them."""
    waiting = list(request.operations.filter(state=State.AWAITING_APPROVAL))
    for operation in waiting:
        require(actor, "operations.approve", operation)
    if not waiting:
        raise Conflict(_("This request does not wait for approval."), mend=_("Read it again."))
    if request.requester == str(actor) or person_of(request.requester) == person_of(str(actor)):
        raise NotAllowed(_("Nobody approves their own request."), mend=_("Ask somebody else who may approve."))
    if request.approve_by is not None and now >= request.approve_by:
        raise Conflict(_("The time to approve this request is over."), mend=_("It has to be asked for again."))
    try:
        with transaction.atomic():
            # Taken first: two approvals at once see each other's count one after the other.
            OperationRequest.objects.select_for_update().get(pk=request.pk)
            earlier = request.approvals.values_list("approver", flat=True)
            if any(person_of(approver) == person_of(str(actor)) for approver in earlier):
                # By a token or not: two approvals are those of two people.
                raise _decided_already()
            approval = Approval.objects.create(
                request=request,
                approver=str(actor),
                requester=request.requester,
                is_granted=grant,
                at=now,
                reason=reason[:300],
            )
            ended = _apply(request, grant=grant, now=now, actor=actor, reason=reason)
            entry = Entry(
                actor=str(actor),
                action="operations.approve" if grant else "operations.reject",
                subject=f"request:{request.pk}",
                after={"kind": request.kind, "operations": len(waiting), "requester": request.requester},
                reason=reason,
            )
            append([entry, *(_ended(request, one, actor, reason) for one in ended)])
    except IntegrityError as error:
        raise _decided_already() from error
    return approval


def _decided_already() -> Conflict:
    return Conflict(_("You have decided on this request already."), mend=_("Ask somebody else."))


def approval_waited_for(request: OperationRequest, needed: int) -> dict[str, Any]:
    """What an operation of it says that it waits for: so many people more, and until when."""
    if not needed or request.approve_by is None:
        return {}
    return {"needed": needed, "until": request.approve_by.isoformat()}


def _apply(request: OperationRequest, *, grant: bool, now: datetime, actor: Principal, reason: str) -> list[Operation]:
    """Queue or end what waits; gives what ended."""
    waiting = Operation.objects.filter(request=request, state=State.AWAITING_APPROVAL).held()
    if grant:
        rest = request.approvals_needed - request.approvals.filter(is_granted=True).count()
        if rest > 0:
            waiting.update(wait_params=approval_waited_for(request, rest))
        else:
            waiting.update(state=State.QUEUED, state_since=now, wait_reason="turn", wait_params={}, wait_since=now)
        return []
    ended = list(waiting)
    params: dict[str, Any] = {"by": str(actor), "reason": reason[:300]}
    waiting.update(
        state=State.CANCELLED,
        state_since=now,
        ended_at=now,
        result="rejected",
        result_params=params,
        wait_reason="",
        wait_params={},
        wait_since=None,
    )
    return ended


def _ended(request: OperationRequest, row: Operation, actor: Principal, reason: str) -> Entry:
    return Entry(
        actor=str(actor),
        action="operations.end",
        subject=f"operation:{row.pk}",
        before={"state": str(State.AWAITING_APPROVAL)},
        after={"state": str(State.CANCELLED), "kind": row.kind, "node": row.node_name, "result": "rejected"},
        reason=reason,
        outcome="failed",
    )
