"""A request: one operation per node that it can be done to, with the frozen plan; the others are refused with the reason."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.chain import canonical
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.core.words import any_of
from nodes.models import Node
from ops import actions, wording
from ops.actions.base import ParamsRefused
from ops.models import Operation, OperationRequest
from ops.services.approve import approval_waited_for, needed_for
from ops.services.plan import NodePlan, plan_for
from ops.services.reasons import checked_reason
from ops.services.replacing.planes import NOT_ALL, may_all
from ops.services.telling import tell_approval_wanted
from ops.services.threshold import checked_stop_after
from ops.states import State

MOST_NODES = 2000
DEFAULT_DEADLINE = timedelta(hours=4)
LONGEST_DEADLINE = timedelta(days=7)
MOST_ATTEMPTS = 10


@dataclass(frozen=True)
class Refused:
    """A node that no operation was made for, with the code why."""

    node: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"node": self.node, "code": self.code, "params": dict(self.params)}


@dataclass(frozen=True)
class Answer:
    """What became of a request: its operations, and the nodes that it was refused for."""

    request: OperationRequest
    operations: Sequence[Operation] = ()
    refused: Sequence[Refused] = ()
    is_repeat: bool = False


def checked_params(kind: str, params: Mapping[str, Any], known: Sequence[str] | None = None) -> dict[str, Any]:
    """The kind is one that may be asked for here, and its parameters have the form that it takes."""
    known = actions.askable() if known is None else known
    if kind not in known:
        raise InvalidInput(
            _("%(value)r is no kind of operation.") % {"value": kind},
            field="kind",
            value=kind,
            mend=_("Use %(known)s.") % {"known": any_of(known)},
        )
    try:
        return dict(actions.get(kind).check_params(params))
    except ParamsRefused as error:
        message, mend = wording.param_problem(error)
        raise InvalidInput(
            message, field=f"params.{error.field}", value=error.params.get("value"), mend=mend
        ) from error


def checked_deadline(deadline: datetime | None, now: datetime) -> datetime | None:
    if deadline is None or now < deadline <= now + LONGEST_DEADLINE:
        return deadline
    raise InvalidInput(
        _("The deadline lies in the past or too far ahead."),
        field="deadline",
        value=deadline.isoformat(),
        mend=_("Give a time within the next %(days)s days.") % {"days": LONGEST_DEADLINE.days},
    )


def checked_attempts(kind: str, attempts: int | None) -> int:
    """How often a step of this request is tried at most: as asked for, else as its kind has it."""
    if attempts is None:
        return actions.get(kind).max_attempts
    if 1 <= attempts <= MOST_ATTEMPTS:
        return attempts
    raise InvalidInput(
        _("%(value)s is not a number of attempts.") % {"value": attempts},
        field="max_attempts",
        value=attempts,
        mend=_("Give 1 to %(most)s, or leave it out.") % {"most": MOST_ATTEMPTS},
    )


def checked_count(count: int, field: str, *, may_be_empty: bool = True) -> None:
    """So many nodes may be in one request; `field` is where they were named. They were read up to one more than may be."""
    if count > MOST_NODES:
        most = f"{MOST_NODES:,}"
        raise InvalidInput(
            _("More than %(most)s nodes are too many for one request.") % {"most": most},
            field=field,
            mend=_("Ask for at most %(limit)s at once, one pool after another for example.") % {"limit": most},
        )
    if not count and not may_be_empty:
        named, found = _("Name at least one."), _("See what the same filters find in the list of nodes.")
        raise InvalidInput(nobody(field), field=field, mend=named if field == "nodes" else found)


def nobody(field: str) -> str:
    """Why a request has no nodes."""
    return _("The list of nodes is empty.") if field == "nodes" else _("The selector finds no node that you may see.")


def preview(
    *, nodes: Sequence[Node], kind: str, params: Mapping[str, Any], actor: Principal, now: datetime
) -> list[NodePlan]:
    """What a request would do; writes nothing."""
    checked = checked_params(kind, params)
    return [_allowed(plan, actor, kind) for plan in plan_for(nodes, kind=kind, params=checked, now=now)]


def _allowed(plan: NodePlan, actor: Principal, kind: str) -> NodePlan:
    action = actions.get(kind)
    lacking = [one for one in (action.permission, *action.needs) if not actor.may(one, plan.node)]
    if not lacking:
        is_lost = kind == "replace" and plan.is_control_plane and not may_all(actor, plan.node)
        return NodePlan(plan.node, NOT_ALL) if is_lost else plan
    # What a kind takes besides is named: who may ask for others wonders.
    code = "not_allowed" if lacking[0] == action.permission else "needs_permissions"
    return NodePlan(plan.node, code, {"permissions": ", ".join(lacking)})


def request_operations(
    *,
    nodes: Sequence[Node],
    kind: str,
    params: Mapping[str, Any] | None = None,
    reason: str = "",
    selector: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
    deadline: datetime | None = None,
    patience: timedelta = DEFAULT_DEADLINE,
    approve_by: datetime | None = None,
    max_attempts: int | None = None,
    stop_after: int | None = None,
    retries: Mapping[uuid.UUID, uuid.UUID] | None = None,
    may_be_empty: bool = False,
    actor: Principal,
    now: datetime,
) -> Answer:
    """Make the operations of a request; they start within seconds, or when their turn comes.

    Without a deadline they may wait for `patience`, counted from the last moment at which they can be approved. The same
    key from the same principal answers what it answered before, whatever times limit it now; with other content it is a
    conflict. When `stop_after` operations have ended badly, no further one begins; without it the kind decides. `retries`
    says of which operation the one of a node is the retry.
    Without nodes it is refused, unless it `may_be_empty`: what a schedule asks for each night need not find any.
    """
    checked = checked_params(kind, params or {}, actions.kinds())
    permission = actions.get(kind).permission
    if not actor.may_somewhere(permission):
        require(actor, permission)
    attempts, stop_after = checked_attempts(kind, max_attempts), checked_stop_after(stop_after)
    reason = checked_reason(reason)
    # What was asked for, not what it came to: a filter may find other nodes when the same request is sent again.
    asked: dict[str, Any] = {"kind": kind, "params": checked, "reason": reason, "max_attempts": attempts}
    asked |= {"selector": selector} if selector is not None else {"nodes": sorted(str(node.pk) for node in nodes)}
    # A client that counts a time from now sends another one with each repeat. Keys of old had places for both.
    asked |= {"deadline": None, "approve_by": None}
    if stop_after is not None:
        # Left out otherwise: keys that were used before there was one still find their request.
        asked["stop_after"] = stop_after
    print_of = hashlib.sha256(canonical(asked).encode()).hexdigest()
    if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
        return earlier
    checked_deadline(deadline, now)
    checked_count(len(nodes), "nodes" if selector is None else "selector", may_be_empty=may_be_empty)
    plans = [_allowed(plan, actor, kind) for plan in plan_for(nodes, kind=kind, params=checked, now=now)]
    chosen = [plan for plan in plans if not plan.refused]
    pools = [plan.node.pool.name if plan.node.pool else "" for plan in chosen]
    needed = needed_for(kind=kind, pools=pools, approve_by=approve_by, now=now)
    until = deadline or (needed.until or now) + patience
    made: list[Operation] = []
    refused = [Refused(plan.node.name, plan.refused, plan.params) for plan in plans if plan.refused]
    try:
        with transaction.atomic():
            request = OperationRequest.objects.create(
                kind=kind,
                params=checked,
                selector=dict(selector or {}),
                reason=reason,
                requester=str(actor),
                requested_at=now,
                idempotency_key=idempotency_key[:200],
                fingerprint=print_of,
                max_attempts=attempts,
                stop_after=stop_after or (actions.get(kind).stop_after if len(chosen) > 1 else None),
                approvals_needed=needed.approvals,
                approve_by=needed.until,
            )
            # In one order for all: two requests of the same nodes wait for each other at the same node, not crosswise.
            for number, plan in sorted(enumerate(chosen), key=lambda numbered: numbered[1].node.pk):
                row = _operation(request, number, plan, until, now)
                row.retry_of_id = (retries or {}).get(plan.node.pk)
                try:
                    with transaction.atomic():
                        row.save(force_insert=True)
                except IntegrityError:
                    refused.append(Refused(plan.node.name, "busy"))
                    continue
                made.append(row)
            made.sort(key=lambda row: row.number)
            request.answer = {"refused": [one.as_json() for one in refused]}
            request.save(update_fields=["answer"])
            if made and needed.approvals:
                tell_approval_wanted(request, made, now=now)
            append([_entry(request, row, actor) for row in made])
    except IntegrityError:
        if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
            return earlier
        raise
    return Answer(request, made, refused)


def _operation(request: OperationRequest, number: int, plan: NodePlan, until: datetime, now: datetime) -> Operation:
    action, node = actions.get(request.kind), plan.node
    cluster = node.pool.cluster if node.pool else None
    document = plan.as_json()
    return Operation(
        request=request,
        number=number,
        kind=request.kind,
        params=request.params,
        plan=document,
        subject=f"node:{node.pk}",
        node=node,
        node_name=node.name,
        generation=node.generation,
        pool=node.pool,
        pool_name=node.pool.name if node.pool else "",
        cluster_name=cluster.name if cluster else "",
        is_control_plane=plan.is_control_plane,
        changes=plan.changes,
        is_disruptive=action.is_disruptive,
        **first_state(request, until, now),
    )


def first_state(request: OperationRequest, until: datetime, now: datetime) -> dict[str, Any]:
    """The columns of a new operation that say where it stands: it waits for approvals or for its turn, `until` at most."""
    return {
        "state": State.AWAITING_APPROVAL if request.approvals_needed else State.QUEUED,
        "state_since": now,
        "step": actions.get(request.kind).steps[0].name,
        "attempt": 1,
        "deadline": until,
        "created_at": now,
        "wait_reason": "approval" if request.approvals_needed else "turn",
        "wait_params": approval_waited_for(request, request.approvals_needed),
        "wait_since": now,
    }


def _entry(request: OperationRequest, row: Operation, actor: Principal) -> Entry:
    return Entry(
        actor=str(actor),
        action="operations.request",
        subject=f"operation:{row.pk}",
        after={"kind": row.kind, "node": row.node_name, "params": row.params, "request": str(request.pk)},
        reason=request.reason,
    )


def earlier_answer(actor: Principal, key: str, print_of: str) -> Answer | None:
    if not key:
        return None
    found = OperationRequest.objects.filter(requester=str(actor), idempotency_key=key[:200]).first()
    if found is None:
        return None
    if found.fingerprint != print_of:
        raise Conflict(
            _("This idempotency key was used for another request."),
            field="Idempotency-Key",
            value=key,
            mend=_("Use a new key for a new request."),
        )
    refused = [Refused(**one) for one in found.answer.get("refused", ())]
    return Answer(found, list(found.operations.order_by("number")), refused, is_repeat=True)
