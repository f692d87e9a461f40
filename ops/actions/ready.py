"""The first step of whatever changes a host: look at it now, compare with the plan, and refuse with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ops.actions.base import Checks, Context, Step
from ops.actions.drain import drain_checks, drains
from ops.actions.snapshot import snapshot
from ops.outcomes import Done, Fail, Outcome
from ops.preflight import Check, blocked, booted_of, key_of, named, staged_of, unchanged_since

#: What was not read this time, and may be the next.
_PASSES = ("booted_unknown", "containers_unread")


def preflight(
    checks: Checks,
    see: Callable[[Context, Mapping[str, Any]], Mapping[str, Any]] = lambda _ctx, _facts: {},
    ask_cluster: Callable[[Context, Mapping[str, Any]], Sequence[Check]] = lambda ctx, _seen: drain_checks(ctx),
) -> Step:
    """A step that runs `checks(facts, measured, params, plan)` on a look of this moment, and remembers what was before.

    `see` is given that look, and asks the host for more than it has; the checks find it among the facts, and later steps as
    `seen`. It does not look itself: of two looks each may lack what the other has, and only one would be checked. Where
    the plan names a node of a cluster, `ask_cluster` asks that.
    """

    def run(ctx: Context) -> Outcome:
        facts, measured = ctx.host.look()
        looked = facts.as_json()
        seen = see(ctx, looked)
        document = {**looked, **seen}
        found = [Check("read_now"), unchanged_since(ctx.plan.get("frozen", {}), document)]
        found += checks(document, measured.as_json(), ctx.params, ctx.plan)
        if drains(ctx.plan):
            found += ask_cluster(ctx, seen)
        if not facts.boot.boot_id:
            found.append(Check("boot_id_unknown", "block"))
        found = [check for place, check in enumerate(found) if check not in found[:place]]
        for check in found:
            ctx.log.note(f"check_{check.level}", check=check.code, **check.params)
        if stops := blocked(found):
            # A busy host may not have answered in time what it runs: that passes, and nothing was changed.
            unread = all(check.code in _PASSES for check in stops)
            return Fail("preflight", {"checks": [check.as_json() for check in stops]}, again=unread)
        booted = booted_of(document) or {}
        memory = {
            "boot_id": facts.boot.boot_id,
            "before": named(booted),
            "staged_before": key_of(staged_of(document)),
            "seen": seen,
            "facts_before": snapshot(facts, measured),
            "failed_before": sorted(unit.name for unit in facts.health.failed_units),
            "checks": [check.as_json() for check in found],
        }
        return Done("ready", memory=memory)

    return Step("preflight", run)
