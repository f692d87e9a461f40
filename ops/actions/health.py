"""After a restart: does the host work as it did before, does it pass what its pool asks for, and for long enough?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from nodes.hosts.facts import Facts
from ops import health_checks
from ops.actions.base import Cluster, Context, Step
from ops.actions.evidence import keep_failure
from ops.actions.snapshot import snapshot
from ops.kubernetes import ClusterError
from ops.outcomes import Done, Fail, Outcome, Wait
from ops.preflight import Check, blocked, booted_of, is_unconfirmed

LOOK_EVERY = timedelta(seconds=10)
DEFAULT_SOAK_S = 60
#: A unit may need some tries to come up after a boot; who asks for a short soak gets a quick answer.
LONGEST_GRACE_S = 120
#: update_engine marks a boot as good two minutes after it.
CONFIRMED_WITHIN = timedelta(minutes=10)
#: A step has 30 s for everything; checks that do not fit are made at the next look, and count from then on.
CHECKING_S = 15.0
_UP = ("running", "degraded")
#: A kubelet registers anew, and the API itself may have been on the host.
READY_WITHIN = timedelta(minutes=5)
_OF_CLUSTER = frozenset({"cluster_silent", "cluster_old_boot", "kubelet_not_ready"})
#: The first boot of a new machine pulls images and joins its cluster: until then there is no kubelet that is well.
FIRST_BOOT_WITHIN = timedelta(minutes=15)
_OF_FIRST_BOOT = _OF_CLUSTER | {"kubelet_silent"}
_STARTS = ("initializing", "starting")


def soak(ctx: Context) -> Outcome:
    """Healthy for the whole soak time; a unit that failed before does not count, a fall back does."""
    facts, measured = ctx.host.look()
    if facts.boot.boot_id != ctx.boot_id:
        return Fail("restarted_again", {"version": (booted_of(facts.as_json()) or {}).get("version") or ""})
    fresh = sorted({unit.name for unit in facts.health.failed_units} - set(ctx.memory.get("failed_before", ())))
    found, left_out = _checked(ctx, facts, fresh)
    seen: dict[str, Any] = {"health": [one.as_json() for one in found], "facts_after": snapshot(facts, measured)}
    seen["checked"] = [ctx.boot_id, *(one.params["name"] for one in found if "name" in one.params)]
    bad = blocked(found)
    if bad:
        return _not_healthy(ctx, bad, fresh, seen)
    if left_out:
        return Wait(ctx.now, "checks_go_on", {"count": left_out}, {**seen, "next_check": _next_check(ctx, left_out)})
    began = datetime.fromisoformat(ctx.memory["soak_from"]) if ctx.memory.get("soak_from") else ctx.now
    soak_s = int(ctx.params.get("soak_s", DEFAULT_SOAK_S))
    left = timedelta(seconds=soak_s) - (ctx.now - began)
    seen |= {"next_check": 0}
    if left > timedelta(0):
        wait = min(left, LOOK_EVERY)
        memory = {**seen, "soak_from": began.isoformat()}
        return Wait(ctx.now + wait, "soaks", {"until": (ctx.now + left).isoformat()}, memory)
    if is_unconfirmed(booted_of(facts.as_json())):
        # Until then the next restart, whoever asks for it, goes back to the other slot.
        if ctx.now - began > CONFIRMED_WITHIN + timedelta(seconds=soak_s):
            return Fail("not_confirmed", {"minutes": CONFIRMED_WITHIN // timedelta(minutes=1)}, seen)
        return Wait(ctx.now + LOOK_EVERY, "confirms", memory={**seen, "soak_from": began.isoformat()})
    told = {
        "seconds": soak_s,
        "checks": len(ctx.plan.get("health_checks") or ()),
        "version": (booted_of(facts.as_json()) or {}).get("version") or "",
    }
    return Done("healthy", told, seen, finish=True)


def _not_healthy(ctx: Context, bad: Sequence[Check], fresh: Sequence[str], seen: dict[str, Any]) -> Outcome:
    """Waits while it may still come right, then keeps what tells why, and fails."""
    told = {"units": list(fresh), "checks": [one.as_json() for one in bad]}
    grace = timedelta(seconds=min(LONGEST_GRACE_S, 20 + 2 * int(ctx.params.get("soak_s", DEFAULT_SOAK_S))))
    if ctx.cluster is not None and all(one.code in _OF_CLUSTER for one in bad):
        grace = max(grace, READY_WITHIN)
    if ctx.memory.get("made_at") and _is_first_boot(bad):
        grace = max(grace, FIRST_BOOT_WITHIN)
    if ctx.now - ctx.since < grace:
        return Wait(ctx.now + LOOK_EVERY, "not_healthy_yet", told, {**seen, "soak_from": None, "next_check": 0})
    asked = [str(one.params["unit"]) for one in bad if one.code in ("unit_is_not_active", "unit_is_absent")]
    keep_failure(ctx, [*fresh, *(name for name in asked if name not in fresh)])
    for one in bad:
        ctx.log.note(f"check_{one.level}", check=one.code, **one.params)
    return Fail("unhealthy", told, seen)


def _is_first_boot(bad: Sequence[Check]) -> bool:
    """Whether nothing is wrong but what is so until a new machine has started and joined."""
    starts = any(one.code == "system_not_up" and one.params["state"] in _STARTS for one in bad)
    return starts or all(one.code in _OF_FIRST_BOOT for one in bad)


def _checked(ctx: Context, facts: Facts, fresh: Sequence[str]) -> tuple[list[Check], int]:
    """What holds now, and how many checks of the pool there was no time for. Those before `next_check` passed already."""
    state = facts.health.system_state or ""
    found = [
        Check("system_up" if state in _UP else "system_not_up", "ok" if state in _UP else "block", {"state": state})
    ]
    found.append(
        Check("units_failed_anew", "block", {"count": len(fresh), "units": list(fresh)})
        if fresh
        else Check("no_unit_failed_anew")
    )
    if ctx.cluster is not None:
        found.append(_in_cluster(ctx, ctx.cluster))
    elif facts.kubernetes.hints or facts.kubernetes.kubelet_version:
        found.append(_kubelet(ctx, facts.network.hostname or ""))
    began, checks = monotonic(), list(ctx.plan.get("health_checks") or ())
    start = min(int(ctx.memory.get("next_check") or 0), len(checks))
    passed = {one["params"].get("name"): one for one in ctx.memory.get("health", ()) if "name" in one["params"]}
    for one in checks[:start]:
        if one["name"] in passed:
            found.append(Check(**passed[one["name"]]))
    # In this boot, at an earlier look.
    before = ctx.memory.get("checked") or [""]
    ran = before[1:] if before[0] == ctx.boot_id else []
    for place, one in enumerate(checks[start:], start):
        if monotonic() - began > CHECKING_S:
            return found, len(checks) - place
        command = health_checks.command_of(
            one["kind"], one["params"], one["timeout_s"], is_first=one["name"] not in ran
        )
        result = ctx.host.run(command)
        check = health_checks.read(one["kind"], one["params"], result)
        found.append(Check(check.code, check.level, {**check.params, "name": one["name"]}))
    return found, 0


def _next_check(ctx: Context, left_out: int) -> int:
    return len(ctx.plan.get("health_checks") or ()) - left_out


def _in_cluster(ctx: Context, cluster: Cluster) -> Check:
    """What the API says of the node. Ready from before the restart stands there for most of a minute: it does not count."""
    try:
        node = cluster.node()
    except ClusterError as error:
        return Check("cluster_silent", "block", {"kind": error.kind, **error.params})
    params = {"node": node.name}
    if len(node.boot_id) == len(ctx.boot_id) and node.boot_id.lower() != ctx.boot_id.lower():
        return Check("cluster_old_boot", "block", params)
    return Check("kubelet_ready", params=params) if node.is_ready else Check("kubelet_not_ready", "block", params)


def _kubelet(ctx: Context, hostname: str) -> Check:
    asked = health_checks.read_ready(ctx.host.run(health_checks.node_ready(hostname)), hostname)
    return asked or health_checks.read_kubelet(ctx.host.run(health_checks.KUBELET_WELL))


SOAK = Step("soak", soak)
