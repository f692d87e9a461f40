"""Kinds of one short command each, and the restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ops import preflight as checks
from ops.actions.base import Action, Checks, Context, ParamsRefused, Step, answered, as_failure, effect
from ops.actions.drain import DRAIN_STEPS
from ops.actions.health import SOAK
from ops.actions.managers import no_other_manager, see_managers
from ops.actions.ostree import common_params
from ops.actions.places import agent_looks, agent_starts, to_drop, to_pin
from ops.actions.ready import preflight
from ops.actions.restart import AWAIT_BOOT, REBOOT, SETTLE
from ops.actions.snapshot import snapshot
from ops.outcomes import Done, Outcome
from ops.preflight import Check


def ready_to_restart(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    return [
        checks.no_transaction(facts),
        checks.confirmed(facts),
        checks.sessions(facts, ignored=bool(params.get("ignore_sessions"))),
        no_other_manager(facts, ignored=bool(params.get("ignore_managers"))),
        *checks.lock_not_asked(facts),
        checks.boots_next(facts),
    ]


def _ready(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    return []


def _restart_params(params: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(params)
    found = common_params(given)
    if given:
        raise ParamsRefused(sorted(given)[0], "unknown_param")
    return found


def _one_command(
    kind: str,
    command: str,
    *,
    params: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ready: Checks = _ready,
    good: str = "command_done",
) -> Action:
    """Look, run one command behind the boot guard, end with what it said. Repeating it changes nothing more.

    `good` is for a command that says nothing by itself.
    """

    def run(ctx: Context) -> Outcome:
        result = effect(ctx, ctx.driver.command(command, **ctx.params))
        for stream, text in (("out", result.stdout), ("err", result.stderr)):
            if text.strip():
                ctx.log.output(stream, text.decode("utf-8", "replace"))
        if result.exit_status:
            return as_failure(result, "command_failed")
        return Done(good, {"said": answered(result)}, {"facts_after": snapshot(*ctx.host.look())})

    step = Step("run", run)
    extra = {"check_params": params} if params else {}
    return Action(
        kind=kind,
        steps=(preflight(ready), step),
        checks=ready,
        commands=lambda driver, given, _plan: [driver.command(command, **given)],
        capabilities=(command,),
        **extra,  # type: ignore[arg-type]
    )


def _deployment(params: Mapping[str, Any]) -> dict[str, Any]:
    value = params.get("deployment")
    if set(params) - {"deployment"}:
        raise ParamsRefused(sorted(set(params) - {"deployment"})[0], "unknown_param")
    if value not in ("booted", "pending", "rollback"):
        raise ParamsRefused("deployment", "not_a_place", value=str(value)[:40])
    return {"deployment": value}


RESTART = Action(
    kind="reboot",
    checks=ready_to_restart,
    commands=lambda driver, _params, _plan: [driver.command("reboot")],
    steps=(preflight(ready_to_restart, see_managers), *DRAIN_STEPS, REBOOT, AWAIT_BOOT, SETTLE, SOAK),
    capabilities=("reboot",),
    is_disruptive=True,
    check_params=_restart_params,
)
SIMPLE = (
    _one_command("pin", "pin", params=_deployment, ready=to_pin),
    _one_command("unpin", "unpin", params=_deployment, ready=to_pin),
    _one_command("cleanup_pending", "cleanup_pending", ready=to_drop("pending")),
    _one_command("cleanup_rollback", "cleanup_rollback", ready=to_drop("rollback")),
    _one_command("cleanup_old", "cleanup_old"),
    _one_command("cancel_transaction", "cancel"),
    _one_command("zincati_pause", "zincati_pause", good="updates_paused"),
    _one_command("zincati_resume", "zincati_resume", ready=agent_starts, good="updates_resumed"),
    _one_command("zincati_check", "zincati_restart", ready=agent_looks, good="agent_restarted"),
)
