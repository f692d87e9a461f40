"""What happened between two looks at a node, as timeline events. Pure: documents in, (kind, params) out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodes.releases.versions import is_newer

Event = tuple[str, dict[str, Any]]
_SILENT = {"unread"}
#: Its members are named by people: a new one is no field that an earlier FleetUI did not read.
_FREE = "labels"


def events(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[Event]:
    """Events from facts `old` (None: the first look) to `new`, the most telling first."""
    if old is None:
        name = new["os"].get("pretty_name") or new["os"].get("name") or ""
        version = _version(new)
        return [("os_detected", {"name": name, "version": version, "family": new["os"]["family"]})]
    found = [*_boot(old, new), *_staging(old, new), *_units(old, new), *_driver(old, new)]
    if not found:
        # A section that an earlier FleetUI did not read has not changed on the host.
        sections = sorted(name for name in new if name in old and name not in _SILENT and _differs(name, old, new))
        if sections:
            found = [("facts_changed", {"sections": sections})]
    return found


def _differs(section: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if old[section] == new[section]:
        return False
    # What an earlier FleetUI did not read of them has not changed on the host either.
    return section not in ("containers", "update") or not _holds(old[section], new[section])


def _holds(old: Any, new: Any) -> bool:
    """Whether all that was read before is read again."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return all(
            name in new and (value == new[name] if name == _FREE else _holds(value, new[name]))
            for name, value in old.items()
        )
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_holds, old, new))
    return bool(old == new)


def _booted(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((one for one in document["deployments"] if one["booted"]), {})


def _version(document: Mapping[str, Any]) -> str:
    return _booted(document).get("version") or document["os"].get("version") or ""


def _boot(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    rebooted = (
        bool(new["boot"]["boot_id"])
        and bool(old["boot"]["boot_id"])
        and new["boot"]["boot_id"] != old["boot"]["boot_id"]
    )
    before, after = _booted(old).get("checksum"), _booted(new).get("checksum")
    versions = {"before": _version(old), "after": _version(new)}
    if before and after:
        if before != after:
            yield ("rolled_back" if _went_back(old, new) else "upgraded", versions)
            return
    elif rebooted and all(versions.values()) and versions["before"] != versions["after"]:
        # A host that has just started is often too busy to say its deployments in time; os-release is read anyway.
        yield ("upgraded" if is_newer(versions["after"], versions["before"]) else "rolled_back", versions)
        return
    if rebooted:
        yield "rebooted", {"version": _version(new), "booted_at": new["boot"]["booted_at"]}


def _went_back(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the other deployment is an older one. Of two in one stream the versions say it: a rollback that
    was queued by hand stands first in the boot order, and is not called the rollback any more."""
    before, after = _booted(old), _booted(new)
    left, reached = before.get("version") or "", after.get("version") or ""
    if left and reached and left != reached and before.get("stream") == after.get("stream"):
        return is_newer(left, reached)
    return any(one["checksum"] == after["checksum"] and one["rollback"] for one in old["deployments"])


def _staging(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    before = [one for one in old["deployments"] if one["staged"]]
    # Without its partition table Flatcar's slot has another id, so an id alone is not enough.
    known = [one["id"] for one in before] + [what_is_staged(one) for one in before]
    for one in new["deployments"]:
        if one["staged"] and one["id"] not in known and what_is_staged(one) not in known:
            yield "staged", what_is_staged(one)


def what_is_staged(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Version and checksum, as the event `staged` has them."""
    return {"version": deployment["version"] or "", "checksum": deployment["checksum"] or ""}


def _units(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    before = {unit["name"] for unit in old["health"]["failed_units"]}
    after = {unit["name"] for unit in new["health"]["failed_units"]}
    if after - before:
        yield "units_failed", {"units": sorted(after - before)}
    if before - after:
        yield "units_recovered", {"units": sorted(before - after)}


def _driver(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    if old["os"]["family"] != new["os"]["family"]:
        yield (
            "os_detected",
            {
                "name": new["os"].get("pretty_name") or "",
                "version": _version(new),
                "family": new["os"]["family"],
            },
        )
