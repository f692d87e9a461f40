"""Approvals: how many a request needs, and what a yes or a no does. The database refuses approving one's own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, person_of, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, NotAllowed
from ops.models import Approval, ApprovalRule, Operation, OperationRequest
from ops.states import State


def rule_for(rules: Iterable[ApprovalRule], pool: str, kind: str) -> ApprovalRule | None:
    """The closest rule: pool and kind, then pool, then kind, then the one for everything."""
    found = {(rule.pool, rule.kind): rule for rule in rules}
    places = ((pool, kind), (pool, ""), ("", kind), ("", ""))
    return next((found[place] for place in places if place in found), None)


def needed_for(*, kind: str, pools: Iterable[str], now: datetime) -> tuple[int, datetime | None]:
    """The strictest rule of the pools that a request touches: how many approvals, and until when."""
    rules = list(ApprovalRule.objects.all())
    wanted = [rule for pool in set(pools) if (rule := rule_for(rules, pool, kind)) is not None and rule.approvers]
    if not wanted:
        return 0, None
    return max(rule.approvers for rule in wanted), now + timedelta(seconds=min(rule.expires_after_s for rule in wanted))


def decide(*, request: OperationRequest, grant: bool, actor: Principal, now: datetime, reason: str = "") -> Approval:
    """Approve or reject a whole request. The last approval that is needed queues its operations; a rejection ends them."""
    waiting = list(request.operations.filter(state=State.AWAITING_APPROVAL))
    for operation in waiting:
        require(actor, "operations.approve", operation)
    if not waiting:
        raise Conflict(_("This request does not wait for approval."), mend=_("Read it again."))
    if request.requester == str(actor) or person_of(request.requester) == person_of(str(actor)):
        raise NotAllowed(_("Nobody approves their own request."), mend=_("Ask somebody else who may approve."))
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
            _apply(request, grant=grant, now=now, actor=actor, reason=reason)
            append(
                [
                    Entry(
                        actor=str(actor),
                        action="operations.approve" if grant else "operations.reject",
                        subject=f"request:{request.pk}",
                        after={"kind": request.kind, "operations": len(waiting), "requester": request.requester},
                        reason=reason,
                    )
                ]
            )
    except IntegrityError as error:
        raise _decided_already() from error
    return approval


def _decided_already() -> Conflict:
    return Conflict(_("You have decided on this request already."), mend=_("Ask somebody else."))


def _apply(request: OperationRequest, *, grant: bool, now: datetime, actor: Principal, reason: str) -> None:
    waiting = Operation.objects.filter(request=request, state=State.AWAITING_APPROVAL)
    if not grant:
        params: dict[str, Any] = {"by": str(actor), "reason": reason[:300]}
        waiting.update(
            state=State.CANCELLED,
            state_since=now,
            ended_at=now,
            result="rejected",
            result_params=params,
            wait_reason="",
            wait_since=None,
        )
    elif request.approvals.filter(is_granted=True).count() >= request.approvals_needed:
        waiting.update(state=State.QUEUED, state_since=now, wait_reason="turn", wait_since=now)
