"""A Deployment of a cluster gets another image, or goes back to the revision before; its rolling update is followed to its end.

Nothing is done to a host. Kubernetes carries the update out by itself: what is cancelled here goes on there, and is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ops.actions.base import Action, Context, Deployments, ParamsRefused, Step
from ops.actions.containers import image_param
from ops.kubernetes.deployments import Deployment, before, rollout
from ops.kubernetes.errors import ClusterError
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check

LOOK = timedelta(seconds=3)
LONGEST_NAME = 253


def _image_params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    container = given.pop("container", "")
    if not isinstance(container, str) or not 0 < len(container) <= LONGEST_NAME:
        raise ParamsRefused("container", "no_container", value=str(container)[:60])
    found = {"container": container, "image": image_param(given)}
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return found


def the_deployments(ctx: Context) -> Deployments:
    if ctx.deployments is None:
        raise ClusterError("no_access")
    return ctx.deployments


def preflight(ctx: Context) -> Outcome:
    """The Deployment as it is now, before anything is changed."""
    cluster = the_deployments(ctx)
    found = cluster.read()
    checks = []
    if lacking := cluster.missing():
        checks.append(Check("cluster_rights", "block", {"rights": ", ".join(lacking)}))
    if found.is_paused:
        checks.append(Check("rollout_paused", "block", {"name": found.place}))
    container = str(ctx.params.get("container", ""))
    if container and container not in found.images:
        checks.append(Check("no_such_container", "block", {"container": container, "name": found.place}))
    if not container and before(found, cluster.revisions(found)) is None:
        checks.append(Check("no_revision_before", "block", {"name": found.place}))
    for check in checks:
        ctx.log.note(f"check_{check.level}", check=check.code, **check.params)
    if checks:
        return Fail("preflight", {"checks": [check.as_json() for check in checks]})
    return Done("ready", memory={"images_before": dict(found.images), "revision_before": found.revision})


def set_image(ctx: Context) -> Outcome:
    """One patch, with our mark in it: whoever takes over knows by it that it was made."""
    cluster = the_deployments(ctx)
    found = cluster.read()
    container, image = str(ctx.params["container"]), str(ctx.params["image"])
    if cluster.is_ours(found):
        if found.images.get(container) != image:
            return Fail("rollout_superseded", {"name": found.place, "images": _told(found.images)})
        return _changed(ctx, found)
    if found.images.get(container) == image:
        return Done("image_runs_already", {"image": image, "name": found.place}, finish=True)
    return _patched(ctx, lambda: cluster.set_image(found, container, image))


def go_back(ctx: Context) -> Outcome:
    cluster = the_deployments(ctx)
    found = cluster.read()
    if cluster.is_ours(found):
        return _changed(ctx, found)
    to = before(found, cluster.revisions(found))
    if to is None:
        return Fail("no_revision_before", {"name": found.place})
    # Once, however often somebody else writes at the same moment.
    if ctx.memory.get("goes_back_to") != to.revision:
        ctx.log.note("goes_back_to", revision=to.revision, images=_told(to.images))
    return _patched(ctx, lambda: cluster.roll_back(found, to), {"goes_back_to": to.revision})


def _patched(ctx: Context, patch: Any, memory: Mapping[str, Any] | None = None) -> Outcome:
    try:
        found: Deployment = patch()
    except ClusterError as error:
        if error.kind != "conflict":
            raise
        # Its controller, or somebody, wrote at the same moment: it is looked at anew.
        return Wait(ctx.now + timedelta(seconds=1), "changes_deployment", memory=memory or {})
    return _changed(ctx, found)


def _changed(ctx: Context, found: Deployment) -> Outcome:
    ctx.log.note("deployment_changed", name=found.place, images=_told(found.images))
    return Done("changed", memory={"images": dict(found.images), "rolls_out": found.place})


def follow(ctx: Context) -> Outcome:
    """As `kubectl rollout status`: until every new pod is available and no old one is left."""
    cluster = the_deployments(ctx)
    found = cluster.read()
    told: dict[str, Any] = {
        "name": found.place,
        "wanted": found.wanted,
        "updated": found.updated,
        "available": found.available,
        "old": max(found.replicas - found.updated, 0),
    }
    if dict(found.images) != ctx.memory.get("images"):
        return Fail("rollout_superseded", {**told, "images": _told(found.images)}, memory={"rolls_out": ""})
    if found.is_paused:
        return Fail("rollout_was_paused", told, memory={"rolls_out": ""})
    state = rollout(found)
    if state.is_done:
        images = _told(found.images)
        ctx.log.note("rolled_out", name=found.place, count=found.wanted)
        return Done("rolled_out", {**told, "images": images, "revision": found.revision}, memory={"rolls_out": ""})
    said = found.failure or cluster.hindrance(found)
    if state.code == "late":
        return Fail("rollout_late", {**told, "said": said or found.late}, memory={"rolls_out": ""})
    return Wait(ctx.now + LOOK, f"rollout_{state.code}", {**told, "said": said})


def _told(images: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={image}" for name, image in images.items())[:400]


IMAGE = Action(
    kind="deployment_image",
    steps=(Step("preflight", preflight), Step("set_image", set_image), Step("follow_rollout", follow)),
    on="deployment",
    needs_facts=False,
    check_params=_image_params,
)
ROLLBACK = Action(
    kind="deployment_rollback",
    steps=(Step("preflight", preflight), Step("go_back", go_back), Step("follow_rollout", follow)),
    on="deployment",
    needs_facts=False,
)
DEPLOYMENTS = (IMAGE, ROLLBACK)
