"""The update state axis: what the host runs, what it has ready, and what exists."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nodes.axes.reading import flag, mapping, moment, objects, text
from nodes.axes.values import AxisValue, UpdateState
from nodes.releases.graph import Release, ReleasesView
from nodes.releases.versions import fcos_stream_number, is_newer

STATUS_SECTIONS = ("rpm_ostree_status", "bootc_status", "update_engine")
_STAGE_ATTEMPT = re.compile(r"trying to stage (\S+) \(?.*?([0-9]{1,9})")
_FOUND_UPDATE = re.compile(r"(?:found update on remote|trying to stage):? (\S+)")
_RUNNING_UNITS = ("active", "activating", "reloading")
_TTYS_IN_A_REASON = 5

Entry = Mapping[str, Any]


def update_state(facts: Mapping[str, Any] | None, releases: ReleasesView, now: datetime) -> AxisValue:
    """Where the node stands: first what it has ready, then whether it fell back, then what exists."""
    if not facts:
        return _unknown("no_facts")
    deployments = objects(facts, "deployments")
    booted = next((entry for entry in deployments if flag(entry, "booted")), None)
    if booted is None:
        return _without_booted(facts, deployments)
    own = [entry for entry in deployments if _osname(entry) == _osname(booted)]
    place = next(index for index, entry in enumerate(own) if entry is booted)
    pending = next((entry for entry in own if flag(entry, "staged")), None) or (own[0] if place > 0 else None)
    if pending is not None and pending is not booted:
        return _with_pending(facts, booted, pending)
    failed = next((entry for entry in own if flag(entry, "boot_failed")), None)
    if failed is not None:
        params = {"booted": _version(booted), "version": _version(failed)}
        return AxisValue(UpdateState.ROLLED_BACK.value, "boot_failed", params)
    if flag(facts, "update", "reboot_pending"):
        return AxisValue(UpdateState.REBOOT_PENDING.value, "host_asks_for_reboot")
    previous = own[place + 1] if place + 1 < len(own) else None
    if previous is not None and _is_newer(previous, booted):
        params = {"booted": _version(booted), "version": _version(previous)}
        return AxisValue(UpdateState.ROLLED_BACK.value, "newer_in_rollback", params)
    return _available(facts, booted, releases, now)


def _unknown(reason: str, **params: object) -> AxisValue:
    return AxisValue(UpdateState.UNKNOWN.value, reason, dict(params))


def _without_booted(facts: Mapping[str, Any], deployments: Sequence[Entry]) -> AxisValue:
    for unread in objects(facts, "unread"):
        if text(unread, "section") in STATUS_SECTIONS:
            return _unknown("status_not_read", section=text(unread, "section"), why=text(unread, "reason"))
    if deployments:
        return _unknown("booted_from_none")
    family = text(facts, "os", "family")
    return _unknown("not_image_based" if family in ("", "unknown") else "no_deployments")


def _with_pending(facts: Mapping[str, Any], booted: Entry, pending: Entry) -> AxisValue:
    params: dict[str, Any] = {"version": _version(pending), "booted": _version(booted)}
    status = _agent_status(facts)
    agent = {"agent": text(facts, "agent", "name") or "Zincati"}
    waits_for = text(facts, "agent", "detail", "waiting_for")
    waits = text(facts, "agent", "state") == "waiting_for_reboot"
    if waits or "update finalized" in status or "waiting for reboot" in status:
        return AxisValue(UpdateState.REBOOT_PENDING.value, "agent_waits_for_reboot", {**params, **agent})
    if not flag(pending, "staged"):
        return _with_swapped_order(facts, booted, pending, params)
    if waits_for == "user_sessions" or "active user sessions" in status:
        return AxisValue(UpdateState.DEFERRED.value, "user_session", {**params, **agent, **_sessions(facts)})
    if waits_for == "strategy" or "reboot pending due to update strategy" in status:
        strategy = {"strategy": text(facts, "agent", "config", "updates", "strategy")}
        return AxisValue(UpdateState.DEFERRED.value, "update_strategy", {**params, **agent, **strategy})
    if flag(pending, "locked"):
        return AxisValue(UpdateState.DEFERRED.value, "finalization_locked", params)
    return AxisValue(UpdateState.STAGED.value, "", params)


def _with_swapped_order(facts: Mapping[str, Any], booted: Entry, pending: Entry, params: dict[str, Any]) -> AxisValue:
    """Another deployment is first in the boot order although nothing is staged."""
    # A finished update is booted at once, so a newer default that is not running means that the boot of it failed or
    # was declined, unless the order was changed since: then it was not tried yet. An older one was put first by a
    # rollback that waits for its reboot.
    if _is_newer(pending, booted) and not flag(facts, "update", "order_changed"):
        return AxisValue(UpdateState.ROLLED_BACK.value, "booted_is_not_default", params)
    reason = "rollback_queued" if _is_newer(booted, pending) else "other_deployment_first"
    return AxisValue(UpdateState.REBOOT_PENDING.value, reason, params)


def _available(facts: Mapping[str, Any], booted: Entry, releases: ReleasesView, now: datetime) -> AxisValue:
    found = _release_of(booted, releases)
    version = found.version if found else _version(booted)
    if not releases.known:
        return _from_host(facts, booted, version)
    if not version:
        return _unknown("no_version", stream=releases.stream)
    if found is not None and found.is_deadend:
        return _on_dead_end(found, releases, now)
    step = releases.next_step(version, now)
    if step is not None:
        return _behind(facts, version, step, releases, now)
    newest = releases.newest(now)
    ahead = newest is not None and is_newer(version, newest.version)
    reason = "ahead_of_releases" if ahead or newest is None else ""
    params = {"version": version, "stream": releases.stream, "newest": newest.version if newest else ""}
    return AxisValue(UpdateState.UP_TO_DATE.value, reason, params)


def _on_dead_end(release: Release, releases: ReleasesView, now: datetime) -> AxisValue:
    newest = releases.newest(now)
    params = {"booted": release.version, "detail": (release.deadend or "")[:300]}
    if newest is None or not is_newer(newest.version, release.version):
        return _unknown("dead_end", **params)
    return AxisValue(UpdateState.UPDATE_AVAILABLE.value, "dead_end", {**params, "version": newest.version})


def _behind(facts: Mapping[str, Any], version: str, step: Release, releases: ReleasesView, now: datetime) -> AxisValue:
    newest = releases.newest(now) or step
    distance = releases.behind(version, now)
    params: dict[str, Any] = {
        "version": step.version,
        "booted": version,
        "newest": newest.version,
        "stream": releases.stream,
        "releases": distance.releases,
        "days": distance.days,
    }
    reason = "barrier" if step.version != newest.version else "newer_release"
    blocked = _agent_trouble(facts, version)
    if blocked is not None:
        reason, params = blocked[0], {**params, **blocked[1]}
    return AxisValue(UpdateState.UPDATE_AVAILABLE.value, reason, params)


def _agent_trouble(facts: Mapping[str, Any], booted: str) -> tuple[str, dict[str, Any]] | None:
    """What the update agent on the host says of itself while an update is there."""
    name = text(facts, "agent", "name")
    attempt = _STAGE_ATTEMPT.fullmatch(_agent_status(facts).rstrip(")").removesuffix(" failed deployment attempts"))
    if attempt and int(attempt[2]) > 0 and is_newer(attempt[1], booted):
        return "staging_fails", {"agent": name or "Zincati", "version": attempt[1], "attempts": int(attempt[2])}
    unit = text(facts, "agent", "unit", "active")
    if name and unit and unit not in _RUNNING_UNITS:
        return "agent_off", {"agent": name, "unit_state": unit}
    disabled = mapping(facts, "agent", "config", "updates").get("enabled") is False
    if name and (disabled or "disabled by configuration" in _agent_status(facts)):
        return "agent_disabled", {"agent": name}
    return None


def _from_host(facts: Mapping[str, Any], booted: Entry, version: str) -> AxisValue:
    """What the host itself knows, for streams of which no release is known."""
    for reason, name in (("cached_update", "cached_update"), ("pulled", "pending_commit")):
        offer = mapping(facts, "update", name)
        if offer and _offers_newer(offer, booted, version):
            params = {"version": text(offer, "version"), "booted": version}
            return AxisValue(UpdateState.UPDATE_AVAILABLE.value, reason, params)
    found = _FOUND_UPDATE.match(_agent_status(facts))
    if found and version and is_newer(found[1], version):
        return AxisValue(
            UpdateState.UPDATE_AVAILABLE.value, "agent_found_update", {"version": found[1], "booted": version}
        )
    cached = mapping(facts, "update", "cached_update")
    if text(cached, "checksum") or text(cached, "version"):
        return AxisValue(UpdateState.UP_TO_DATE.value, "host_says", {"version": version})
    stream = _stream(facts, booted)
    return _unknown("no_releases", stream=stream) if stream else _unknown("no_stream")


def _offers_newer(offer: Entry, booted: Entry, version: str) -> bool:
    checksum = text(offer, "checksum")
    if checksum and checksum in _checksums(booted):
        return False
    offered = text(offer, "version")
    if offered and version:
        return is_newer(offered, version)
    return bool(checksum or offered)


def _release_of(booted: Entry, releases: ReleasesView) -> Release | None:
    version = _version(booted)
    if version:
        return releases.find(version)
    found = (releases.find_checksum(checksum) for checksum in _checksums(booted))
    return next((release for release in found if release is not None), None)


def _agent_status(facts: Mapping[str, Any]) -> str:
    """What the agent says, unless it has stopped: some versions leave their last words behind."""
    unit = text(facts, "agent", "unit", "active")
    return "" if unit and unit not in _RUNNING_UNITS else text(facts, "agent", "status_text")


def _sessions(facts: Mapping[str, Any]) -> dict[str, Any]:
    ttys = [text(session, "tty") for session in objects(facts, "sessions")]
    ttys = [tty for tty in ttys if tty]
    return {"count": len(ttys), "ttys": ttys[:_TTYS_IN_A_REASON]} if ttys else {}


def _is_newer(one: Entry, than: Entry) -> bool:
    """By version where both have one and follow the same stream, else by the time of the commit."""
    first, second = _version(one), _version(than)
    streams = _entry_stream(one), _entry_stream(than)
    if all(streams) and streams[0] != streams[1]:
        return False
    if first and second:
        return is_newer(first, second)
    first_at, second_at = moment(one, "timestamp"), moment(than, "timestamp")
    return first_at is not None and second_at is not None and first_at > second_at


def _entry_stream(entry: Entry) -> str:
    return fcos_stream_number(_version(entry)) or text(entry, "stream")


def _stream(facts: Mapping[str, Any], booted: Entry) -> str:
    return text(booted, "stream") or text(facts, "os", "stream")


def _version(entry: Entry) -> str:
    return text(entry, "base_version") or text(entry, "version")


def _checksums(entry: Entry) -> list[str]:
    names = ("base_checksum", "checksum", "image_digest")
    return [checksum for name in names if (checksum := text(entry, name))]


def _osname(entry: Entry) -> str:
    return text(entry, "osname")


REASONS = {
    UpdateState.UP_TO_DATE: ("", "ahead_of_releases", "host_says"),
    UpdateState.UPDATE_AVAILABLE: (
        "newer_release",
        "barrier",
        "dead_end",
        "staging_fails",
        "agent_off",
        "agent_disabled",
        "cached_update",
        "pulled",
        "agent_found_update",
    ),
    UpdateState.STAGED: ("",),
    UpdateState.REBOOT_PENDING: (
        "agent_waits_for_reboot",
        "rollback_queued",
        "other_deployment_first",
        "host_asks_for_reboot",
    ),
    UpdateState.DEFERRED: ("update_strategy", "user_session", "finalization_locked"),
    UpdateState.ROLLED_BACK: ("boot_failed", "newer_in_rollback", "booted_is_not_default"),
    UpdateState.UNKNOWN: (
        "no_facts",
        "status_not_read",
        "booted_from_none",
        "not_image_based",
        "no_deployments",
        "no_version",
        "no_stream",
        "no_releases",
        "dead_end",
    ),
}
