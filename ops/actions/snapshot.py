"""A host before and after an operation, in the few facts that a person compares. Pure."""

from __future__ import annotations

from typing import Any

from nodes.hosts.facts import Facts, Measurement

_DISKS = ("/boot", "/", "/sysroot", "/var")
MOST_UNITS = 20


def snapshot(facts: Facts, measured: Measurement) -> dict[str, Any]:
    """Small enough to stand in the memory of an operation."""
    booted = facts.booted
    uses = {one.mount: round(one.used_percent) for one in measured.filesystems if one.used_percent is not None}
    return {
        "version": (booted.version if booted else None) or facts.os.version or "",
        "checksum": (booted.checksum if booted else None) or "",
        "kernel": facts.boot.kernel or "",
        "boot_id": facts.boot.boot_id or "",
        "booted_at": facts.boot.booted_at or "",
        "system_state": facts.health.system_state or "",
        "failed_units": sorted(unit.name for unit in facts.health.failed_units)[:MOST_UNITS],
        "deployments": [
            {
                "version": one.version or (one.checksum or "")[:12],
                "is": [name for name in ("booted", "staged", "rollback", "pinned") if getattr(one, name)],
            }
            for one in facts.deployments
        ],
        "agent": facts.agent.state or "",
        "disks": {mount: uses[mount] for mount in _DISKS if mount in uses},
    }
