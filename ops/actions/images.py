"""Images on a host: pull one, remove what nothing uses, and what `podman auto-update` finds and does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodes.axes.reading import objects, text
from nodes.facts.containers import described
from nodes.hosts.drivers import podman_commands
from nodes.hosts.drivers.base import Command, Driver
from ops import preflight as checks
from ops.actions.base import Action, Context, Step
from ops.actions.container_image import asked_of_registry, pull
from ops.actions.containers import (
    CAPABILITY,
    DISKS,
    containers_read,
    image_param,
    name_pulled,
    podman_of,
    podman_there,
    reference_of,
    said_by_registry,
    same_id,
    shown_image,
    unread_of,
)
from ops.actions.fenced import run_fenced
from ops.actions.ostree import nothing_left
from ops.actions.ready import preflight
from ops.outcomes import Done, Fail, Outcome
from ops.preflight import Check

MOST_REMOVED = 200
MOST_TOLD = 5


def _pull_params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    found = {"image": image_param(given)}
    nothing_left(given)
    return found


def _ready_to_pull(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    return [podman_there(facts), *said_by_registry(plan), *checks.space(measured, DISKS)]


def _pulled(ctx: Context) -> Outcome:
    found = pull(ctx)
    if not isinstance(found, Done):
        return found
    wanted, target = str(reference_of(ctx.params)), found.memory["target"]
    means, _digests = shown_image(ctx, wanted)
    if not means and (failed := name_pulled(ctx, wanted, target)):
        return failed
    # A tag that means another image here goes on to: by it a unit would run the new one after any restart.
    is_other = means and not same_id(means, target["id"])
    return Done("image_pulled", {"image": target["digest"] if is_other else wanted}, found.memory, finish=True)


def _pull_commands(driver: Driver, params: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Command]:
    wanted, digest = reference_of(params), text(plan, "target", "registry", "digest")
    return [driver.command("image_pull", image=f"{wanted.repository}@{digest}" if digest else str(wanted))]


def unused(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Images that no container uses, no unit names, and that are not kept for the way back."""
    if unread_of(facts):
        return []
    podman = podman_of(facts)
    used = {str(one.get("image_id") or "") for one in objects(podman, "containers")}
    named = {name for one in described(facts) for name in _names_of(one)}
    return [
        image
        for image in objects(podman, "images")
        if image.get("id") not in used
        and not named & {*(image.get("names") or []), *(image.get("digests") or [])}
        and not any(str(name).startswith(podman_commands.KEPT) for name in image.get("names") or [])
    ]


def _at_once(images: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As many as one command removes: whole images, since one that keeps a name stays."""
    found: list[Mapping[str, Any]] = []
    room = MOST_REMOVED
    for image in images:
        words = max(len(image.get("names") or ()), 1)
        if words <= room:
            found.append(image)
            room -= words
    return found


def _names_of(one: Mapping[str, Any]) -> set[str]:
    """How Podman lists the image that a container or a unit names: without a tag it is the latest one."""
    image, reference = str(one.get("image") or ""), one["reference"]
    if reference is None:
        return {image}
    tagged = "" if reference.tag or reference.digest else f"{reference}:latest"
    return {image, tagged, reference.pinned, str(replace(reference, digest=""))} - {""}


def _prune_target(facts: Mapping[str, Any], _params: Mapping[str, Any]) -> dict[str, Any]:
    """What goes is frozen: an image that comes meanwhile stays."""
    return {"images": [{"id": one["id"], "names": list(one.get("names") or [])} for one in _at_once(unused(facts))]}


def _ready_to_prune(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], _params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    """What the plan names and is still unused; images that are used meanwhile are left out by the first step."""
    if unread := containers_read(facts):
        return [podman_there(facts), *unread]
    found = _chosen(facts, plan)
    if not found:
        left = len(unused(facts))
        return [
            podman_there(facts),
            Check("images_unplanned", "warn", {"count": left}) if left else Check("nothing_unused"),
        ]
    names = [(one.get("names") or [str(one.get("id"))[:12]])[0] for one in found]
    size = sum(int(one.get("size_bytes") or 0) for one in found)
    told = {"count": len(found), "images": ", ".join(names[:MOST_TOLD]), "megabytes": round(size / 1_000_000)}
    left = len(unused(facts)) - len(found)
    more = [Check("images_left", "warn", {"count": left})] if left else []
    return [podman_there(facts), Check("images_unused", "warn", told), *more]


def _chosen(facts: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    frozen = {str(one.get("id")) for one in (plan.get("target") or {}).get("images") or ()}
    return [one for one in unused(facts) if one.get("id") in frozen]


def _words(images: Sequence[Mapping[str, Any]]) -> list[str]:
    """By which the images are removed: all of their names, or the id."""
    return [str(word) for one in images for word in one.get("names") or [one["id"]]]


def _prune(ctx: Context) -> Outcome:
    """Looked at once more: what is used since, or gone already, is no reason to fail."""
    if "removes" not in ctx.memory:
        facts, _measured = ctx.host.look()
        document = facts.as_json()
        if unread := containers_read(document):
            return Fail("preflight", {"checks": [check.as_json() for check in unread]}, again=True)
        chosen = _chosen(document, ctx.plan)
        if not chosen:
            # A plan made while the host did not say what it has names nothing, and nothing else may go.
            left = len(unused(document))
            return Fail("images_unplanned", {"count": left}) if left else Done("nothing_unused", finish=True)
        removes, count = _words(chosen), len(chosen)
    else:
        removes, count = list(ctx.memory["removes"]), int(ctx.memory["removes_count"])

    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return Done("images_removed", {"count": count}, memory, finish=True)

    return run_fenced(
        ctx,
        ctx.driver.command("images_removed", images=removes),
        waits="removes_images",
        fails="prune_failed",
        done=done,
        leaves={"removes": removes, "removes_count": count},
    )


def _prune_commands(driver: Driver, _params: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Command]:
    images = _words((plan.get("target") or {}).get("images") or ())
    return [driver.command("images_removed", images=images)] if images else []


def _ready_for_auto_update(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], _params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    found = [
        str(one.get("name"))
        for one in objects(podman_of(facts), "containers")
        if (one.get("labels") or {}).get("io.containers.autoupdate")
    ]
    told = {"count": len(found), "containers": ", ".join(found[:MOST_TOLD])}
    return [
        podman_there(facts),
        Check("auto_update_of", params=told) if found else Check("auto_update_of_none", "warn"),
    ]


def read_auto_update(printed: str) -> list[dict[str, str]]:
    """Lines of unit, container, image, policy and what became of it; anything else that was printed is left out."""
    names = ("unit", "container", "image", "policy", "updated")
    rows = [line.split("\t") for line in printed.splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]


def _auto_update(ctx: Context) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        rows = read_auto_update(str(memory.get("printed", "")))
        kept = {**memory, "printed": ""}
        back = [row["container"] for row in rows if row["updated"] == "rolled back"]
        failed = [row["container"] for row in rows if row["updated"] == "failed"]
        fresh = [row["container"] for row in rows if row["updated"] == "true"]
        if back or failed:
            told = {"back": ", ".join(back), "failed": ", ".join(failed), "updated": ", ".join(fresh)}
            return Fail("auto_update_failed", told, kept)
        told_of = {"count": len(fresh), "containers": ", ".join(fresh[:MOST_TOLD])}
        return Done("auto_updated" if fresh else "auto_update_nothing", told_of, kept, finish=True)

    command = ctx.driver.command("auto_update")
    return run_fenced(ctx, command, waits="auto_updates", fails="auto_update_refused", done=done, keep_printed=True)


def _auto_update_check(ctx: Context) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        rows = [row for row in read_auto_update(str(memory.get("printed", ""))) if row["updated"] == "pending"]
        told = {
            "count": len(rows),
            "containers": ", ".join(f"{row['container']} ({row['image']})" for row in rows[:MOST_TOLD]),
        }
        return Done(
            "auto_update_pending" if rows else "auto_update_nothing", told, {**memory, "printed": ""}, finish=True
        )

    command = ctx.driver.command("auto_update_shown")
    return run_fenced(ctx, command, waits="asks_auto_update", fails="auto_update_refused", done=done, keep_printed=True)


IMAGE_PULL = Action(
    kind="image_pull",
    checks=_ready_to_pull,
    commands=_pull_commands,
    outside=asked_of_registry,
    steps=(preflight(_ready_to_pull), Step("pull", _pulled)),
    capabilities=(CAPABILITY,),
    check_params=_pull_params,
)
IMAGE_PRUNE = Action(
    kind="image_prune",
    checks=_ready_to_prune,
    commands=_prune_commands,
    target=_prune_target,
    steps=(preflight(_ready_to_prune), Step("remove_images", _prune)),
    capabilities=(CAPABILITY,),
)
AUTO_UPDATE_CHECK = Action(
    kind="auto_update_check",
    checks=_ready_for_auto_update,
    commands=lambda driver, _params, _plan: [driver.command("auto_update_shown")],
    steps=(preflight(_ready_for_auto_update), Step("auto_update", _auto_update_check)),
    capabilities=(CAPABILITY,),
    changes=False,
)
AUTO_UPDATE = Action(
    kind="auto_update",
    checks=_ready_for_auto_update,
    commands=lambda driver, _params, _plan: [driver.command("auto_update")],
    steps=(preflight(_ready_for_auto_update), Step("auto_update", _auto_update)),
    capabilities=(CAPABILITY,),
    is_disruptive=True,
)
