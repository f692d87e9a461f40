"""The client of a Kubernetes API server: what it says of nodes, pods and disruption budgets, and how a node is drained.

Knows neither Django nor rows. `connect` gives an Api; what it raises is a ClusterError. Why not a client of somebody else's:
docs/decisions/0019-own-kubernetes-client.md.
"""

from ops.kubernetes.access import Access, AccessRefused, by_token, from_kubeconfig
from ops.kubernetes.api import RIGHTS, Api, Right, connect
from ops.kubernetes.errors import Blocked, ClusterError
from ops.kubernetes.objects import Budget, ClusterNode, Pod

__all__ = [
    "RIGHTS",
    "Access",
    "AccessRefused",
    "Api",
    "Blocked",
    "Budget",
    "ClusterError",
    "ClusterNode",
    "Pod",
    "Right",
    "by_token",
    "connect",
    "from_kubeconfig",
]
