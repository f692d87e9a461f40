"""A Certificate of cert-manager is issued anew: asked for like any operation, with no node as its subject."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import NotFound
from nodes.models import Cluster
from ops.models import ClusterCertificate
from ops.services.clusters.deployments import may_see
from ops.services.elsewhere import Place, Planned, request_elsewhere
from ops.services.request import Answer, checked_params

RENEW = "cert_manager_renew"
#: cert-manager is followed for half an hour; the rest is for its turn, and for an API that is away.
PATIENCE = timedelta(hours=4)


def certificate_at(principal: Principal, cluster: Cluster, namespace: str, name: str) -> ClusterCertificate:
    """One as it was last looked at; NotFound otherwise."""
    rows = ClusterCertificate.objects.filter(access__cluster=cluster, namespace=namespace, name=name)
    found = rows.select_related("access__cluster").first() if may_see(principal) else None
    if found is None:
        raise NotFound(
            _("There is no such Certificate that you may see."),
            mend=_("Read the Certificates of the cluster; what is new there is seen at the next look."),
        )
    return found


def subject_of(row: ClusterCertificate) -> str:
    return f"certificate:{row.uid}"


def request_renewal(
    *,
    row: ClusterCertificate,
    params: Mapping[str, Any] | None = None,
    reason: str = "",
    idempotency_key: str = "",
    actor: Principal,
    now: datetime,
) -> Answer:
    """Ask for it. It takes the right on everything: what is in a cluster belongs to no pool."""
    name, cluster = str(row), row.access.cluster.name

    def plan() -> Planned:
        checked = checked_params(RENEW, params or {}, (RENEW,))
        place = {"access": str(row.access_id), "namespace": row.namespace, "name": row.name, "uid": row.uid}
        return Planned(checked, {"target": {}, "commands": [], "checks": [], "issued": place})

    return request_elsewhere(
        Place(subject_of(row), name, cluster),
        kind=RENEW,
        asked={"params": dict(params or {}), "certificate": f"{row.access_id}/{name}"},
        plan=plan,
        selector={"cluster": cluster, "certificate": name},
        reason=reason,
        idempotency_key=idempotency_key,
        patience=PATIENCE,
        actor=actor,
        now=now,
    )
