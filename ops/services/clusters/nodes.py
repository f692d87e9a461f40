"""Nodes of ours as their clusters know them, for plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.models import Node
from ops.models import ClusterAccess, ClusterNode


@dataclass(frozen=True)
class InCluster:
    """`place` names the node at its cluster; `refused` is the code why there is none. `cluster` is a name, "" without one."""

    cluster: str = ""
    place: Mapping[str, str] = field(default_factory=dict)
    stands_against: Mapping[str, Any] = field(default_factory=dict)
    is_control_plane: bool = False
    refused: str = "no_cluster"


@dataclass(frozen=True)
class InClusters:
    """What is known of the nodes of a plan. Without anything in it nothing is known of any."""

    rows: Mapping[Any, ClusterNode] = field(default_factory=dict)
    accesses: frozenset[Any] = frozenset()

    def of(self, node: Node) -> InCluster:
        cluster = node.pool.cluster if node.pool else None
        if cluster is None:
            return InCluster()
        if cluster.pk not in self.accesses:
            return InCluster(cluster.name, refused="no_cluster_access")
        row = self.rows.get(node.pk)
        if row is None:
            return InCluster(cluster.name, refused="not_in_cluster")
        place = {"access": str(row.access_id), "name": row.name, "uid": row.uid}
        return InCluster(cluster.name, place, row.stands_against, row.is_control_plane, "")


def in_clusters(nodes: Sequence[Node]) -> InClusters:
    """Two queries, however many nodes; none where no node is in a cluster."""
    clusters = {node.pool.cluster_id for node in nodes if node.pool and node.pool.cluster_id}
    if not clusters:
        return InClusters()
    accesses = frozenset(ClusterAccess.objects.filter(cluster__in=clusters).values_list("cluster_id", flat=True))
    rows = {row.node_id: row for row in ClusterNode.objects.of(nodes)} if accesses else {}
    return InClusters(rows, accesses)
