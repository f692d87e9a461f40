"""The health axis. The reasons stand in `_CHECKS` from worst to mildest."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from nodes.axes.reading import at, flag, moment, number, objects, text
from nodes.axes.values import AxisValue, Contact, Health

FACTS_TOO_OLD_AFTER = timedelta(minutes=15)
START_TAKES_AT_MOST = timedelta(minutes=10)
FULL_ABOVE_PERCENT = 90.0
MEMORY_LOW_BELOW_PERCENT = 5.0
NAMES_IN_A_REASON = 10

# A mount that shares its file system with an earlier one here is not reported twice.
WATCHED_MOUNTS = ("/boot", "/", "/var", "/sysroot")
_IMAGE_TYPES = {"composefs", "erofs", "squashfs", "iso9660", "cramfs"}
_IMAGE_AT_MOST_BYTES = 256 * 1024 * 1024

Finding = tuple[str, dict[str, Any]]
Check = Callable[[Mapping[str, Any], Mapping[str, Any], datetime], list[Finding]]


def health(
    facts: Mapping[str, Any] | None, measurement: Mapping[str, Any] | None, contact: Contact, now: datetime
) -> AxisValue:
    """Whether the node works as it should, as far as facts and measurement say."""
    if not facts:
        return AxisValue(Health.UNKNOWN.value, "no_facts")
    if _too_old(contact, now):
        minutes = int((now - contact.last_ok_at).total_seconds() // 60) if contact.last_ok_at else None
        return AxisValue(Health.UNKNOWN.value, "facts_too_old", {"minutes": minutes})
    taken = measurement or {}
    findings = [finding for check in _CHECKS for finding in check(facts, taken, now)]
    if findings:
        (reason, params), *others = findings
        if others:
            params = {**params, "also": [{"reason": code, "params": detail} for code, detail in others]}
        return AxisValue(Health.DEGRADED.value, reason, params)
    gap = _gap(facts, taken)
    return AxisValue(Health.UNKNOWN.value, gap) if gap else AxisValue(Health.HEALTHY.value)


def _too_old(contact: Contact, now: datetime) -> bool:
    if not contact.failing:
        return False
    return contact.last_ok_at is None or now - contact.last_ok_at > FACTS_TOO_OLD_AFTER


def _gap(facts: Mapping[str, Any], measurement: Mapping[str, Any]) -> str:
    """What keeps a node without findings from being called healthy."""
    state = text(facts, "health", "system_state")
    if state in ("starting", "initializing"):
        return "starting"
    if state == "stopping":
        return "stopping"
    if state not in ("running", "degraded"):
        return "system_state_not_read"
    return "" if objects(measurement, "filesystems") else "not_measured"


def _emergency(facts: Mapping[str, Any], _measurement: Mapping[str, Any], _now: datetime) -> list[Finding]:
    # systemd says "maintenance" for both its rescue and its emergency target.
    state = text(facts, "health", "system_state")
    return [("maintenance_mode", {"state": state})] if state in ("maintenance", "emergency") else []


def _finalize(facts: Mapping[str, Any], _measurement: Mapping[str, Any], _now: datetime) -> list[Finding]:
    failed = at(facts, "update", "finalize_failed")
    if not failed:
        return []
    detail = text(failed) or text(failed, "error") or text(failed, "message") or text(failed, "detail")
    return [("finalize_failed", {"detail": detail})]


def _file_systems(facts: Mapping[str, Any], measurement: Mapping[str, Any], _now: datetime) -> list[Finding]:
    findings: list[tuple[float, Finding]] = []
    for entry in _watched(facts, measurement):
        mount = text(entry, "mount")
        for code, name in (("disk_full", "used_percent"), ("inodes_full", "inodes_used_percent")):
            percent = number(entry, name)
            if percent is not None and percent > FULL_ABOVE_PERCENT:
                findings.append((percent, (code, {"mount": mount, "used_percent": round(percent)})))
    return [finding for _, finding in sorted(findings, key=lambda found: -found[0])]


def _watched(facts: Mapping[str, Any], measurement: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The writable file systems that matter to an update, each once."""
    details = {text(entry, "mount"): entry for entry in objects(facts, "storage", "filesystems")}
    measured = {text(entry, "mount"): entry for entry in objects(measurement, "filesystems")}
    seen: set[tuple[float | None, float | None, float | None]] = set()
    watched: list[Mapping[str, Any]] = []
    for mount in WATCHED_MOUNTS:
        entry = measured.get(mount)
        if entry is None or _is_image(entry, details.get(mount, {})):
            continue
        same = number(entry, "size_bytes"), number(entry, "used_bytes"), number(entry, "used_percent")
        if same[0] is None or same not in seen:
            watched.append(entry)
        seen.add(same)
    return watched


def _is_image(entry: Mapping[str, Any], detail: Mapping[str, Any]) -> bool:
    """Whether the mount is a read-only OS image, which is always 100 % used and means nothing."""
    if text(detail, "type") in _IMAGE_TYPES or text(detail, "device") in _IMAGE_TYPES:
        return True
    size, available = number(entry, "size_bytes"), number(entry, "available_bytes")
    return text(entry, "mount") == "/" and available == 0 and size is not None and size <= _IMAGE_AT_MOST_BYTES


def _units(facts: Mapping[str, Any], _measurement: Mapping[str, Any], _now: datetime) -> list[Finding]:
    names = [text(unit, "name") for unit in objects(facts, "health", "failed_units")]
    names = [name for name in names if name]
    if names:
        return [("units_failed", {"count": len(names), "units": names[:NAMES_IN_A_REASON]})]
    return [("system_degraded", {})] if text(facts, "health", "system_state") == "degraded" else []


def _start_hangs(facts: Mapping[str, Any], _measurement: Mapping[str, Any], now: datetime) -> list[Finding]:
    if text(facts, "health", "system_state") not in ("starting", "initializing"):
        return []
    booted_at = moment(facts, "boot", "booted_at")
    if booted_at is None or now - booted_at <= START_TAKES_AT_MOST:
        return []
    return [("start_hangs", {"minutes": int((now - booted_at).total_seconds() // 60)})]


def _memory(_facts: Mapping[str, Any], measurement: Mapping[str, Any], _now: datetime) -> list[Finding]:
    total, available = number(measurement, "memory_total_bytes"), number(measurement, "memory_available_bytes")
    if total is None or available is None or total <= 0 or available < 0:
        return []
    percent = available / total * 100
    return [("memory_low", {"available_percent": round(percent, 1)})] if percent < MEMORY_LOW_BELOW_PERCENT else []


def _clock(facts: Mapping[str, Any], _measurement: Mapping[str, Any], now: datetime) -> list[Finding]:
    if at(facts, "time", "synchronized") is not False:
        return []
    # A host that has just booted has not heard from its time server yet.
    booted_at = moment(facts, "boot", "booted_at")
    if booted_at is not None and timedelta(0) <= now - booted_at <= START_TAKES_AT_MOST:
        return []
    return [("clock_not_synchronized", {"ntp_off": at(facts, "time", "ntp") is False})]


def _containers(facts: Mapping[str, Any], _measurement: Mapping[str, Any], _now: datetime) -> list[Finding]:
    names = [
        text(container, "name") or text(container, "id")[:12]
        for runtime in objects(facts, "containers", "runtimes")
        for container in objects(runtime, "containers")
        if text(container, "state").lower() == "restarting" or flag(container, "restarting")
    ]
    if not names:
        return []
    return [("containers_restarting", {"count": len(names), "containers": names[:NAMES_IN_A_REASON]})]


_CHECKS: tuple[Check, ...] = (
    _emergency,
    _finalize,
    _file_systems,
    _units,
    _start_hangs,
    _memory,
    _clock,
    _containers,
)

REASONS = {
    Health.HEALTHY: ("",),
    Health.DEGRADED: (
        "maintenance_mode",
        "finalize_failed",
        "disk_full",
        "inodes_full",
        "units_failed",
        "system_degraded",
        "start_hangs",
        "memory_low",
        "clock_not_synchronized",
        "containers_restarting",
    ),
    Health.UNKNOWN: ("no_facts", "facts_too_old", "starting", "stopping", "system_state_not_read", "not_measured"),
}
