"""Restart one systemd unit, once, and see whether it comes up and stays up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from nodes.hosts.drivers import units
from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command, Driver
from nodes.hosts.drivers.systemd import parse_show
from ops.actions.base import LOOK_AGAIN, Action, Context, ParamsRefused, Step
from ops.actions.fenced import run_fenced
from ops.actions.ready import preflight
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check

#: A unit that comes up and falls over again does so within seconds.
STAYS_UP_FOR = timedelta(seconds=8)
SETTLED_WITHIN = timedelta(minutes=5)
_ON_THE_WAY = ("activating", "deactivating", "reloading")
_NO_ACTION = ("", "none")


def unit_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`unit`: a service, socket, timer or path whose restart neither cuts us off nor takes the host down."""
    if others := sorted(set(params) - {"unit"}):
        raise ParamsRefused(others[0], "unknown_param")
    given = params.get("unit", "")
    if not isinstance(given, str) or not given.strip():
        raise ParamsRefused("unit", "not_a_unit", value=str(given)[:100])
    name = units.whole_name(given.strip())
    if code := units.refusal(name):
        raise ParamsRefused("unit", code, value=name[:100])
    return {"unit": name}


def _shown(ctx: Context) -> dict[str, str]:
    """What the host says of the unit now."""
    result = ctx.host.run(ctx.driver.command("unit_shown", unit=ctx.params["unit"]))
    return next(iter(parse_show(result.stdout.decode("utf-8", "replace"))), {})


def ready_to_restart_unit(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    """A plan knows the failed units of the last poll only; the first step knows what the host says of this one."""
    name = str(params.get("unit", ""))
    shown = facts.get("unit")
    if shown is None:
        failed = {str(one.get("name")) for one in (facts.get("health") or {}).get("failed_units") or []}
        return [Check("unit_is_failed" if name in failed else "unit_not_failed", params={"unit": name})]
    said = {"unit": name, "state": shown.get("ActiveState", "")}
    if shown.get("LoadState") != "loaded":
        return [Check("unit_absent", "block", {**said, "load": shown.get("LoadState", "")})]
    found = [Check("unit_there", params=said)]
    if code := units.refusal(shown.get("Id", name)):
        # The name is an alias of a unit that is not to be restarted.
        found.append(Check(code, "block", {"value": shown.get("Id", "")}))
    if any(shown.get(key, "") not in _NO_ACTION for key in ("SuccessAction", "FailureAction")):
        found.append(Check("unit_stops_host", "block", {"value": name}))
    if "yes" in (shown.get("RefuseManualStart"), shown.get("RefuseManualStop")):
        found.append(Check("unit_refuses", "block", said))
    if shown.get("ActiveState") in _ON_THE_WAY:
        found.append(Check("unit_on_the_way", "block", said))
    return found


def _before(ctx: Context) -> Mapping[str, str]:
    return dict(ctx.memory.get("seen", {}).get("unit") or {})


def restart_unit(ctx: Context) -> Outcome:
    """One transient unit, and in it a comparison of the invocation id: neither a second worker nor a late one restarts again."""

    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        return Done("unit_restarted", memory=memory)

    command = ctx.driver.command(
        "unit_restart", unit=ctx.params["unit"], invocation=_before(ctx).get("InvocationID", "")
    )
    found = run_fenced(ctx, command, waits="unit_restarts", fails="unit_restart_failed", done=done)
    if isinstance(found, Fail) and found.params.get("status") == BOOT_CHANGED_STATUS:
        return Fail("unit_changed", {"unit": ctx.params["unit"]}, found.memory)
    return found


def watch_unit(ctx: Context) -> Outcome:
    """Up and still the same a few seconds later, or failed; the last lines of its journal are kept either way."""
    shown, name = _shown(ctx), ctx.params["unit"]
    state, invocation = shown.get("ActiveState", ""), shown.get("InvocationID", "")
    if state in _ON_THE_WAY:
        if ctx.now - ctx.since > SETTLED_WITHIN:
            return _ended(
                ctx,
                Fail("unit_stuck", {"unit": name, "state": state, "minutes": SETTLED_WITHIN // timedelta(minutes=1)}),
            )
        return Wait(ctx.now + LOOK_AGAIN, "unit_starts", {"unit": name, "state": state})
    if state == "failed":
        params = {"unit": name, "why": shown.get("Result", ""), "status": shown.get("ExecMainStatus", "")}
        return _ended(ctx, Fail("unit_failed", params))
    if invocation == _before(ctx).get("InvocationID", ""):
        return _ended(ctx, Fail("unit_not_restarted", {"unit": name, "said": ctx.memory.get("last_said", "")}))
    if state != "active":
        return _ended(ctx, Done("unit_ran", {"unit": name}))
    up: Mapping[str, str] | None = ctx.memory.get("unit_up")
    if up is None:
        memory = {"unit_up": {"invocation": invocation, "at": ctx.now.isoformat()}}
        return Wait(ctx.now + STAYS_UP_FOR, "unit_stays", {"unit": name}, memory)
    if up["invocation"] != invocation:
        return _ended(ctx, Fail("unit_unstable", {"unit": name}))
    left = STAYS_UP_FOR - (ctx.now - datetime.fromisoformat(up["at"]))
    if left > timedelta(0):
        return Wait(ctx.now + left, "unit_stays", {"unit": name})
    return _ended(ctx, Done("unit_active", {"unit": name, "state": shown.get("SubState", "")}, finish=True))


def _ended(ctx: Context, outcome: Outcome) -> Outcome:
    name = ctx.params["unit"]
    printed = ctx.host.run(ctx.driver.command("unit_journal", unit=name)).stdout.decode("utf-8", "replace")
    if printed.strip():
        ctx.log.note("unit_journal", unit=name)
        ctx.log.output("out", printed)
    return outcome


def _commands(driver: Driver, params: Mapping[str, Any], _plan: Mapping[str, Any]) -> list[Command]:
    return [driver.command("unit_restart", unit=params["unit"])]


UNIT_RESTART = Action(
    kind="unit_restart",
    checks=ready_to_restart_unit,
    commands=_commands,
    steps=(
        preflight(ready_to_restart_unit, see=lambda ctx, _facts: {"unit": _shown(ctx)}),
        Step("restart_unit", restart_unit),
        Step("watch_unit", watch_unit),
    ),
    capabilities=("unit_restart",),
    is_disruptive=True,
    check_params=unit_params,
)
