"""Counts of clusters: nodes, states, versions and kubelets. Three queries, whatever the fleet."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count

from fleetui.access.principals import Principal
from nodes.models import FactTerm, Node, Tally
from nodes.services.stats import AXES

KUBELET = "kubernetes.kubelet_version"


@dataclass
class ClusterCounts:
    """What one may see of a cluster. Retired nodes are not counted. A kubelet "" is one that was not read."""

    nodes: int = 0
    needing_attention: int = 0
    axes: dict[str, dict[str, int]] = field(
        default_factory=lambda: {axis: {member.value: 0 for member in values} for axis, values in AXES.items()}
    )
    versions: dict[str, int] = field(default_factory=dict)
    kubelets: dict[str, int] = field(default_factory=dict)


def cluster_counts(principal: Principal, clusters: Iterable[uuid.UUID]) -> dict[uuid.UUID, ClusterCounts]:
    """Counts by cluster, zeros included."""
    found = {cluster: ClusterCounts() for cluster in clusters}
    wanted = list(found)
    tally = Tally.objects.visible_to(principal).filter(
        pool__cluster__in=wanted, kind__in=("lifecycle", "version", *AXES)
    )
    for cluster, kind, value, count in tally.sums("pool__cluster_id", "kind", "value"):
        counts = found[cluster]
        if kind == "lifecycle":
            counts.nodes += count if value != "retired" else 0
        else:
            (counts.versions if kind == "version" else counts.axes[kind])[value] = count
    nodes = Node.objects.visible_to(principal).filter(pool__cluster__in=wanted).order_by()
    needing = nodes.needing_attention().values_list("pool__cluster_id").annotate(count=Count("pk"))
    for cluster, count in needing:
        found[cluster].needing_attention = count
    terms = FactTerm.objects.filter(path=KUBELET, node__in=nodes.counted().values("pk"))
    for cluster, value, count in (
        terms.order_by().values_list("node__pool__cluster_id", "value").annotate(count=Count("pk"))
    ):
        found[cluster].kubelets[value] = count
    return found
