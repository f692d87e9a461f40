"""A cluster that tests make things in, over the API alone: our own server's, or a real one's that KUBECONFIG names.

It plays what runs beside an API server: the kubelets of nodes that do not exist, which start and end pods.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from ops.kubernetes.access import Access
from ops.kubernetes.transport import HttpsTransport, Transport

MERGE = "application/merge-patch+json"
_OWNERS = {"DaemonSet": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1"}


@dataclass
class Cluster:
    """`space` is a namespace of its own, and nodes have names of their own, so that a real cluster stays as it was."""

    transport: Transport
    space: str = field(default_factory=lambda: f"fleetui-{uuid.uuid4().hex[:8]}")
    nodes: list[str] = field(default_factory=list)

    @classmethod
    def at(cls, access: Access) -> Cluster:
        found = cls(HttpsTransport(access))
        found.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.space}})
        return found

    def close(self) -> None:
        for pod in self.pods():
            self.end(pod["metadata"]["name"])
        for name in self.nodes:
            self.call("DELETE", f"/api/v1/nodes/{name}")
        self.call("DELETE", f"/api/v1/namespaces/{self.space}")
        self.transport.close()

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> dict[str, Any]:
        raw = json.dumps(body).encode() if body is not None else b""
        status, answer = self.transport.send(method, path, body=raw, kind=kind if raw else "")
        found: dict[str, Any] = json.loads(answer)
        assert status < 300 or status == 404, (status, found)
        return found

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self.call("POST", path, body)

    def add_node(
        self,
        name: str = "",
        *,
        boot_id: str = "",
        machine_id: str = "x",
        ready: str = "True",
        is_control_plane: bool = False,
    ) -> str:
        """A node, with the status that its kubelet would write."""
        labels = {"node-role.kubernetes.io/control-plane": ""} if is_control_plane else {}
        name = name or f"{self.space}-{len(self.nodes) + 1}"
        self.nodes.append(name)
        self.post(
            "/api/v1/nodes",
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
            },
        )
        self.set_status(name, boot_id=boot_id, machine_id=machine_id, ready=ready)
        return name

    def set_status(self, name: str, *, boot_id: str = "", machine_id: str = "x", ready: str = "True") -> None:
        named = dict.fromkeys(
            (
                "systemUUID",
                "kernelVersion",
                "osImage",
                "containerRuntimeVersion",
                "kubeProxyVersion",
                "operatingSystem",
                "architecture",
            ),
            "x",
        )
        now = "2026-11-22T20:20:27Z"
        condition = {
            "type": "Ready",
            "status": ready,
            "reason": "KubeletReady",
            "message": "fake",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        info = {**named, "bootID": boot_id or "x", "machineID": machine_id, "kubeletVersion": "v1.36.2"}
        status = {"conditions": [condition], "nodeInfo": info}
        self.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, MERGE)

    def add_pod(self, node: str, name: str, *, owner: str = "ReplicaSet", **more: Any) -> None:
        """A pod that runs and is ready. `more`: app (its label), claim, emptydir, mirror, phase, ready."""
        metadata: dict[str, Any] = {"name": name, "namespace": self.space, "labels": {"app": more.get("app", name)}}
        if owner:
            reference = {"apiVersion": _OWNERS[owner], "kind": owner, "name": "owner", "uid": str(uuid.uuid4())}
            metadata["ownerReferences"] = [{**reference, "controller": True}]
        if more.get("mirror"):
            metadata["annotations"] = {"kubernetes.io/config.mirror": "x"}
        spec: dict[str, Any] = {"nodeName": node, "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10"}]}
        if more.get("emptydir"):
            spec["volumes"] = [{"name": "cache", "emptyDir": {}}]
        if claim := more.get("claim"):
            spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.post(f"/api/v1/namespaces/{self.space}/pods", body)
        ready = {"type": "Ready", "status": "True" if more.get("ready", True) else "False"}
        status = {"status": {"phase": more.get("phase", "Running"), "conditions": [ready]}}
        self.call("PATCH", f"{self._pod(name)}/status", status, MERGE)

    def set_budget(self, name: str, app: str, **spec: int) -> None:
        """A disruption budget over the pods of an app: min_available or max_unavailable."""
        words = {"min_available": "minAvailable", "max_unavailable": "maxUnavailable"}
        body = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "namespace": self.space},
            "spec": {"selector": {"matchLabels": {"app": app}}, **{words[key]: n for key, n in spec.items()}},
        }
        self.post(f"/apis/policy/v1/namespaces/{self.space}/poddisruptionbudgets", body)

    def delete_budget(self, name: str) -> None:
        self.call("DELETE", f"/apis/policy/v1/namespaces/{self.space}/poddisruptionbudgets/{name}")

    def add_deployment(self, name: str, image: str, *, replicas: int = 2, **spec: Any) -> dict[str, Any]:
        """A Deployment of one container `c`; a controller, if there is one, makes its pods."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
        }
        return self.post(f"/apis/apps/v1/namespaces/{self.space}/deployments", body)

    def deployment(self, name: str) -> dict[str, Any]:
        return self.call("GET", f"/apis/apps/v1/namespaces/{self.space}/deployments/{name}")

    def patch_deployment(self, name: str, body: Any) -> None:
        """As somebody else does it."""
        self.call("PATCH", f"/apis/apps/v1/namespaces/{self.space}/deployments/{name}", body, MERGE)

    def node(self, name: str) -> dict[str, Any]:
        return self.call("GET", f"/api/v1/nodes/{name}")

    def cordon(self, name: str, *, is_on: bool = True) -> None:
        """As somebody else does it."""
        self.call("PATCH", f"/api/v1/nodes/{name}", {"spec": {"unschedulable": is_on or None}}, MERGE)

    def is_cordoned(self, name: str) -> bool:
        return bool(self.node(name)["spec"].get("unschedulable"))

    def pods(self, node: str = "") -> list[dict[str, Any]]:
        """The pods of this namespace, on one node or on all."""
        query = {"fieldSelector": f"spec.nodeName={node}"} if node else {}
        _status, raw = self.transport.send("GET", "/api/v1/pods", query=query)
        return [one for one in json.loads(raw)["items"] if one["metadata"]["namespace"] == self.space]

    def names(self, node: str = "") -> list[str]:
        return sorted(one["metadata"]["name"] for one in self.pods(node))

    def end(self, name: str) -> None:
        """As a kubelet does when the containers are gone."""
        self.call("DELETE", self._pod(name), {"gracePeriodSeconds": 0})

    def kubelet(self) -> list[str]:
        """End every pod that is told to go; their names."""
        going = [one["metadata"]["name"] for one in self.pods() if one["metadata"].get("deletionTimestamp")]
        for name in going:
            self.end(name)
        return going

    def _pod(self, name: str) -> str:
        return f"/api/v1/namespaces/{self.space}/pods/{name}"
