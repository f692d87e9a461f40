"""The filters of operations: one class for page and API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from fleetui.core.filters import FilterSet, FlagFilter, IdFilter, InstantFilter, ListFilter, TextFilter
from ops import actions
from ops.models import ClusterCertificate, ClusterDeployment, ClusterNode, Operation, VersionHold
from ops.states import ACTIVE, State
from ops.wording.deployments import ROLLOUTS


def _named(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(node_name__icontains=text)


def _active(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001  (a filter's value)
    active = sorted(ACTIVE)
    return rows.filter(state__in=active) if wanted else rows.exclude(state__in=active)


def _after(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(created_at__gte=moment)


def _before(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(created_at__lt=moment)


class OperationFilter(FilterSet):
    """Filters of operations. Several values of one filter are joined with "or", filters with "and"."""

    q = TextFilter(_named, help_text="Part of the node's name.")
    state = ListFilter("state", allowed=[state.value for state in State], help_text="Where it stands.")
    active = FlagFilter(_active, help_text="Whether it has not ended.")
    kind = ListFilter("kind", allowed=list(actions.kinds()), help_text="What it does.")
    node = ListFilter("node_name", help_text="Names of nodes.")
    pool = ListFilter("pool_name", help_text="Names of pools.")
    cluster = ListFilter("cluster_name", help_text="Names of clusters.")
    requester = ListFilter("request__requester", help_text="Who asked for it, such as user:anna.")
    request = IdFilter("request", help_text="Ids of requests.")
    created_after = InstantFilter(_after, help_text="Asked for at or after this moment.")
    created_before = InstantFilter(_before, help_text="Asked for before this moment.")

    class Meta:
        model = Operation
        fields: list[str] = []


class HoldFilter(FilterSet):
    """Filters of held versions."""

    node = ListFilter("node__name", help_text="Names of nodes.")
    pool = ListFilter("pool__name", help_text="Names of pools.")
    version = ListFilter("version", help_text="Versions.")
    why = ListFilter("why", allowed=list(VersionHold.WHYS), help_text="Why it is held back.")

    class Meta:
        model = VersionHold
        fields: list[str] = []


def _known(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(node__isnull=not wanted)


def _is_ready(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(ready="True") if wanted else rows.exclude(ready="True")


def _is_cordoned(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(is_cordoned=wanted)


class ClusterDeploymentFilter(FilterSet):
    """Filters of the Deployments of a cluster."""

    namespace = ListFilter("namespace", help_text="Namespaces.")
    name = ListFilter("name", help_text="Names of Deployments.")
    rollout = ListFilter("rollout", allowed=list(ROLLOUTS), help_text="How far its rolling update is.")

    class Meta:
        model = ClusterDeployment
        fields: list[str] = []


class ClusterCertificateFilter(FilterSet):
    """Filters of the Certificates of cert-manager in a cluster."""

    namespace = ListFilter("namespace", help_text="Namespaces.")
    name = ListFilter("name", help_text="Names of Certificates.")

    class Meta:
        model = ClusterCertificate
        fields: list[str] = []


class ClusterNodeFilter(FilterSet):
    """Filters of the nodes of a cluster."""

    node = ListFilter("node__name", help_text="Names of nodes of FleetUI.")
    known = FlagFilter(_known, help_text="Whether it is a node of FleetUI.")
    ready = FlagFilter(_is_ready, help_text="Whether it is ready.")
    cordoned = FlagFilter(_is_cordoned, help_text="Whether it is cordoned.")

    class Meta:
        model = ClusterNode
        fields: list[str] = []
