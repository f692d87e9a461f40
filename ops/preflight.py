"""What has to hold before a host is changed, each check with a code that is worded where it is shown. Pure.

The same checks make the plan (from stored facts) and the first step (from a look of that moment).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nodes.axes.reading import at, flag, number, objects, text

#: A disk as full as that fails an update or ends one half done.
FULL_PERCENT = 95.0
TIGHT_PERCENT = 85.0
#: What is known of a host that is polled every minute; older than that, something is late.
FRESH = timedelta(minutes=15)
DISKS = ("/boot", "/", "/sysroot")
_PACKAGES = ("layered", "local_packages", "overrides", "removed")
_AGENT_AT_WORK = ("staging", "finalizing", "waiting_for_reboot")


@dataclass(frozen=True)
class Check:
    """`level` is ok, warn or block."""

    code: str
    level: str = "ok"
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Facts = Mapping[str, Any]


def contact(reachability: str, seen_at: datetime | None, now: datetime) -> Check:
    """Whether the host answers, and how old what is known of it is: the plan is made from that."""
    if seen_at is None:
        return Check("never_seen", "warn")
    minutes = int((now - seen_at) / timedelta(minutes=1))
    if reachability == "unreachable":
        return Check("unreachable", "warn", {"minutes": minutes})
    fresh = now - seen_at <= FRESH
    return Check("facts_fresh" if fresh else "facts_old", "ok" if fresh else "warn", {"minutes": minutes or None})


def not_held(plan: Mapping[str, Any]) -> Check:
    """Whether the target is held back now; without a target the host itself finds one, which may be."""
    held = [str(version) for version in plan.get("held") or ()]
    target = text(plan, "target", "version")
    if target and target in held:
        return Check("held", "block", {"version": target})
    if held and not target:
        return Check("holds", "warn", {"count": len(held), "versions": ", ".join(held[:5])})
    return Check("not_held", params={"version": target})


def proven_backup(plan: Mapping[str, Any]) -> list[Check]:
    """Of each backup that is set as a gate before the node, whether it is fresh and was proven by a restore drill."""
    return [gate_check(gate) for gate in objects(plan, "gates")]


def gate_check(gate: Mapping[str, Any]) -> Check:
    code, params = text(gate, "code"), {"policy": text(gate, "policy"), "hours": number(gate, "hours")}
    return Check("backup_proven", "ok", params) if code == "open" else Check(f"gate_{code}", "block", params)


def deployments_known(facts: Facts) -> Check:
    booted = booted_of(facts)
    if booted is None:
        return Check("booted_unknown", "block")
    return Check("booted_known", params={"version": text(booted, "version")})


def no_transaction(facts: Facts) -> Check:
    title = text(facts, "update", "transaction")
    return Check("transaction", "block", {"transaction": title}) if title else Check("no_transaction")


def space(measured: Facts, disks: Sequence[str] = DISKS) -> list[Check]:
    found = []
    for one in objects(measured, "filesystems"):
        mount, used = text(one, "mount"), number(one, "used_percent")
        if mount not in disks or used is None:
            continue
        params = {"mount": mount, "percent": round(used)}
        level = "block" if used >= FULL_PERCENT else "warn" if used >= TIGHT_PERCENT else "ok"
        found.append(Check("space" if level == "ok" else "space_short", level, params))
    return found or [Check("space_unknown", "warn")]


def confirmed(facts: Facts) -> Check:
    """A boot that was not yet marked as good is undone by the next one, on systems with two slots."""
    if is_unconfirmed(booted_of(facts)):
        return Check("boot_unconfirmed", "block")
    return Check("boot_confirmed")


def is_unconfirmed(deployment: Mapping[str, Any] | None) -> bool:
    return at(deployment or {}, "slot", "successful") is False


def nothing_waits(facts: Facts) -> Check:
    """Nothing but what runs boots next: kernel arguments would be changed on top of what waits, and not of what runs."""
    waits = next((one for one in objects(facts, "deployments")), None)
    if waits is None or flag(waits, "booted"):
        return Check("nothing_waits")
    return Check("another_waits", "block", {"version": text(waits, "version")})


def boots_next(facts: Facts) -> Check:
    """A restart boots what comes first, which need not be what runs. What is staged with a lock is not booted by it."""
    if booted_of(facts) is None:
        return Check("booted_unknown", "warn")
    first = next(one for one in objects(facts, "deployments") if not (flag(one, "staged") and flag(one, "locked")))
    if flag(first, "booted"):
        return Check("boots_same")
    return Check("boots_other", "warn", {"version": text(first, "version") or text(first, "id")})


def packages(facts: Facts) -> Check:
    booted = booted_of(facts) or {}
    odd = [str(name) for kind in _PACKAGES for name in _listed(booted, kind)]
    if not odd:
        return Check("no_layers")
    return Check("layers", "warn", {"count": len(odd), "packages": ", ".join(odd[:5])})


def _listed(value: Facts, name: str) -> list[object]:
    found = at(value, name)
    return list(found) if isinstance(found, list | tuple) else []


def sessions(facts: Facts, *, ignored: bool) -> Check:
    found = [f"{text(one, 'user')} ({text(one, 'tty')})" for one in objects(facts, "sessions")]
    if not found:
        return Check("no_sessions")
    return Check("sessions", "warn" if ignored else "block", {"count": len(found), "sessions": ", ".join(found[:5])})


def lock_not_asked(facts: Facts) -> list[Check]:
    """Where the update agent asks a lock before it restarts its host, whose other holders do not expect this restart."""
    if text(facts, "agent", "config", "updates", "strategy") not in ("fleet_lock", "etcd-lock"):
        return []
    lock = text(facts, "agent", "config", "updates", "fleet_lock", "base_url")
    return [
        Check("lock_not_asked", "warn", {"agent": text(facts, "agent", "name"), **({"lock": lock} if lock else {})})
    ]


def agent_idle(facts: Facts) -> Check:
    state = text(facts, "agent", "state")
    params = {"agent": text(facts, "agent", "name"), "state": state}
    return Check("agent_at_work", "block", params) if state in _AGENT_AT_WORK else Check("agent_idle", params=params)


def pruned(facts: Facts) -> Check:
    """A new deployment takes the place of the rollback one, unless that is pinned, and of one that is staged."""
    found = [one for one in objects(facts, "deployments") if not flag(one, "pinned")]
    staged, rollback = (
        ", ".join(text(one, "version") or text(one, "checksum")[:12] for one in found if flag(one, name))
        for name in ("staged", "rollback")
    )
    if not staged and not rollback:
        return Check("nothing_pruned")
    return Check("pruned", "warn", {"staged": staged, "version": rollback})


def unchanged_since(frozen: Mapping[str, Any], facts: Facts) -> Check:
    """What was frozen when the plan was made still holds."""
    booted = booted_of(facts)
    before, now = text(frozen, "booted_checksum"), text(booted or {}, "checksum")
    if before and booted is None:
        # It was not read: that says nothing of a change.
        return Check("booted_unknown", "block")
    if before and before != now:
        params = {"before": text(frozen, "booted_version"), "now": text(booted or {}, "version")}
        return Check("changed_since_plan", "block", params)
    return Check("as_planned")


def booted_of(facts: Facts) -> Mapping[str, Any] | None:
    return next((one for one in objects(facts, "deployments") if flag(one, "booted")), None)


def rollback_of(facts: Facts) -> Mapping[str, Any] | None:
    return next((one for one in objects(facts, "deployments") if flag(one, "rollback")), None)


def staged_of(facts: Facts) -> Mapping[str, Any] | None:
    return next((one for one in objects(facts, "deployments") if flag(one, "staged")), None)


def pending_of(facts: Facts) -> Mapping[str, Any] | None:
    """What comes before the booted one in the boot order."""
    first = next(iter(objects(facts, "deployments")), None)
    return None if first is None or booted_of(facts) is None or flag(first, "booted") else first


def named(deployment: Mapping[str, Any] | None) -> dict[str, Any]:
    """By what a deployment is recognised again, also after a restart."""
    found = deployment or {}
    return {name: found.get(name) for name in ("version", "checksum", "id")}


def key_of(deployment: Mapping[str, Any] | None) -> str:
    """The most telling of its names: not every system gives a checksum to what is staged, or a version to what is old."""
    found = deployment or {}
    return str(found.get("checksum") or found.get("version") or found.get("id") or "")


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two names mean one deployment, by what both of them tell."""
    if one.get("checksum") and one.get("checksum") == other.get("checksum"):
        return True
    if one.get("version") and other.get("version"):
        return bool(one["version"] == other["version"])
    return bool(one.get("id")) and one.get("id") == other.get("id")


def blocked(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.level == "block"]


def has_rollback(facts: Facts) -> Check:
    found = rollback_of(facts)
    return (
        Check("no_rollback", "block")
        if found is None
        else Check("rollback_there", params={"version": text(found, "version")})
    )
