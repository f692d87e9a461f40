"""The few requests that FleetUI makes of an API server. Each is one request, or the pages of one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Final, TypeVar

import orjson

from fleetui.core.text import clean
from nodes.axes.reading import at, mapping, objects
from ops.kubernetes.access import Access
from ops.kubernetes.deployments import CHANGED_BY, NAME, Deployment, ReplicaSet
from ops.kubernetes.errors import SAID_CHARS, Blocked, ClusterError
from ops.kubernetes.issued import Issued, Signed
from ops.kubernetes.objects import CORDONED_BY, Budget, ClusterNode, Pod, text
from ops.kubernetes.transport import HttpsTransport, Transport
from ops.kubernetes.volumes import Volume

JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
#: Merges a list of containers by their names.
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
PAGE = 250
#: No connection is used for longer, so that whoever claimed a cluster for a look still has it at the end.
LONGEST_S = 240.0
#: Ten times what Kubernetes is made for: more, or the same page for ever, is no cluster.
MOST_NODES, MOST_PODS = 50_000, 1_500_000
MOST_DEPLOYMENTS = 50_000
MOST_VOLUMES = 500_000
MOST_ISSUED = 100_000
_NODES = "/api/v1/nodes"
_KINDS: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    410: "conflict",
    429: "busy",
}
Read = TypeVar("Read")


@dataclass(frozen=True)
class Right:
    """What FleetUI has to be allowed to. `use` is look (needed for anything at all), drain, force, replace, deployments,
    volumes, or issued."""

    verb: str
    resource: str
    use: str
    group: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As `kubectl auth can-i` takes it."""
        whole = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {whole}" + (f"/{self.subresource}" if self.subresource else "")


RIGHTS: Final = (
    Right("list", "nodes", "look"),
    Right("get", "nodes", "look"),
    Right("list", "pods", "look"),
    Right("list", "poddisruptionbudgets", "look", group="policy"),
    Right("patch", "nodes", "drain"),
    Right("create", "pods", "drain", subresource="eviction"),
    Right("delete", "pods", "force"),
    Right("delete", "nodes", "replace"),
    Right("list", "deployments", "deployments", group="apps"),
    Right("get", "deployments", "deployments", group="apps"),
    Right("patch", "deployments", "deployments", group="apps"),
    Right("list", "replicasets", "deployments", group="apps"),
    Right("list", "persistentvolumes", "volumes"),
)
#: Asked only of a cluster that has cert-manager.
OF_CERT_MANAGER: Final = (
    Right("list", "certificates", "issued", group="cert-manager.io"),
    Right("get", "certificates", "issued", group="cert-manager.io"),
    Right("list", "certificaterequests", "issued", group="cert-manager.io"),
    Right("patch", "certificates", "issued", group="cert-manager.io", subresource="status"),
)
_CERT_MANAGER: Final = "/apis/cert-manager.io/v1"


def connect(access: Access) -> Api:
    """An Api over HTTPS; nothing is sent yet. Raises ClusterError where the certificates cannot be used."""
    return Api(HttpsTransport(access))


class Api:
    """Raises ClusterError, and Blocked for an eviction that a disruption budget does not allow now."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._until_s = monotonic() + LONGEST_S
        self._has_cert_manager: bool | None = None

    def close(self) -> None:
        self._transport.close()

    def version(self) -> str:
        return text(self._ask("GET", "/version"), "gitVersion")

    def missing(self) -> list[Right]:
        """The rights that this sign-in does not have, by what the API itself decides."""
        rights = (*RIGHTS, *OF_CERT_MANAGER) if self.has_cert_manager() else RIGHTS
        return [right for right in rights if not self._may(right)]

    def has_cert_manager(self) -> bool:
        """Asked once: whether the API knows its kinds. Whoever may not look around in an API sees none."""
        if self._has_cert_manager is None:
            try:
                self._ask("GET", _CERT_MANAGER)
            except ClusterError as error:
                if error.kind not in ("not_found", "forbidden"):
                    raise
                self._has_cert_manager = False
            else:
                self._has_cert_manager = True
        return self._has_cert_manager

    def _may(self, right: Right) -> bool:
        asked = {"verb": right.verb, "group": right.group, "resource": right.resource, "subresource": right.subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in asked.items() if value}},
        }
        answer = self._ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
        return at(answer, "status", "allowed") is True

    def nodes(self) -> Iterator[ClusterNode]:
        return self._list(_NODES, ClusterNode.read, most=MOST_NODES)

    def node(self, name: str) -> ClusterNode:
        return ClusterNode.read(self._ask("GET", f"{_NODES}/{name}"))

    def pods(self, node: str = "") -> Iterator[Pod]:
        """Of one node, or of all."""
        return self._list("/api/v1/pods", Pod.read, {"fieldSelector": f"spec.nodeName={node}"} if node else {})

    def volumes(self) -> list[Volume]:
        """Those that live on a path of a node, of the whole cluster."""
        found = self._list("/api/v1/persistentvolumes", Volume.read, most=MOST_VOLUMES)
        return [one for one in found if one is not None]

    def budgets(self) -> list[Budget]:
        return list(self._list("/apis/policy/v1/poddisruptionbudgets", Budget.read))

    def cordon(self, node: ClusterNode, by: str) -> None:
        """Mark a node, as it was looked at, as unschedulable and as ours. `conflict` when it has changed since then."""
        self._patch(node, {"annotations": {CORDONED_BY: by}}, unschedulable=True)

    def uncordon(self, node: ClusterNode) -> None:
        """Take both marks away, likewise."""
        self._patch(node, {"annotations": {CORDONED_BY: None}}, unschedulable=None)

    def forget_mark(self, node: ClusterNode) -> None:
        """Take our mark from a node that somebody else uncordoned."""
        self._patch(node, {"annotations": {CORDONED_BY: None}})

    def remove(self, node: ClusterNode) -> None:
        """Delete a node as it was looked at; `conflict` when anything has changed it since, such as a kubelet that came back."""
        wanted = {"uid": node.uid, "resourceVersion": node.revision}
        self._ask("DELETE", f"{_NODES}/{node.name}", body={"preconditions": wanted})

    def _patch(self, node: ClusterNode, metadata: Mapping[str, Any], **spec: Any) -> None:
        # The revision makes a worker who wakes up late, and whoever is quicker, meet a conflict instead of each other.
        body = {"metadata": {**metadata, "uid": node.uid, "resourceVersion": node.revision}}
        self._ask("PATCH", f"{_NODES}/{node.name}", body={**body, "spec": spec} if spec else body, kind=MERGE)

    def evict(self, pod: Pod, *, grace_s: int | None = None, dry_run: bool = False) -> None:
        """Ask for the eviction of exactly this pod; `not_found` or `conflict` when it is gone, or another of its name is there."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {**_deletion(pod, grace_s), **({"dryRun": ["All"]} if dry_run else {})},
        }
        self._ask("POST", f"{_path(pod)}/eviction", body=body)

    def delete(self, pod: Pod, *, grace_s: int | None = None) -> None:
        """Delete exactly this pod, whatever budgets say."""
        self._ask("DELETE", _path(pod), body=_deletion(pod, grace_s))

    def deployments(self) -> Iterator[Deployment]:
        found = self._list("/apis/apps/v1/deployments", Deployment.read, most=MOST_DEPLOYMENTS)
        return (one for one in found if NAME.fullmatch(one.name) and NAME.fullmatch(one.namespace))

    def deployment(self, namespace: str, name: str) -> Deployment:
        return Deployment.read(self._ask("GET", _deployment(namespace, name)))

    def replica_sets(self, of: Deployment) -> list[ReplicaSet]:
        """Those that belong to it, each a revision."""
        path = f"/apis/apps/v1/namespaces/{of.namespace}/replicasets"
        found = self._list(path, ReplicaSet.read, _selected(of), most=MOST_DEPLOYMENTS)
        return [one for one in found if one.owner == of.uid]

    def pod_documents(self, of: Deployment) -> list[Mapping[str, Any]]:
        """Pods that its selector finds, as they are; the first page will do."""
        answer = self._ask(
            "GET", f"/api/v1/namespaces/{of.namespace}/pods", query={**_selected(of), "limit": str(PAGE)}
        )
        return list(objects(answer, "items"))

    def set_image(self, of: Deployment, container: str, image: str, *, by: str) -> Deployment:
        """As `kubectl set image`; `conflict` when it has changed since it was looked at."""
        metadata = {"annotations": {CHANGED_BY: by}, "uid": of.uid, "resourceVersion": of.version}
        kind = "initContainers" if container.startswith("init:") else "containers"
        named = {"name": container.removeprefix("init:"), "image": image}
        body = {"metadata": metadata, "spec": {"template": {"spec": {kind: [named]}}}}
        return Deployment.read(self._ask("PATCH", _deployment(of.namespace, of.name), body=body, kind=STRATEGIC))

    def roll_back(self, of: Deployment, to: ReplicaSet, *, by: str) -> Deployment:
        """As `kubectl rollout undo`: the template of an earlier revision, whole. `conflict` likewise."""
        mark: dict[str, Any] = {
            "op": "add",
            "path": f"/metadata/annotations/{CHANGED_BY.replace('/', '~1')}",
            "value": by,
        }
        if not of.has_annotations:
            mark = {"op": "add", "path": "/metadata/annotations", "value": {CHANGED_BY: by}}
        body: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": of.version},
            {"op": "replace", "path": "/spec/template", "value": to.template},
            mark,
        ]
        return Deployment.read(self._ask("PATCH", _deployment(of.namespace, of.name), body=body, kind=JSON_PATCH))

    def issued(self) -> Iterator[Issued]:
        """The Certificates of cert-manager."""
        found = self._list(f"{_CERT_MANAGER}/certificates", Issued.read, most=MOST_ISSUED)
        return (one for one in found if NAME.fullmatch(one.name) and NAME.fullmatch(one.namespace))

    def issued_at(self, namespace: str, name: str) -> Issued:
        return Issued.read(self._ask("GET", _certificate(namespace, name)))

    def signed(self, namespace: str = "") -> Iterator[Signed]:
        """What was signed for them, in one namespace or in all."""
        inside = f"/namespaces/{namespace}" if namespace else ""
        return self._list(f"{_CERT_MANAGER}{inside}/certificaterequests", Signed.read, most=MOST_ISSUED)

    def issue_again(self, of: Issued, by: str, now: datetime) -> Issued:
        """As `cmctl renew`; `conflict` when it has changed since it was looked at."""
        path = f"{_certificate(of.namespace, of.name)}/status"
        return Issued.read(self._ask("PATCH", path, body=of.asked_again(by, now), kind=MERGE))

    def _list(
        self,
        path: str,
        read: Callable[[Mapping[str, Any]], Read],
        query: Mapping[str, str] | None = None,
        *,
        most: int = MOST_PODS,
    ) -> Iterator[Read]:
        """Page by page, so that a cluster of thousands of nodes is never in memory as a whole."""
        asked = {**(query or {}), "limit": str(PAGE)}
        count = 0
        while True:
            page = self._ask("GET", path, query=asked)
            items = objects(page, "items")
            count += max(len(items), 1)
            if count > most:
                raise ClusterError("garbled", said=f"more than {most} items")
            yield from map(read, items)
            # Longer than a text of a sentence: taken as it is.
            following = at(page, "metadata", "continue")
            if not isinstance(following, str) or not following:
                return
            asked["continue"] = following

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        kind: str = JSON,
    ) -> Mapping[str, Any]:
        if monotonic() > self._until_s:
            raise ClusterError("timed_out")
        sent = orjson.dumps(body) if body is not None else b""
        status, raw = self._transport.send(method, path, query=query, body=sent, kind=kind if sent else "")
        try:
            answer = orjson.loads(raw)
        except orjson.JSONDecodeError:
            answer = None
        if 200 <= status < 300 and isinstance(answer, dict):
            return answer
        raise _error(status, answer if isinstance(answer, dict) else {})


def _deployment(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def _certificate(namespace: str, name: str) -> str:
    return f"{_CERT_MANAGER}/namespaces/{namespace}/certificates/{name}"


def _selected(of: Deployment) -> dict[str, str]:
    chosen = ",".join(f"{key}={value}" for key, value in sorted(of.labels.items()))
    return {"labelSelector": chosen} if chosen else {}


def _path(pod: Pod) -> str:
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _deletion(pod: Pod, grace_s: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {"preconditions": {"uid": pod.uid}}
    return found if grace_s is None else {**found, "gracePeriodSeconds": grace_s}


def _error(status: int, answer: Mapping[str, Any]) -> ClusterError:
    said = clean(str(mapping(answer).get("message") or "")[:SAID_CHARS])
    causes = [one for one in objects(answer, "details", "causes") if text(one, "reason") == "DisruptionBudget"]
    if status == 429 and causes:
        return Blocked(text(causes[0], "message") or said)
    if 200 <= status < 400:
        return ClusterError("garbled", said=f"HTTP {status}")
    kind = _KINDS.get(status, "server_error" if status >= 500 else "refused")
    return ClusterError(kind, status=status, said=said)
