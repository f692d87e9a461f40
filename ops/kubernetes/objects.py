"""What FleetUI reads of nodes, pods and disruption budgets, out of the documents of the API. Pure, and never fails on one.

Shapes: https://kubernetes.io/docs/reference/kubernetes-api/; tested on recordings of an API server 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleetui.core.text import clean
from nodes.axes import reading
from nodes.axes.reading import at, flag, mapping, number, objects

MIRROR = "kubernetes.io/config.mirror"
#: Set in the same patch as the cordon itself: by that a later look knows for certain whose it is.
CORDONED_BY = "fleetui.io/cordoned-by"
#: Kubernetes puts these on by itself, for what Ready and cordoned say already.
_OWN_TAINTS = ("node.kubernetes.io/unschedulable", "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def text(value: object, *path: str) -> str:
    """The text there, as a database may store it and a page show it."""
    return clean(reading.text(value, *path))


@dataclass(frozen=True)
class ClusterNode:
    """A node as the cluster has it. `ready` is True, False or Unknown; `cordoned_by` an operation of ours."""

    name: str
    uid: str
    revision: str
    ready: str
    ready_said: str
    cordoned: bool
    cordoned_by: str
    version: str
    machine_id: str
    boot_id: str
    provider_id: str
    hostname: str
    addresses: tuple[str, ...]
    taints: tuple[str, ...]
    is_control_plane: bool
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        return self.ready == "True"

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ClusterNode:
        ready = _condition(document)
        labels = mapping(document, "metadata", "labels")
        addresses = [one for one in objects(document, "status", "addresses") if text(one, "address")]
        return cls(
            # As it is asked for, so that nothing is taken from it.
            name=reading.text(document, "metadata", "name"),
            uid=text(document, "metadata", "uid"),
            revision=text(document, "metadata", "resourceVersion"),
            ready=text(ready, "status") or "Unknown",
            ready_said=(text(ready, "message") or text(ready, "reason"))[:300],
            cordoned=flag(document, "spec", "unschedulable") is True,
            cordoned_by=clean(str(mapping(document, "metadata", "annotations").get(CORDONED_BY, ""))),
            version=text(document, "status", "nodeInfo", "kubeletVersion"),
            machine_id=text(document, "status", "nodeInfo", "machineID"),
            boot_id=text(document, "status", "nodeInfo", "bootID"),
            provider_id=text(document, "spec", "providerID"),
            hostname=next(
                (text(one, "address") for one in addresses if text(one, "type") == "Hostname"),
                str(labels.get("kubernetes.io/hostname", "")),
            ),
            addresses=tuple(text(one, "address") for one in addresses if text(one, "type").endswith("IP")),
            taints=tuple(
                _taint(one) for one in objects(document, "spec", "taints") if text(one, "key") not in _OWN_TAINTS
            ),
            is_control_plane=any(name in labels for name in _CONTROL_PLANE),
            labels={str(key): str(value) for key, value in labels.items()},
        )


def _condition(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The condition Ready of a node or a pod."""
    found = objects(document, "status", "conditions")
    return next((one for one in found if text(one, "type") == "Ready"), {})


def _taint(one: Mapping[str, Any]) -> str:
    """As kubectl writes it: KEY=VALUE:EFFECT."""
    value = text(one, "value")
    return f"{text(one, 'key')}{'=' + value if value else ''}:{text(one, 'effect')}"


@dataclass(frozen=True)
class Pod:
    """A pod on a node. `owner` is the kind of its controller; `local` names its emptyDir volumes, `claims` those it uses."""

    namespace: str
    name: str
    uid: str
    node: str
    labels: Mapping[str, str]
    owner: str
    is_mirror: bool
    phase: str
    is_going: bool
    is_ready: bool
    local: tuple[str, ...]
    claims: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def is_over(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Pod:
        owners = objects(document, "metadata", "ownerReferences")
        return cls(
            namespace=text(document, "metadata", "namespace"),
            name=text(document, "metadata", "name"),
            uid=text(document, "metadata", "uid"),
            node=text(document, "spec", "nodeName"),
            labels={str(key): str(value) for key, value in mapping(document, "metadata", "labels").items()},
            owner=next((text(one, "kind") for one in owners if flag(one, "controller")), ""),
            is_mirror=MIRROR in mapping(document, "metadata", "annotations"),
            phase=text(document, "status", "phase"),
            is_going=bool(text(document, "metadata", "deletionTimestamp")),
            is_ready=text(_condition(document), "status") == "True",
            local=tuple(
                text(one, "name") for one in objects(document, "spec", "volumes") if at(one, "emptyDir") is not None
            ),
            claims=tuple(
                f"{text(document, 'metadata', 'namespace')}/{claim}"
                for one in objects(document, "spec", "volumes")
                if (claim := text(one, "persistentVolumeClaim", "claimName"))
            ),
        )


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget. `allowed` is how many pods may go now, `desired` how many have to stay well."""

    namespace: str
    name: str
    allowed: int
    healthy: int
    desired: int
    expected: int
    policy: str
    selector: Mapping[str, Any] | None

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def never_allows(self) -> bool:
        """Whether it would allow nothing even with every pod well: waiting does not help."""
        return 0 < self.expected <= self.desired

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Budget:
        selector = at(document, "spec", "selector")
        return cls(
            namespace=text(document, "metadata", "namespace"),
            name=text(document, "metadata", "name"),
            allowed=_count(document, "disruptionsAllowed"),
            healthy=_count(document, "currentHealthy"),
            desired=_count(document, "desiredHealthy"),
            expected=_count(document, "expectedPods"),
            policy=text(document, "spec", "unhealthyPodEvictionPolicy") or "IfHealthyBudget",
            selector=selector if isinstance(selector, Mapping) else None,
        )

    def covers(self, pod: Pod) -> bool:
        """Whether the pod counts for it. policy/v1: an empty selector covers the whole namespace, none covers nothing."""
        if pod.namespace != self.namespace or self.selector is None:
            return False
        wanted = mapping(self.selector, "matchLabels")
        if any(pod.labels.get(str(key)) != str(value) for key, value in wanted.items()):
            return False
        return all(matches(one, pod.labels) for one in objects(self.selector, "matchExpressions"))

    def allows(self, pod: Pod) -> bool:
        """Whether this pod may be evicted now. One that is not ready does no harm where the policy, or the budget, says so."""
        if self.allowed > 0 or pod.is_over or pod.is_going or pod.phase == "Pending":
            return True
        if pod.is_ready:
            return False
        return self.policy == "AlwaysAllow" or (self.healthy >= self.desired > 0)


def _count(document: Mapping[str, Any], name: str) -> int:
    return int(number(document, "status", name) or 0)


def matches(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """One requirement of a selector. Gt and Lt, which only node affinities have, compare whole numbers."""
    key, operator, values = text(one, "key"), text(one, "operator"), at(one, "values")
    given: Sequence[object] = values if isinstance(values, list) else ()
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if operator == "In":
        return labels.get(key) in given
    if operator in ("Gt", "Lt"):
        have, limit = labels.get(key, ""), str(given[0]) if len(given) == 1 else ""
        if not have.lstrip("-").isdecimal() or not limit.lstrip("-").isdecimal():
            return False
        return int(have) > int(limit) if operator == "Gt" else int(have) < int(limit)
    return operator == "NotIn" and labels.get(key) not in given
