"""Start, stop or restart a container: by its unit where one runs it, since systemd would undo what is done behind its back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from nodes.hosts.drivers import units
from nodes.hosts.drivers.base import BOOT_CHANGED_STATUS, Command, Driver
from nodes.hosts.drivers.systemd import parse_show
from ops.actions.base import LOOK_AGAIN, Action, Context, ParamsRefused, Step
from ops.actions.containers import CAPABILITY, containers_read, named_container, podman_there
from ops.actions.fenced import run_fenced
from ops.actions.ready import preflight
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_UP = ("running", "paused")
SETTLES_WITHIN = timedelta(minutes=2)


def container_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`container`: the name of a container of root, or of one that a unit would run."""
    if others := sorted(set(params) - {"container"}):
        raise ParamsRefused(others[0], "unknown_param")
    name = params.get("container", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name.strip()):
        raise ParamsRefused("container", "not_a_container", value=str(name)[:100])
    return {"container": name.strip()}


def _unit_of(facts: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    return str(named_container(facts, str(params.get("container", ""))).get("unit") or "")


def _ready(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    if unread := containers_read(facts):
        return [podman_there(facts), *unread]
    found, name = named_container(facts, str(params.get("container", ""))), params.get("container", "")
    if not found:
        return [podman_there(facts), Check("container_absent", "block", {"container": name})]
    unit = _unit_of(facts, params)
    checks = [
        podman_there(facts),
        Check("container_there", params={"container": name, "state": found.get("state") or ""}),
    ]
    if unit and (code := units.refusal(unit)):
        return [*checks, Check(code, "block", {"value": unit})]
    by = Check("container_by_unit", params={"unit": unit}) if unit else Check("container_by_hand")
    return [*checks, by]


def _see(ctx: Context, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The unit where there is one, and by what a repeat finds that it was done."""
    unit = _unit_of(facts, ctx.params)
    return {"power": {"unit": unit, "seen": _seen(ctx, unit)}}


def _seen(ctx: Context, unit: str) -> str:
    if unit:
        shown = ctx.host.run(ctx.driver.command("unit_shown", unit=unit)).stdout.decode("utf-8", "replace")
        return next(iter(parse_show(shown)), {}).get("InvocationID", "")
    result = ctx.host.run(ctx.driver.command("container_started", container=ctx.params["container"]))
    return "" if result.exit_status else result.stdout.decode("utf-8", "replace").strip()


def _is_as_wanted(ctx: Context, verb: str) -> bool:
    """What is up, and what is not, as the host says it now."""
    power = ctx.memory["seen"]["power"]
    if power["unit"]:
        shown = ctx.host.run(ctx.driver.command("unit_shown", unit=power["unit"])).stdout.decode("utf-8", "replace")
        state = next(iter(parse_show(shown)), {}).get("ActiveState", "")
        return state in ("inactive", "failed") if verb == "stop" else state == "active"
    result = ctx.host.run(ctx.driver.command("container_shown", container=ctx.params["container"]))
    words = result.stdout.decode("utf-8", "replace").split()
    if result.exit_status or len(words) < 2:
        return False
    return words[1] not in _UP if verb == "stop" else words[1] == "running"


def _action(verb: str) -> Action:
    def run(ctx: Context) -> Outcome:
        power = ctx.memory["seen"]["power"]
        told = {"container": ctx.params["container"], "unit": power["unit"]}

        def needed() -> Outcome | None:
            if verb != "restart" and _is_as_wanted(ctx, verb):
                return Done(f"container_{verb}_there", told, finish=True)
            return None

        def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
            return Done("container_asked", told, memory)

        found = run_fenced(
            ctx,
            _command(ctx.driver, verb, ctx.params, power),
            waits=f"container_{verb}s",
            fails="container_refused",
            done=done,
            look_first=needed,
        )
        if isinstance(found, Fail) and found.params.get("status") == BOOT_CHANGED_STATUS:
            return Fail("container_changed", told, found.memory)
        return found

    def look(ctx: Context) -> Outcome:
        told = {"container": ctx.params["container"], "unit": ctx.memory["seen"]["power"]["unit"]}
        if _is_as_wanted(ctx, verb):
            return Done(f"container_{verb}_done", told, finish=True)
        if ctx.now - ctx.since > SETTLES_WITHIN:
            return Fail(f"container_not_{verb}", {**told, "said": ctx.memory.get("last_said", "")})
        return Wait(ctx.now + LOOK_AGAIN, f"container_{verb}s")

    return Action(
        kind=f"container_{verb}",
        checks=_ready,
        commands=lambda driver, params, plan: [_command(driver, verb, params, (plan.get("target") or {}))],
        target=lambda facts, params: {"unit": _unit_of(facts, params)},
        steps=(preflight(_ready, _see), Step("container_power", run), Step("watch_container", look)),
        capabilities=(CAPABILITY,),
        is_disruptive=True,
        check_params=container_params,
    )


def _command(driver: Driver, verb: str, params: Mapping[str, Any], power: Mapping[str, Any]) -> Command:
    """`seen` is there once the host was looked at."""
    seen = {"seen": power["seen"]} if "seen" in power else {}
    if power.get("unit"):
        return driver.command("container_power", verb=verb, unit=power["unit"], **seen)
    return driver.command("container_power", verb=verb, container=params["container"], **seen)


POWER = tuple(map(_action, ("restart", "start", "stop")))
