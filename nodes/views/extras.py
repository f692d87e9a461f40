"""A registry for what stands on node pages and is known elsewhere: operations, and later windows and locks.

Packages above this one add a function in their AppConfig.ready; it gives what the node page and the nodes list draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import QueryDict

from fleetui.access.principals import Principal
from nodes.models import Cluster, Node, Pool

#: (principal, node or None for the list) -> context for the templates.
Extra = Callable[[Principal, Node | None], Mapping[str, Any]]
_EXTRAS: list[Extra] = []


def add_node_extra(extra: Extra) -> None:
    """Called from an AppConfig.ready; what it gives must cost a constant number of queries."""
    if extra not in _EXTRAS:
        _EXTRAS.append(extra)


def extras_for(principal: Principal, node: Node | None = None) -> dict[str, Any]:
    """Everything that was registered, for one node or for the list."""
    return {name: value for extra in _EXTRAS for name, value in extra(principal, node).items()}


#: (principal, pool) -> context for the page of the pool.
PoolExtra = Callable[[Principal, Pool], Mapping[str, Any]]
_POOL_EXTRAS: list[PoolExtra] = []


def add_pool_extra(extra: PoolExtra) -> None:
    """As for nodes: what stands on the page of a pool and is known elsewhere."""
    if extra not in _POOL_EXTRAS:
        _POOL_EXTRAS.append(extra)


def pool_extras_for(principal: Principal, pool: Pool) -> dict[str, Any]:
    return {name: value for extra in _POOL_EXTRAS for name, value in extra(principal, pool).items()}


#: (principal, cluster, query of the address) -> context for the page of the cluster.
ClusterExtra = Callable[[Principal, Cluster, QueryDict], Mapping[str, Any]]
_CLUSTER_EXTRAS: list[ClusterExtra] = []


def add_cluster_extra(extra: ClusterExtra) -> None:
    """As for nodes: what stands on the page of a cluster and is known elsewhere."""
    if extra not in _CLUSTER_EXTRAS:
        _CLUSTER_EXTRAS.append(extra)


def cluster_extras_for(principal: Principal, cluster: Cluster, query: QueryDict) -> dict[str, Any]:
    return {name: value for extra in _CLUSTER_EXTRAS for name, value in extra(principal, cluster, query).items()}
