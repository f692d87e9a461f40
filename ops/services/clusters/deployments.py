"""Another image for a Deployment of a cluster, or the revision before: asked for like any operation, with no node as its subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import InvalidInput, NotFound
from fleetui.core.words import any_of
from nodes.hosts.references import parse
from nodes.models import Cluster
from ops import registry
from ops.actions.containers import said_by_registry
from ops.models import ClusterDeployment
from ops.preflight import Check
from ops.services.elsewhere import Place, Planned, request_elsewhere
from ops.services.request import Answer, checked_params

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
                mend=_("Use %(known)s.") % {"known": any_of(row.images)},
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
    name, cluster = str(row), row.access.cluster.name

    def plan() -> Planned:
        found = plan_of(row, kind=kind, params=params or {})
        return Planned(found.params, found.document)

    return request_elsewhere(
        Place(f"deployment:{row.uid}", name, cluster),
        kind=kind,
        asked={"params": dict(params or {}), "deployment": f"{row.access_id}/{name}"},
        plan=plan,
        selector={"cluster": cluster, "deployment": name},
        reason=reason,
        idempotency_key=idempotency_key,
        patience=PATIENCE,
        actor=actor,
        now=now,
    )
