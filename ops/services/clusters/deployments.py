"""Another image for a Deployment of a cluster, or the revision before: asked for like any operation, with no node as its subject."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.chain import canonical
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from nodes.hosts.references import parse
from nodes.models import Cluster
from ops import actions, registry
from ops.actions.containers import said_by_registry
from ops.models import ClusterDeployment, Operation, OperationRequest
from ops.preflight import Check
from ops.services.approve import needed_for
from ops.services.reasons import checked_reason
from ops.services.request import Answer, checked_params, earlier_answer
from ops.services.telling import tell_approval_wanted
from ops.states import State

PERMISSION = "operations.request"
IMAGE, ROLLBACK = "deployment_image", "deployment_rollback"
#: A rolling update has a deadline of its own, which is ten minutes unless the Deployment says otherwise.
PATIENCE = timedelta(hours=4)


def may_see(principal: Principal) -> bool:
    """Deployments belong to no pool: whoever sees every cluster sees them."""
    return principal.may("clusters.read") and principal.may("operations.read")


def deployment_at(principal: Principal, cluster: Cluster, namespace: str, name: str) -> ClusterDeployment:
    """One as it was last looked at; NotFound otherwise."""
    rows = ClusterDeployment.objects.filter(access__cluster=cluster, namespace=namespace, name=name)
    found = rows.select_related("access__cluster").first() if may_see(principal) else None
    if found is None:
        raise NotFound(
            _("There is no such Deployment that you may see."),
            mend=_("Read the Deployments of the cluster; what is new there is seen at the next look."),
        )
    return found


@dataclass(frozen=True)
class Plan:
    """What would be done: parameters, what was found, and what goes into the operation."""

    params: Mapping[str, Any]
    checks: list[Check]
    document: Mapping[str, Any]


def plan_of(row: ClusterDeployment, *, kind: str, params: Mapping[str, Any]) -> Plan:
    """Asks the registry about a new image; nothing of the cluster. Raises InvalidInput."""
    checked = checked_params(kind, params, (IMAGE, ROLLBACK))
    target: dict[str, Any] = {"images_before": dict(row.images)}
    if kind == IMAGE:
        container, image = checked["container"], checked["image"]
        if container not in row.images:
            raise InvalidInput(
                _("%(name)s has no container %(container)s.") % {"name": str(row), "container": container[:60]},
                field="params.container",
                value=container,
                mend=_("Use %(known)s.") % {"known": ", ".join(row.images)},
            )
        reference = parse(image)
        assert reference is not None  # noqa: S101  (checked with the parameters)
        found = registry.ask(reference)
        told = {"image": image, "state": found.state, "digest": found.digest, "said": found.said}
        target |= {"before": row.images[container], "version": image, "registry": told}
    checks = list(said_by_registry({"target": target}))
    if any(check.level == "block" for check in checks):
        raise InvalidInput(
            _("The registry has no %(image)s.") % {"image": checked["image"]},
            field="params.image",
            value=checked["image"],
            mend=_("Look at the tag; nothing was changed."),
        )
    place = {"access": str(row.access_id), "namespace": row.namespace, "name": row.name, "uid": row.uid}
    document = {"target": target, "commands": [], "checks": [one.as_json() for one in checks], "deployment": place}
    return Plan(checked, checks, document)


def request_change(
    *,
    row: ClusterDeployment,
    kind: str,
    params: Mapping[str, Any] | None = None,
    reason: str = "",
    idempotency_key: str = "",
    actor: Principal,
    now: datetime,
) -> Answer:
    """Ask for it. It takes the right on everything: what runs in a cluster belongs to no pool."""
    require(actor, PERMISSION)
    reason, name = checked_reason(reason), str(row)
    asked = {"kind": kind, "params": dict(params or {}), "reason": reason, "deployment": f"{row.access_id}/{name}"}
    print_of = hashlib.sha256(canonical(asked).encode()).hexdigest()
    if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
        return earlier
    plan = plan_of(row, kind=kind, params=params or {})
    needed = needed_for(kind=kind, pools=[""], now=now)
    try:
        with transaction.atomic():
            request = OperationRequest.objects.create(
                kind=kind,
                params=plan.params,
                selector={"cluster": row.access.cluster.name, "deployment": name},
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
            operation = _operation(request, row, plan, (needed.until or now) + PATIENCE, now)
            operation.save(force_insert=True)
            if needed.approvals:
                tell_approval_wanted(request, [operation], now=now)
            after = {"kind": kind, "node": name, "cluster": row.access.cluster.name, "params": dict(plan.params)}
            append([Entry(str(actor), "operations.request", f"operation:{operation.pk}", after=after, reason=reason)])
    except IntegrityError as error:
        if (earlier := earlier_answer(actor, idempotency_key, print_of)) is not None:
            return earlier
        raise Conflict(
            _("An operation on %(name)s is under way.") % {"name": name}, mend=_("Wait for its end, or cancel it.")
        ) from error
    return Answer(request, [operation])


def _operation(
    request: OperationRequest, row: ClusterDeployment, plan: Plan, until: datetime, now: datetime
) -> Operation:
    return Operation(
        id=uuid.uuid4(),
        request=request,
        kind=request.kind,
        params=request.params,
        plan=plan.document,
        subject=f"deployment:{row.uid}"[:60],
        node_name=str(row)[:100],
        cluster_name=row.access.cluster.name,
        state=State.AWAITING_APPROVAL if request.approvals_needed else State.QUEUED,
        state_since=now,
        step=actions.get(request.kind).steps[0].name,
        attempt=1,
        deadline=until,
        created_at=now,
        wait_reason="approval" if request.approvals_needed else "turn",
        wait_since=now,
    )
