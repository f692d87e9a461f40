"""Upgrade and rollback: what is staged and then booted, or booted again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nodes.hosts.drivers.base import Command, Driver
from ops import preflight as checks
from ops.actions.base import Action, Checks, Context, ParamsRefused, Step, StepFunction, as_failure, effect
from ops.actions.deployments import look_at_deployments
from ops.actions.drain import DRAIN_STEPS, drain_params
from ops.actions.evidence import keep_fall_back
from ops.actions.fenced import run_fenced
from ops.actions.health import SOAK
from ops.actions.hold import HOLD, HOLD_AGAIN, hold_commands
from ops.actions.managers import no_other_manager, see_managers
from ops.actions.packages import keep_packages
from ops.actions.ready import preflight
from ops.actions.restart import AWAIT_BOOT, BACK_AWAIT_BOOT, BACK_REBOOT, BACK_SETTLE, REBOOT, SETTLE
from ops.actions.snapshot import snapshot
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, booted_of, is_same, key_of, named, rollback_of, staged_of

MAX_SOAK_S = 3600


def upgrade_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`version` (none: the next of the stream), `soak_s`, `roll_back` (undo by itself when unhealthy), and the common ones."""
    given = dict(params)
    found: dict[str, Any] = {}
    if "version" in given:
        # An empty one is what a script sends whose variable is not set: it did not mean the newest.
        version = given.pop("version")
        if not isinstance(version, str) or not 0 < len(version) <= 100:
            raise ParamsRefused("version", "not_a_version", value=str(version)[:100])
        found["version"] = version
    found.update(common_params(given))
    if "roll_back" in given:
        found["roll_back"] = flag_param(given, "roll_back")
    nothing_left(given)
    return found


def common_params(given: dict[str, Any]) -> dict[str, Any]:
    """Takes `soak_s`, `ignore_sessions` and `ignore_managers` out of `given`, and what is said of draining first."""
    found: dict[str, Any] = drain_params(given)
    if "soak_s" in given:
        value = given.pop("soak_s")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SOAK_S:
            raise ParamsRefused("soak_s", "not_a_soak_time", value=str(value)[:40], most=MAX_SOAK_S)
        found["soak_s"] = value
    for name in ("ignore_sessions", "ignore_managers", "drain"):
        if name in given:
            found[name] = flag_param(given, name)
    return found


def flag_param(given: dict[str, Any], name: str) -> bool:
    value = given.pop(name)
    if not isinstance(value, bool):
        raise ParamsRefused(name, "not_a_flag", value=str(value)[:40])
    return value


def nothing_left(given: Mapping[str, Any]) -> None:
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")


def rollback_params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    found = common_params(given)
    nothing_left(given)
    return found


def ready_to_upgrade(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    return [
        checks.deployments_known(facts),
        checks.not_held(plan),
        *checks.proven_backup(plan),
        checks.no_transaction(facts),
        *checks.space(measured),
        checks.agent_idle(facts),
        checks.packages(facts),
        checks.confirmed(facts),
        checks.sessions(facts, ignored=bool(params.get("ignore_sessions"))),
        no_other_manager(facts, ignored=bool(params.get("ignore_managers"))),
        *checks.lock_not_asked(facts),
        checks.pruned(facts),
    ]


def ready_to_roll_back(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    return [
        checks.deployments_known(facts),
        checks.no_transaction(facts),
        checks.confirmed(facts),
        checks.sessions(facts, ignored=bool(params.get("ignore_sessions"))),
        no_other_manager(facts, ignored=bool(params.get("ignore_managers"))),
        *checks.lock_not_asked(facts),
        checks.has_rollback(facts),
        *checks.proven_backup(plan),
    ]


def target_of(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """The frozen target; empty for whatever the host finds."""
    return dict(plan.get("target") or {})


def upgrade_commands(driver: Driver, _params: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Command]:
    return [*hold_commands(driver), driver.staging(target_of(plan)), driver.command("reboot")]


def rollback_target(facts: Mapping[str, Any], _params: Mapping[str, Any]) -> dict[str, Any]:
    """What the plan says of the deployment to go back to, as far as it is known."""
    found = rollback_of(facts) or {}
    return {
        "version": found.get("version") or found.get("id") or "",
        **({"slot": found["slot"]} if found.get("slot") else {}),
    }


def rollback_commands(driver: Driver, _params: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Command]:
    return [*hold_commands(driver), driver.going_back(target_of(plan)), driver.command("reboot")]


def stage(ctx: Context) -> Outcome:
    """Stage the target. What counts afterwards is what the host has staged, not what the command said."""

    def needed() -> Outcome | None:
        facts = look_at_deployments(ctx)
        document = facts.as_json()
        if _is_target(ctx, booted_of(document)):
            return Done("there_already", _named(booted_of(document)), finish=True)
        if staged_of(document) is not None and _is_target(ctx, staged_of(document)) and ctx.plan.get("target"):
            keep_packages(ctx, (staged_of(document) or {}).get("checksum"))
            return Done("staged", _named(staged_of(document)), staged_memory(staged_of(document)))
        return None

    def done(status: int, memory: Mapping[str, Any]) -> Outcome:
        facts = look_at_deployments(ctx)
        document = facts.as_json()
        staged = staged_of(document)
        if staged is None:
            booted = booted_of(document)
            # Without a target whatever the host found is right, also nothing.
            if status or _is_target(ctx, booted) or not target_of(ctx.plan):
                return Done("there_already", _named(booted), dict(memory), finish=True)
            return Fail("nothing_staged", {"said": memory.get("last_said", "")}, memory)
        if staged.get("version") in (ctx.plan.get("held") or ()):
            # The host itself found it: it is dropped again.
            return Fail("held_staged", _named(staged), {**memory, **staged_memory(staged)})
        if ctx.plan.get("target") and not _is_target(ctx, staged):
            params = {"wanted": ctx.plan["target"].get("version", ""), **_named(staged)}
            return Fail("other_staged", params, {**memory, **staged_memory(staged)})
        keep_packages(ctx, staged.get("checksum"))
        return Done("staged", _named(staged), {**memory, **staged_memory(staged)})

    return run_fenced(
        ctx,
        ctx.driver.staging(target_of(ctx.plan)),
        waits="stages",
        fails="stage_failed",
        done=done,
        look_first=needed,
        leaves={"staged": "any"},
    )


def _is_target(ctx: Context, deployment: Mapping[str, Any] | None) -> bool:
    target = target_of(ctx.plan)
    if deployment is None or not target:
        return False
    # Layered packages give a checksum of their own: the base is what the release names.
    sums = {deployment.get("checksum"), deployment.get("base_checksum")} - {None, ""}
    if target.get("checksum") and target["checksum"] in sums:
        return True
    if target.get("digest") and target["digest"] == deployment.get("image_digest"):
        return True
    return bool(target.get("version")) and target["version"] == deployment.get("version")


def _named(deployment: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"version": (deployment or {}).get("version") or ""}


def staged_memory(deployment: Mapping[str, Any] | None) -> dict[str, Any]:
    """What later steps have to know of what was staged."""
    found = deployment or {}
    return {
        "staged": key_of(found) or "any",
        "wanted": named(found),
        # The update agent may have staged it with a lock: a plain restart would drop it.
        "finalize": (found.get("checksum") or "") if found.get("locked") else "",
    }


def verify(ctx: Context) -> Outcome:
    """The booted version against the one that was staged: a fall back is recognised, whatever the boot order says."""
    after, wanted, before = (ctx.memory.get(name) or {} for name in ("after", "wanted", "before"))
    # Two deployments of one commit, with other kernel arguments, are told apart by their ids.
    is_twin = wanted.get("checksum") and wanted["checksum"] == before.get("checksum")
    if after.get("id") == wanted.get("id") if is_twin else is_same(after, wanted):
        return Done("version_right", {"version": after.get("version") or ""}, {"staged": ""})
    facts, measured = ctx.host.look()
    keep_fall_back(ctx)
    params = {
        "wanted": wanted.get("version") or wanted.get("id") or "",
        "booted": after.get("version") or "",
        "said": facts.update.finalize_failed or "",
        "slot": next((one.id for one in facts.deployments if one.boot_failed), ""),
    }
    seen = {"staged": "", "facts_after": snapshot(facts, measured)}
    known = [asdict(one) for one in facts.deployments]
    if known and not params["said"] and not params["slot"] and not any(is_same(one, wanted) for one in known):
        # The power went before the shutdown had finished it: it never ran, and nothing is to be held back.
        return Fail("not_finished", params, seen)
    return Fail("fell_back", params, seen)


def order_rollback(ctx: Context) -> Outcome:
    """Put the previous deployment first. Looked at first: a second run would put the order back."""
    facts = look_at_deployments(ctx)
    first = facts.deployments[0] if facts.deployments else None
    wanted = ctx.memory.get("wanted") or {}
    if wanted and first is not None and first.id == wanted.get("id") and not first.booted:
        return Done("order_changed", {"version": first.version or ""})
    target = facts.rollback
    if target is None:
        return Fail("no_rollback")
    if not wanted:
        # Written before the effect: whoever takes over recognises what it did.
        memory: dict[str, Any] = {"wanted": named(asdict(target))}
        if not ctx.memory.get("failure"):
            # An upgrade that was not healthy stays turned back, whatever happens next; a rollback that ends before the
            # restart does not leave the next restart, whoever asks for it, to change the version.
            memory["order"] = target.id
            keep_packages(ctx, target.checksum)
        return Wait(ctx.now, "order", memory=memory)
    result = effect(ctx, ctx.driver.going_back(asdict(target)))
    if result.exit_status:
        return as_failure(result, "rollback_refused", again=True)
    ctx.log.note("order_changed", version=target.version or target.id)
    return Done("order_changed", {"version": target.version or target.id})


def soak_or_go_back(ctx: Context) -> Outcome:
    """The soak; where the request said so, a host that is not healthy goes back to what it ran before."""
    found = SOAK.run(ctx)
    if not isinstance(found, Fail) or found.reason != "unhealthy" or not ctx.params.get("roll_back"):
        return found
    failure = {"version": (ctx.memory.get("after") or {}).get("version") or "", **found.params}
    fresh = {"failure": failure, "wanted": {}, "reboot_at": None}
    return Done("goes_back", failure, {**found.memory, **fresh}, skip_to="back_order")


def went_back(ctx: Context) -> Outcome:
    """The end of an upgrade that was undone: it failed, and the sentence says what runs now."""
    found = verify(ctx)
    failure = ctx.memory.get("failure") or {}
    now = (ctx.memory.get("after") or {}).get("version") or ""
    seen = {"facts_after": snapshot(*ctx.host.look())}
    if isinstance(found, Fail):
        return Fail("back_failed", {**failure, "booted": now}, {**found.memory, **seen}, attention=True)
    return Fail("went_back", {**failure, "booted": now}, {**found.memory, **seen})


def with_restart(
    ready: Checks,
    *,
    stage: StepFunction,
    verify: StepFunction,
    see: Callable[[Context, Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> tuple[Step, ...]:
    """The way of everything that is staged and then booted: held, compared, watched, and taken back when it is not healthy."""
    return (
        preflight(ready, see) if see else preflight(ready),
        HOLD,
        Step("stage", stage),
        *DRAIN_STEPS,
        REBOOT,
        AWAIT_BOOT,
        HOLD_AGAIN,
        SETTLE,
        Step("verify", verify),
        Step("soak", soak_or_go_back),
        Step("back_order", order_rollback),
        BACK_REBOOT,
        BACK_AWAIT_BOOT,
        BACK_SETTLE,
        Step("back_verify", went_back),
    )


UPGRADE = Action(
    kind="upgrade",
    checks=ready_to_upgrade,
    commands=upgrade_commands,
    steps=with_restart(ready_to_upgrade, stage=stage, verify=verify, see=see_managers),
    capabilities=("upgrade", "reboot"),
    is_disruptive=True,
    check_params=upgrade_params,
)

ROLLBACK = Action(
    kind="rollback",
    checks=ready_to_roll_back,
    commands=rollback_commands,
    target=rollback_target,
    steps=(
        preflight(ready_to_roll_back, see_managers),
        HOLD,
        *DRAIN_STEPS,
        Step("order", order_rollback),
        REBOOT,
        AWAIT_BOOT,
        HOLD_AGAIN,
        SETTLE,
        Step("verify", verify),
        SOAK,
    ),
    capabilities=("rollback", "reboot"),
    is_disruptive=True,
    check_params=rollback_params,
)
