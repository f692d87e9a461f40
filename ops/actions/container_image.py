"""Give the unit of a container another image: pulled, written beside the unit, started, watched, and taken back when it crashes.

The file of the unit stays as it is, since a config may declare it: a drop-in of ours says which image it runs. What the
operation leaves on the host until it has gone well stands in the memory as `image`, and the last step takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from nodes.axes.reading import text
from nodes.hosts.drivers import podman_commands
from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command, Driver
from nodes.hosts.drivers.systemd import parse_show
from nodes.hosts.references import parse
from ops import preflight as checks
from ops import registry
from ops.actions.base import LOOK_AGAIN, Action, Context, ParamsRefused, Step, as_failure, effect, said
from ops.actions.containers import (
    CAPABILITY,
    DISKS,
    container_of,
    containers_read,
    image_by_name,
    image_param,
    moved_by_podman,
    name_pulled,
    podman_there,
    previous_kept,
    reference_of,
    said_by_registry,
    same_id,
    shown_image,
    unit_of,
    unit_param,
    unit_runs_container,
)
from ops.actions.evidence import keep_failure
from ops.actions.fenced import run_fenced
from ops.actions.ostree import MAX_SOAK_S, flag_param, nothing_left
from ops.actions.ready import preflight
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check

DEFAULT_SOAK_S = 30
#: A start that takes longer than this did not work; pulling is done before.
STARTS_WITHIN = timedelta(minutes=5)
LOOK_EVERY = timedelta(seconds=5)
_STARTING = ("activating", "deactivating", "reloading")


def soak_param(given: dict[str, Any]) -> dict[str, int]:
    if "soak_s" not in given:
        return {}
    value = given.pop("soak_s")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SOAK_S:
        raise ParamsRefused("soak_s", "not_a_soak_time", value=str(value)[:40], most=MAX_SOAK_S)
    return {"soak_s": value}


def update_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`unit`, `image` (a whole reference), `soak_s`, and `roll_back`: by itself when it crashes, true unless said."""
    given = dict(params)
    found: dict[str, Any] = {"unit": unit_param(given), "image": image_param(given), **soak_param(given)}
    found["roll_back"] = flag_param(given, "roll_back") if "roll_back" in given else True
    nothing_left(given)
    return found


def rollback_params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    found: dict[str, Any] = {"unit": unit_param(given), **soak_param(given)}
    nothing_left(given)
    return found


def asked_of_registry(params: Mapping[str, Any]) -> dict[str, Any]:
    """Once for all nodes of a plan, so that all of them get the same digest."""
    found = registry.ask(reference_of(params))
    told = {
        "image": params["image"],
        "state": found.state,
        "digest": found.digest,
        "said": found.said,
        "why": found.why,
    }
    return {"version": params["image"], "registry": told}


def update_target(facts: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    now = container_of(facts, params["unit"])
    image = now.get("image") or unit_of(facts, params["unit"]).get("image") or ""
    return {"before": image, "before_digest": now.get("digest") or ""}


def rollback_target(facts: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    target = update_target(facts, params)
    return {**target, "version": _kept_reference(facts, params["unit"], target["before"])}


def _kept_reference(facts: Mapping[str, Any], unit: str, current: str) -> str:
    image = image_by_name(facts, podman_commands.kept_name(unit))
    return _way_back(image.get("id") or "", image.get("digests") or (), current)


def ready_to_update(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    if unread := containers_read(facts):
        return [podman_there(facts), *unread]
    unit = params["unit"]
    return [
        podman_there(facts),
        *unit_runs_container(facts, unit),
        *said_by_registry(plan),
        previous_kept(facts, unit),
        *checks.space(measured, DISKS),
        *moved_by_podman(facts, unit),
    ]


def ready_to_roll_back(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    if unread := containers_read(facts):
        return [podman_there(facts), *unread]
    unit = params["unit"]
    kept = _kept_reference(facts, unit, str(update_target(facts, params)["before"]))
    there = (
        Check("previous_there", params={"image": kept}) if kept else Check("previous_absent", "block", {"unit": unit})
    )
    return [podman_there(facts), *unit_runs_container(facts, unit), there, *moved_by_podman(facts, unit)]


def _see(ctx: Context, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the unit is, what it runs, and what of it would have to be put back."""
    name = ctx.params["unit"]
    unit, now = unit_of(facts, name), container_of(facts, name)
    if not unit:
        return {"box": {}}
    shown = _shown(ctx)
    return {
        "box": {
            "kind": unit["kind"],
            "source": unit["source"],
            "container": unit["container"],
            "path": podman_commands.dropin_path(name, unit["kind"], unit["source"]),
            "image": now.get("image") or unit.get("image") or "",
            "image_id": now.get("image_id") or "",
            "digest": now.get("digest") or "",
            "kept_id": image_by_name(facts, podman_commands.kept_name(name)).get("id") or "",
            "invocation": shown.get("InvocationID", ""),
            "was_active": shown.get("ActiveState", "") == "active",
        }
    }


def _box(ctx: Context) -> Mapping[str, Any]:
    return ctx.memory["seen"]["box"]  # type: ignore[no-any-return]


def _shown(ctx: Context) -> dict[str, str]:
    result = ctx.host.run(ctx.driver.command("unit_shown", unit=ctx.params["unit"]))
    return next(iter(parse_show(result.stdout.decode("utf-8", "replace"))), {})


def pull(ctx: Context) -> Outcome:
    """By the digest that was frozen with the plan, where it is known: then every node gets the same image."""
    wanted = reference_of(ctx.params)
    digest = str((ctx.plan.get("target") or {}).get("registry", {}).get("digest", ""))
    exact = f"{wanted.repository}@{digest}" if digest else ""

    def there(name: str, memory: Mapping[str, Any]) -> Outcome | None:
        image_id, digests = shown_image(ctx, name)
        if not image_id:
            return None
        known = f"{wanted.repository}@{digest}" if digest else next(iter(digests), "")
        return Done("image_there", {"image": str(wanted)}, {**memory, "target": {"id": image_id, "digest": known}})

    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return there(exact or str(wanted), memory) or Fail("image_not_there", {"image": str(wanted)}, memory)

    return run_fenced(
        ctx,
        ctx.driver.command("image_pull", image=exact or str(wanted)),
        waits="pulls",
        fails="pull_failed",
        done=done,
        # A tag that nobody could ask about may mean another image by now, so that it is pulled in any case.
        look_first=lambda: there(exact, {}) if exact else None,
    )


def find_previous(ctx: Context) -> Outcome:
    """The image that was kept: its id, and the reference by which the unit is given it."""
    kept = podman_commands.kept_name(ctx.params["unit"])
    image_id, digests = shown_image(ctx, kept)
    if not image_id:
        return Fail("previous_gone", {"unit": ctx.params["unit"]})
    if same_id(image_id, _box(ctx)["image_id"]):
        return Done("image_runs_already", {"unit": ctx.params["unit"]}, finish=True)
    reference = _way_back(image_id, digests, _box(ctx)["image"])
    return Done("image_there", {"image": reference}, {"target": {"id": image_id, "digest": reference}})


def _way_back(image_id: str, digests: Sequence[str], current: str) -> str:
    """By digest, of the repository that the unit runs now where that knows it. An image whose tag has gone to another one
    has no name but the one that it is kept by, and gets one of ours in that repository."""
    reference = parse(current)
    own = [one for one in digests if reference is not None and one.startswith(f"{reference.repository}@")]
    real = [one for one in digests if not one.startswith(podman_commands.KEPT)]
    if found := next(iter((*own, *real)), ""):
        return found
    repository = reference.repository if reference is not None else f"{podman_commands.KEPT}image"
    return f"{repository}:fleetui-{image_id.removeprefix('sha256:')[:12]}" if image_id else ""


def _as_written(ctx: Context) -> str:
    """What the drop-in says: the reference that was asked for; the way back is written by its digest."""
    return str(ctx.params.get("image") or ctx.memory["target"]["digest"])


def write_image(ctx: Context) -> Outcome:
    """The drop-in, with what it takes back written down before. Where the tag was asked for, it means the pulled image."""
    box, target = _box(ctx), ctx.memory["target"]
    written = _as_written(ctx)
    is_same = same_id(target["id"], box["image_id"]) and box["was_active"] and written == box["image"]
    if is_same and not ctx.memory.get("image"):
        return Done("image_runs_already", {"unit": ctx.params["unit"]}, finish=True)
    mark = podman_commands.mark_of(written, ctx.operation_id)
    if not ctx.memory.get("image"):
        reference = parse(box["image"])
        left = {
            "path": box["path"],
            "mark": mark,
            "before": box["image_id"],
            # A tag that was pulled anew is given back to the image that it meant.
            "name": box["image"] if reference is not None and reference.tag and not reference.digest else "",
            "kept_id": box["kept_id"],
            "restarted": False,
        }
        return Wait(ctx.now, "writes_image", {"path": box["path"]}, {"image": left})
    if failed := name_pulled(ctx, written, target):
        return failed
    result = effect(ctx, _set_command(ctx, written, mark))
    if result.exit_status == BOOT_CHANGED_STATUS:
        return Fail("boot_changed")
    if result.exit_status == podman_commands.UNCLEAR_STATUS:
        return Fail("unit_unclear", {"unit": ctx.params["unit"], "path": box["source"]})
    if result.exit_status:
        return as_failure(result, "image_not_written", again=True)
    ctx.log.note("image_written", path=box["path"], image=written)
    return Done("image_written", {"path": box["path"]})


def _set_command(ctx: Context, image: str, mark: str) -> Command:
    box = _box(ctx)
    return ctx.driver.command(
        "container_image",
        unit=ctx.params["unit"],
        path=box["path"],
        mark=mark,
        how=box["kind"],
        image=image,
        source=box["source"],
        before=box["image_id"],
        kept=podman_commands.kept_name(ctx.params["unit"]),
    )


def restart(ctx: Context) -> Outcome:
    """Once, by the invocation that was seen: neither a second worker nor a late one starts it again."""
    left = dict(ctx.memory["image"])
    if not left["restarted"]:
        return Wait(ctx.now, "unit_restarts", memory={"image": {**left, "restarted": True}})
    return _restart(ctx, _box(ctx)["invocation"])


def _restart(ctx: Context, invocation: str) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return Done("unit_restarted", memory=memory)

    command = ctx.driver.command("unit_restart", unit=ctx.params["unit"], invocation=invocation)
    found = run_fenced(ctx, command, waits="unit_restarts", fails="unit_restart_failed", done=done)
    if isinstance(found, Fail) and found.params.get("status") == BOOT_CHANGED_STATUS:
        return Fail("unit_changed", {"unit": ctx.params["unit"]}, found.memory)
    return found


def watch(ctx: Context) -> Outcome:
    """Up with the new image, healthy where it says so, and the same for the whole soak; else what ran before comes back."""
    found = _watched(ctx, ctx.memory["target"]["id"])
    if isinstance(found, Done):
        settled = effect(ctx, ctx.driver.command("container_image_settled", path=_box(ctx)["path"]))
        if settled.exit_status:
            ctx.log.note("not_settled", path=_box(ctx)["path"], said=said(settled))
        params = {"unit": ctx.params["unit"], "image": _as_written(ctx), "seconds": _soak_s(ctx)}
        return Done("image_runs", params, {**found.memory, "image": {}}, finish=True)
    if not isinstance(found, Fail):
        return found
    keep_failure(ctx, [ctx.params["unit"]])
    if not ctx.params.get("roll_back", True):
        return Fail("image_crashed", {**found.params, "image": _as_written(ctx)}, {**found.memory, "image": {}})
    failure = {**found.params, "reason": found.reason, "image": _as_written(ctx)}
    return Done("image_goes_back", failure, {**found.memory, "failure": failure, "up": {}})


def _soak_s(ctx: Context) -> int:
    return int(ctx.params.get("soak_s", DEFAULT_SOAK_S))


def _watched(ctx: Context, image_id: str) -> Outcome:
    """Done when it stayed up, Wait while it may, Fail when it crashed; reasons are of the crash."""
    shown, unit = _shown(ctx), ctx.params["unit"]
    state, sub = shown.get("ActiveState", ""), shown.get("SubState", "")
    told = {"unit": unit, "state": sub or state, "why": shown.get("Result", "")}
    if state == "failed" or sub == "auto-restart":
        return Fail("unit_crashed", told)
    if state in _STARTING:
        if ctx.now - ctx.since > STARTS_WITHIN:
            return Fail("unit_not_up", told)
        return Wait(ctx.now + LOOK_AGAIN, "unit_starts", {"unit": unit, "state": state})
    if state != "active":
        # A job that ran to its end did what it is for.
        good = shown.get("Result", "") == "success" and shown.get("ExecMainStatus", "0") == "0"
        return Done("unit_ran", {"unit": unit}) if good else Fail("unit_crashed", told)
    runs = {"invocation": shown.get("InvocationID", ""), "restarts": shown.get("NRestarts", "")}
    up: Mapping[str, Any] = ctx.memory.get("up") or {}
    if up and {name: up.get(name) for name in runs} != runs:
        return Fail("unit_crashed", told)
    seen, why = _container_state(ctx, image_id)
    if seen == "bad":
        return Fail("container_bad", {**told, "why": why})
    if seen == "starting":
        if ctx.now - ctx.since > STARTS_WITHIN:
            return Fail("container_bad", {**told, "why": why})
        return Wait(ctx.now + LOOK_EVERY, "container_gets_healthy", {"unit": unit}, {"up": {**runs, "at": ""}})
    began = datetime.fromisoformat(up["at"]) if up.get("at") else ctx.now
    left = timedelta(seconds=_soak_s(ctx)) - (ctx.now - began)
    memory = {"up": {**runs, "at": began.isoformat()}}
    if left > timedelta(0):
        return Wait(ctx.now + min(left, LOOK_EVERY), "container_stays", {"unit": unit}, memory)
    return Done("image_runs", memory=memory)


def _container_state(ctx: Context, image_id: str) -> tuple[str, str]:
    """good, starting or bad, and what was wrong."""
    result = ctx.host.run(ctx.driver.command("container_shown", container=_box(ctx)["container"]))
    words = result.stdout.decode("utf-8", "replace").split()
    if result.exit_status or len(words) < 2:
        # Between two looks it may be just about to be made.
        return "starting", "no container"
    if image_id and not same_id(words[0], image_id):
        return "bad", "another image"
    if words[1] != "running":
        return "starting", words[1]
    health = words[2] if len(words) > 2 else ""
    if health == "unhealthy":
        return "bad", health
    return ("starting", health) if health == "starting" else ("good", "")


def take_back(ctx: Context) -> Outcome:
    """Only after a crash: the drop-in as it was, and the tag as it was."""
    if not ctx.memory.get("failure"):
        return Done("nothing_to_take_back")
    result = effect(ctx, _back_command(ctx))
    if result.exit_status == BOOT_CHANGED_STATUS:
        return Fail("boot_changed")
    if result.exit_status:
        return as_failure(result, "image_not_taken_back", again=True)
    left = {**ctx.memory["image"], "invocation": _shown(ctx).get("InvocationID", "")}
    ctx.log.note("image_taken_back", path=left["path"])
    return Done("image_taken_back", memory={"image": left})


def _back_command(ctx: Context) -> Command:
    return back_command(ctx.driver, ctx.params["unit"], ctx.memory["image"])


def back_command(driver: Driver, unit: str, left: Mapping[str, Any]) -> Command:
    """Takes back what stands in the memory as `image`."""
    given = {name: left[name] for name in ("path", "mark", "before", "name", "kept_id")}
    return driver.command("container_image_back", unit=unit, kept=podman_commands.kept_name(unit), **given)


def restart_back(ctx: Context) -> Outcome:
    """A unit that systemd starts anew by itself meanwhile has another invocation, and is looked at again."""
    shown = _shown(ctx)
    left = dict(ctx.memory["image"])
    if shown.get("ActiveState") == "active" and _container_state(ctx, _box(ctx)["image_id"])[0] == "good":
        # systemd started it anew with what was put back.
        return Done("unit_restarted")
    found = _restart(ctx, left.get("invocation", ""))
    if isinstance(found, Fail) and found.reason == "unit_changed":
        if ctx.now - ctx.since > STARTS_WITHIN or ctx.attempt >= 3:
            return found
        fresh = {"image": {**left, "invocation": shown.get("InvocationID", "")}}
        return Fail(found.reason, found.params, {**found.memory, **fresh}, again=True)
    return found


def watch_back(ctx: Context) -> Outcome:
    """The end of an update that crashed: it failed, and the sentence says what runs now."""
    found = _watched(ctx, _box(ctx)["image_id"])
    if isinstance(found, Wait):
        return found
    failure = {"unit": ctx.params["unit"], **(ctx.memory.get("failure") or {}), "before": _box(ctx)["image"]}
    if isinstance(found, Done):
        return Fail("image_went_back", failure, {**found.memory, "image": {}})
    return Fail("image_back_failed", failure, found.memory, attention=True)


def _commands(driver: Driver, params: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Command]:
    """As far as a plan can tell: what is written is decided on the host."""
    unit = driver.command("unit_restart", unit=params["unit"])
    if not params.get("image"):
        return [unit]
    wanted = reference_of(params)
    digest = text(plan, "target", "registry", "digest")
    image = f"{wanted.repository}@{digest}" if digest else str(wanted)
    return [driver.command("image_pull", image=image), unit]


_AFTER_PULL = (
    Step("write_image", write_image),
    Step("restart_unit", restart),
    Step("watch_container", watch),
    Step("take_back", take_back),
    Step("restart_back", restart_back),
    Step("watch_back", watch_back),
)
CONTAINER_UPDATE = Action(
    kind="container_update",
    checks=ready_to_update,
    commands=_commands,
    target=update_target,
    outside=asked_of_registry,
    steps=(preflight(ready_to_update, _see), Step("pull", pull), *_AFTER_PULL),
    capabilities=(CAPABILITY,),
    is_disruptive=True,
    check_params=update_params,
)
CONTAINER_ROLLBACK = Action(
    kind="container_rollback",
    checks=ready_to_roll_back,
    commands=_commands,
    target=rollback_target,
    steps=(preflight(ready_to_roll_back, _see), Step("find_previous", find_previous), *_AFTER_PULL),
    capabilities=(CAPABILITY,),
    is_disruptive=True,
    check_params=rollback_params,
)
