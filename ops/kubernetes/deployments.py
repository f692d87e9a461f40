"""Deployments of a cluster: what they run, how far a rolling update is, and what one goes back to. Pure.

Shapes: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/. How far it is, and which revision
is the one before, is decided as `kubectl rollout status` and `kubectl rollout undo` do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodes.axes import reading
from nodes.axes.reading import at, flag, mapping, number, objects
from ops.kubernetes.objects import text

REVISION: Final = "deployment.kubernetes.io/revision"
#: Set in the same patch as the change itself: by that a later look knows for certain whose it is.
CHANGED_BY: Final = "fleetui.io/changed-by"
#: Put on by the controller of Deployments; a template that goes back bears none.
_HASH: Final = "pod-template-hash"
#: What Kubernetes itself takes as a name, and what may stand in an address.
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


def images_of(template: object) -> dict[str, str]:
    """The images of a template of pods, by container; those that run before the others come with `init:` in front."""
    found = {f"init:{text(one, 'name')}": text(one, "image") for one in objects(template, "spec", "initContainers")}
    return found | {text(one, "name"): text(one, "image") for one in objects(template, "spec", "containers")}


@dataclass(frozen=True)
class Deployment:
    """A Deployment. `late` is what its controller says when a rolling update passed its deadline."""

    namespace: str
    name: str
    uid: str
    version: str
    generation: int
    observed: int
    revision: int
    changed_by: str
    is_paused: bool
    wanted: int
    replicas: int
    updated: int
    ready: int
    available: int
    images: Mapping[str, str]
    labels: Mapping[str, str]
    has_annotations: bool
    late: str
    failure: str

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Deployment:
        marks = mapping(document, "metadata", "annotations")
        conditions = {text(one, "type"): one for one in objects(document, "status", "conditions")}
        progress, failure = conditions.get("Progressing", {}), conditions.get("ReplicaFailure", {})
        is_late = text(progress, "status") == "False" and text(progress, "reason") == "ProgressDeadlineExceeded"
        wanted = number(document, "spec", "replicas")
        return cls(
            # As it is asked for, so that nothing is taken from it.
            namespace=reading.text(document, "metadata", "namespace"),
            name=reading.text(document, "metadata", "name"),
            uid=text(document, "metadata", "uid"),
            version=text(document, "metadata", "resourceVersion"),
            generation=_count(document, "metadata", "generation"),
            observed=_count(document, "status", "observedGeneration"),
            revision=_revision(document),
            changed_by=text(marks, CHANGED_BY),
            is_paused=flag(document, "spec", "paused") is True,
            wanted=1 if wanted is None else int(wanted),
            replicas=_count(document, "status", "replicas"),
            updated=_count(document, "status", "updatedReplicas"),
            ready=_count(document, "status", "readyReplicas"),
            available=_count(document, "status", "availableReplicas"),
            images=images_of(at(document, "spec", "template")),
            labels={
                str(key): str(value) for key, value in mapping(document, "spec", "selector", "matchLabels").items()
            },
            has_annotations=isinstance(at(document, "metadata", "annotations"), Mapping),
            late=(text(progress, "message") or "ProgressDeadlineExceeded")[:300] if is_late else "",
            failure=text(failure, "message")[:300] if text(failure, "status") == "True" else "",
        )


def _count(document: object, *path: str) -> int:
    return max(int(number(document, *path) or 0), 0)


def _revision(document: object) -> int:
    found = text(mapping(document, "metadata", "annotations"), REVISION)
    return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else 0


@dataclass(frozen=True)
class ReplicaSet:
    """One revision of a Deployment. `template` is that of its pods, as it would stand in the Deployment again."""

    name: str
    owner: str
    revision: int
    images: Mapping[str, str]
    template: Mapping[str, Any]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> ReplicaSet:
        owners = objects(document, "metadata", "ownerReferences")
        template = dict(mapping(document, "spec", "template"))
        metadata = dict(mapping(template, "metadata"))
        labels = {key: value for key, value in mapping(metadata, "labels").items() if key != _HASH}
        return cls(
            name=text(document, "metadata", "name"),
            owner=next((text(one, "uid") for one in owners if flag(one, "controller")), ""),
            revision=_revision(document),
            images=images_of(template),
            template={**template, "metadata": {**metadata, "labels": labels}},
        )


def before(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """The revision that `kubectl rollout undo` goes back to: the highest below that of now."""
    mine = [one for one in sets if one.owner == deployment.uid and 0 < one.revision < deployment.revision]
    return max(mine, key=lambda one: one.revision, default=None)


@dataclass(frozen=True)
class Rollout:
    """How far a rolling update is: done, late, or a code what it waits for (unseen, updating, old_go, becoming_ready)."""

    code: str

    @property
    def is_done(self) -> bool:
        return self.code == "done"


def rollout(one: Deployment) -> Rollout:
    if one.observed < one.generation:
        return Rollout("unseen")
    if one.late:
        return Rollout("late")
    if one.updated < one.wanted:
        return Rollout("updating")
    if one.replicas > one.updated:
        return Rollout("old_go")
    if one.available < one.updated:
        return Rollout("becoming_ready")
    return Rollout("done")


def hindrance(pods: Iterable[Mapping[str, Any]], images: Mapping[str, str]) -> str:
    """Why a pod that runs these images is not ready, as its kubelet says: `ImagePullBackOff: ...`; empty for none."""
    wanted = {name.removeprefix("init:"): image for name, image in images.items()}
    for pod in pods:
        named = {text(one, "name"): text(one, "image") for one in objects(pod, "spec", "containers")}
        if any(wanted.get(name) != image for name, image in named.items()):
            continue
        states = [*objects(pod, "status", "initContainerStatuses"), *objects(pod, "status", "containerStatuses")]
        for state in states:
            reason, said = text(state, "state", "waiting", "reason"), text(state, "state", "waiting", "message")
            if reason and reason not in ("ContainerCreating", "PodInitializing"):
                return f"{reason}: {said}"[:300] if said else reason
        for one in objects(pod, "status", "conditions"):
            if text(one, "type") == "PodScheduled" and text(one, "status") == "False":
                return f"{text(one, 'reason')}: {text(one, 'message')}"[:300]
    return ""
