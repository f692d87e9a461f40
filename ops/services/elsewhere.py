"""A request of one operation that is done to no node: to a Deployment of a cluster, or to FleetUI itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.chain import canonical
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict
from ops import actions
from ops.models import Operation, OperationRequest
from ops.services.approve import needed_for
from ops.services.reasons import checked_reason
from ops.services.request import Answer, earlier_answer, first_state
from ops.services.telling import tell_approval_wanted


@dataclass(frozen=True)
class Place:
    """What it is done to: `subject` is what at most one change at a time is made of, `name` what people call it."""

    subject: str
    name: str
    cluster: str = ""


@dataclass(frozen=True)
class Planned:
    """Checked parameters, and what the operation keeps of its plan."""

    params: Mapping[str, Any]
    document: Mapping[str, Any]


def request_elsewhere(
    place: Place,
    *,
    kind: str,
    asked: Mapping[str, Any],
    plan: Callable[[], Planned],
    selector: Mapping[str, Any],
    reason: str,
    idempotency_key: str,
    patience: timedelta,
    actor: Principal,
    now: datetime,
) -> Answer:
    """It takes the right on everything: the place belongs to no pool. `asked` is what makes a second request the same one."""
    require(actor, actions.get(kind).permission)
    reason = checked_reason(reason)
    print_of = hashlib.sha256(canonical({"kind": kind, "reason": reason, **asked}).encode()).hexdigest()
    if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
        return earlier
    planned = plan()
    needed = needed_for(kind=kind, pools=[""], now=now)
    try:
        with transaction.atomic():
            request = OperationRequest.objects.create(
                kind=kind,
                params=planned.params,
                selector=dict(selector),
                reason=reason,
                requester=str(actor),
                requested_at=now,
                idempotency_key=idempotency_key[:200],
                fingerprint=print_of,
                max_attempts=actions.get(kind).max_attempts,
                approvals_needed=needed.approvals,
                approve_by=needed.until,
                answer={"refused": []},
            )
            operation = _operation(request, place, planned, (needed.until or now) + patience, now)
            operation.save(force_insert=True)
            if needed.approvals:
                tell_approval_wanted(request, [operation], now=now)
            after = {"kind": kind, "node": place.name, "cluster": place.cluster, "params": dict(planned.params)}
            append([Entry(str(actor), "operations.request", f"operation:{operation.pk}", after=after, reason=reason)])
    except IntegrityError as error:
        if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
            return earlier
        raise Conflict(
            _("An operation on %(name)s is under way.") % {"name": place.name},
            mend=_("Wait for its end, or cancel it."),
        ) from error
    return Answer(request, [operation])


def _operation(request: OperationRequest, place: Place, planned: Planned, until: datetime, now: datetime) -> Operation:
    return Operation(
        request=request,
        kind=request.kind,
        params=request.params,
        plan=planned.document,
        subject=place.subject[:60],
        node_name=place.name[:100],
        cluster_name=place.cluster,
        changes=actions.get(request.kind).changes,
        **first_state(request, until, now),
    )
