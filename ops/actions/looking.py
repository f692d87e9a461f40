"""Kinds that change nothing: read the host now, and ask it whether an update is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ops import preflight as checks
from ops.actions.base import LOOK_AGAIN, Action, Context, Step, as_failure, effect
from ops.actions.fenced import run_fenced
from ops.actions.ready import preflight
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, booted_of, staged_of

#: An agent that is told to check answers at once, and says that it checks only a moment later.
BELIEVED_AFTER = timedelta(seconds=10)
CHECKED_WITHIN = timedelta(minutes=5)
CHANGES_TOLD = 20


def read_now(ctx: Context) -> Outcome:
    """Read and store. What was stored before is written down first, so that a repeat tells the same changes."""
    if "known_before" not in ctx.memory:
        return Wait(ctx.now, "reads", memory={"known_before": ctx.inventory.known()})
    if not ctx.inventory.take_in(ctx.host.read):
        return Wait(ctx.now + LOOK_AGAIN, "poll_ends")
    found = ctx.inventory.changes(ctx.memory["known_before"])
    told = [{"kind": kind, "params": dict(params)} for kind, params in found[:CHANGES_TOLD]]
    return Done("refreshed", {"changes": told, "count": len(found)}, finish=True)


def ready_to_check(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    return [checks.deployments_known(facts), checks.no_transaction(facts)]


def check_now(ctx: Context) -> Outcome:
    """Ask the host. A long question runs in the fence; a short one starts a check that its update agent makes by itself."""
    command = ctx.driver.command("check")
    if not command.long:
        return _told_agent(ctx)

    def done(status: int, memory: Mapping[str, Any]) -> Outcome:
        said = "" if status else str(memory.get("printed", ""))
        return _answer(ctx, ctx.driver.offered(ctx.host.look()[0], said), memory)

    return run_fenced(ctx, command, waits="checks", fails="check_failed", done=done, keep_printed=True)


def _told_agent(ctx: Context) -> Outcome:
    asked_at = ctx.memory.get("asked_at")
    if asked_at is None:
        result = effect(ctx, ctx.driver.command("check"))
        if result.exit_status:
            return as_failure(result, "check_failed", again=True)
        return Wait(ctx.now + LOOK_AGAIN, "checks", memory={"asked_at": ctx.now.isoformat()})
    offered = ctx.driver.offered(ctx.host.look()[0], "")
    waited = ctx.now - datetime.fromisoformat(asked_at)
    if offered is None and waited > CHECKED_WITHIN:
        return Fail("check_unanswered", {"minutes": CHECKED_WITHIN // timedelta(minutes=1)})
    if offered is None or (not offered and waited < BELIEVED_AFTER):
        return Wait(ctx.now + LOOK_AGAIN, "checks")
    return _answer(ctx, offered, {})


def _answer(ctx: Context, offered: str | None, memory: Mapping[str, Any]) -> Outcome:
    forgotten = {**memory, "printed": ""}
    if offered:
        return Done("update_there", {"version": offered}, forgotten)
    document = ctx.host.look()[0].as_json()
    if (staged := staged_of(document)) is not None:
        return Done("update_waits", {"version": staged.get("version") or ""}, forgotten)
    return Done("no_update", {"version": (booted_of(document) or {}).get("version") or ""}, forgotten)


REFRESH = Action(
    kind="refresh",
    steps=(Step("read", read_now),),
    changes=False,
    beside_changes=True,
    needs_facts=False,
)
CHECK = Action(
    kind="check",
    checks=ready_to_check,
    commands=lambda driver, _params, _plan: [driver.command("check")],
    steps=(preflight(ready_to_check), Step("check", check_now)),
    capabilities=("check",),
    changes=False,
)
