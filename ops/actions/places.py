"""What is known of the deployment that a kind names by its place: booted, pending or rollback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.axes.reading import at, flag, text
from ops import preflight as checks
from ops.actions.base import Checks
from ops.preflight import Check

_FIND = {"booted": checks.booted_of, "pending": checks.pending_of, "rollback": checks.rollback_of}


def _named(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": text(found, "version") or text(found, "checksum")[:12] or text(found, "id")}


def to_pin(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    """Whether it is there. Where even what runs was not read, the host is asked."""
    place = str(params.get("deployment"))
    if checks.booted_of(facts) is None:
        return [Check("booted_unknown", "warn")]
    found = _FIND[place](facts)
    if found is None:
        return [Check(f"no_{place}", "block")]
    if flag(found, "staged"):
        return [Check("only_staged", "block", _named(found))]
    return [
        Check("pinned_now" if flag(found, "pinned") else "not_pinned_now", params={"place": place, **_named(found)})
    ]


def to_drop(place: str) -> Checks:
    """Whether there is something to drop. Nothing stops it: to drop what is not there does no harm."""

    def run(
        facts: Mapping[str, Any], _measured: Mapping[str, Any], _params: Mapping[str, Any], _plan: Mapping[str, Any]
    ) -> Sequence[Check]:
        if checks.booted_of(facts) is None:
            return [Check("booted_unknown", "warn")]
        found = _FIND[place](facts)
        if found is None:
            return [Check(f"nothing_{place}", "warn")]
        if flag(found, "pinned"):
            return [Check("pinned_stays", "warn", _named(found))]
        return [Check("is_dropped", params=_named(found))]

    return run


def agent_starts(
    facts: Mapping[str, Any], _measured: Mapping[str, Any], _params: Mapping[str, Any], _plan: Mapping[str, Any]
) -> Sequence[Check]:
    """A restart of the update agent also starts one that somebody stopped."""
    stopped = text(facts, "agent", "unit", "active") in ("inactive", "failed")
    return [Check("agent_is_started", "warn")] if stopped else []


def agent_looks(
    facts: Mapping[str, Any], measured: Mapping[str, Any], params: Mapping[str, Any], plan: Mapping[str, Any]
) -> Sequence[Check]:
    """One that is paused looks for nothing."""
    paused = at(facts, "agent", "config", "updates", "enabled") is False
    return [*agent_starts(facts, measured, params, plan), *([Check("agent_is_paused", "warn")] if paused else [])]
