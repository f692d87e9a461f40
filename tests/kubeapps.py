"""Deployments and ReplicaSets of our API server, and what their controller does beside it.

As an API server 1.36: a change of the spec raises metadata.generation, the status is the controller's alone, an old
resourceVersion is a conflict, and a patch of a kind that is not known is 415. As the controller: every template is a ReplicaSet
with a revision; one that comes again gets the next number and leaves its old one; pods are replaced one at a time.
"""

from __future__ import annotations

import copy
import hashlib
import json
import uuid
from typing import Any, cast

Document = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"


def patched(row: Document, patch: Any, kind: str) -> Document:
    """A copy with a patch of one of the kinds that an API server takes."""
    found = copy.deepcopy(row)
    if kind == JSON_PATCH:
        for one in patch:
            *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
            place = found
            for part in parents:
                place = place[part]
            if one["op"] == "replace" and last not in place:
                raise KeyError(one["path"])
            place[last] = one["value"]
        return found
    _merge(found, patch, by_name=kind == STRATEGIC)
    return found


def _merge(row: Document, patch: Document, *, by_name: bool) -> None:
    for name, value in patch.items():
        if value is None:
            row.pop(name, None)
        elif isinstance(value, dict):
            _merge(row.setdefault(name, {}), value, by_name=by_name)
        elif by_name and name in ("containers", "initContainers"):
            rows = row.setdefault(name, [])
            for one in value:
                same = next((old for old in rows if old["name"] == one["name"]), None)
                if same is None:
                    rows.append(one)
                else:
                    _merge(same, one, by_name=by_name)
        else:
            row[name] = value


def images(template: Document) -> list[str]:
    return [one["image"] for one in template["spec"]["containers"]]


def selects(labels: Document, selector: str) -> bool:
    wanted = dict(one.split("=", 1) for one in selector.split(",") if "=" in one)
    return all(labels.get(key) == value for key, value in wanted.items())


class Controller:
    """What goes on in a cluster by itself: one step of every rolling update at each `step`."""

    def __init__(self, api: Any) -> None:
        self.api = api
        #: Images that no registry has: their pods never start.
        self.absent: set[str] = set()
        #: Deployments whose progressDeadlineSeconds are over.
        self.late: set[str] = set()

    def step(self) -> None:
        with self.api.lock:
            for key, row in self.api.deployments.items():
                before = copy.deepcopy(row)
                self._deployment(key, row)
                # Who writes nothing new changes no resourceVersion.
                if row != before:
                    self.api._changed(row)

    def _deployment(self, key: str, row: Document) -> None:
        status, wanted = row["status"], row["spec"].get("replicas", 1)
        status["observedGeneration"] = row["metadata"]["generation"]
        if row["spec"].get("paused"):
            return
        now = self._revision(key, row)
        mine = self._sets(row)
        old = [one for one in mine if one is not now]
        left = sum(one["spec"]["replicas"] for one in old)
        if now["spec"]["replicas"] < wanted and now["spec"]["replicas"] + left <= wanted:
            now["spec"]["replicas"] += 1
        new = now["spec"]["replicas"]
        runs = not self.absent & set(images(row["spec"]["template"]))
        available = new if runs else 0
        victim = next((one for one in old if one["spec"]["replicas"]), None)
        if victim and available + left > wanted:
            victim["spec"]["replicas"] -= 1
            left -= 1
        self._pods(row, now, new, runs=runs)
        is_late = key in self.late and not runs
        done = new == available == wanted and not left
        message = f'ReplicaSet "{now["metadata"]["name"]}" has '
        reason = "ProgressDeadlineExceeded" if is_late else "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        message += "timed out progressing." if is_late else "successfully progressed." if done else "is progressing."
        progressing = {"type": "Progressing", "status": "False" if is_late else "True", "reason": reason}
        status |= {
            "replicas": new + left,
            "updatedReplicas": new,
            "readyReplicas": available + left,
            "availableReplicas": available + left,
            "conditions": [{**progressing, "message": message}],
        }

    def _sets(self, row: Document) -> list[Document]:
        uid = row["metadata"]["uid"]
        found = self.api.replicasets.values()
        return [one for one in found if one["metadata"]["ownerReferences"][0]["uid"] == uid]

    def _revision(self, key: str, row: Document) -> Document:
        """The ReplicaSet of the template of now, with the highest number."""
        template = row["spec"]["template"]
        text = json.dumps(template, sort_keys=True).encode()
        mark = hashlib.sha256(text).hexdigest()[:10]
        mine = self._sets(row)
        most = max((int(one["metadata"]["annotations"][REVISION]) for one in mine), default=0)
        name = f"{row['metadata']['name']}-{mark}"
        place = f"{row['metadata']['namespace']}/{name}"
        found: Document | None = self.api.replicasets.get(place)
        if found is None:
            labels = {**template["metadata"]["labels"], "pod-template-hash": mark}
            owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": row["metadata"]["name"], "controller": True}
            made = {
                "metadata": {
                    "name": name,
                    "namespace": row["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {REVISION: str(most + 1)},
                    "ownerReferences": [{**owner, "uid": row["metadata"]["uid"]}],
                },
                "spec": {"replicas": 0, "template": {**copy.deepcopy(template), "metadata": {"labels": labels}}},
                "status": {},
            }
            self.api._made("replicasets", place, made)
            found = cast("Document", self.api.replicasets[place])
        elif int(found["metadata"]["annotations"][REVISION]) < most:
            found["metadata"]["annotations"][REVISION] = str(most + 1)
        row["metadata"].setdefault("annotations", {})[REVISION] = found["metadata"]["annotations"][REVISION]
        return found

    def _pods(self, row: Document, now: Document, count: int, *, runs: bool) -> None:
        """One pod says for all of the newest revision how they are."""
        space, name = now["metadata"]["namespace"], f"{now['metadata']['name']}-x"
        for key in [key for key in self.api.pods if key.startswith(f"{space}/{row['metadata']['name']}-")]:
            del self.api.pods[key]
        if not count:
            return
        image = images(row["spec"]["template"])[0]
        waits = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
        state = {"running": {}} if runs else {"waiting": waits}
        spec = row["spec"]["template"]["spec"]
        self.api.pods[f"{space}/{name}"] = {
            "metadata": {
                "name": name,
                "namespace": space,
                "uid": str(uuid.uuid4()),
                "resourceVersion": "1",
                "labels": now["metadata"]["labels"],
                "ownerReferences": [{"kind": "ReplicaSet", "controller": True}],
            },
            "spec": copy.deepcopy(spec),
            "status": {
                "phase": "Running" if runs else "Pending",
                "conditions": [{"type": "Ready", "status": str(runs)}],
                "containerStatuses": [{"name": spec["containers"][0]["name"], "state": state}],
            },
        }
