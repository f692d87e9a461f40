"""What a container writes, live for a while: the last lines, then what comes, in the log of the operation. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.hosts.drivers.base import Command, Driver
from nodes.hosts.drivers.podman_commands import LONGEST_FOLLOW_S, MOST_LOG_LINES
from ops.actions.base import Action, Context, ParamsRefused, Step
from ops.actions.container_power import container_params
from ops.actions.containers import CAPABILITY, containers_read, named_container, podman_there
from ops.actions.fenced import run_fenced
from ops.actions.ready import preflight
from ops.outcomes import Done, Outcome
from ops.preflight import Check

DEFAULT_LINES = 200
DEFAULT_SECONDS = 60


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`container`, `lines` of before, and for how many `seconds` it is followed."""
    given = dict(params)
    found: dict[str, Any] = {}
    for name, least, most in (("lines", 1, MOST_LOG_LINES), ("seconds", 0, LONGEST_FOLLOW_S)):
        if name in given:
            value = given.pop(name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ParamsRefused(name, "not_a_number_to", value=str(value)[:40], least=least, most=most)
            found[name] = value
    return {**container_params(given), **found}


def _ready(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    if unread := containers_read(facts):
        return [podman_there(facts), *unread]
    name = str(params.get("container", ""))
    found = named_container(facts, name)
    if not found.get("image_id"):
        return [podman_there(facts), Check("container_absent", "block", {"container": name})]
    return [
        podman_there(facts),
        Check("container_there", params={"container": name, "state": found.get("state") or ""}),
    ]


def _command(driver: Driver, params: Mapping[str, Any]) -> Command:
    lines, seconds = params.get("lines", DEFAULT_LINES), params.get("seconds", DEFAULT_SECONDS)
    return driver.command("container_logs", container=params["container"], lines=lines, seconds=seconds)


def _read(ctx: Context) -> Outcome:
    def done(_status: int, memory: Mapping[str, Any]) -> Outcome:
        # `memory` has what the last look found, and what earlier ones found was remembered before it.
        wrote = {**ctx.memory, **memory}.get("wrote")
        return Done("logs_read" if wrote else "logs_empty", {"container": ctx.params["container"]}, memory, finish=True)

    return run_fenced(ctx, _command(ctx.driver, ctx.params), waits="reads_logs", fails="logs_not_read", done=done)


CONTAINER_LOGS = Action(
    kind="container_logs",
    checks=_ready,
    commands=lambda driver, params, _plan: [_command(driver, params)],
    steps=(preflight(_ready), Step("read_logs", _read)),
    capabilities=(CAPABILITY,),
    changes=False,
    beside_changes=True,
    check_params=_params,
)
