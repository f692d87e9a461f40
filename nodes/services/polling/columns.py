"""From what a poll read to the columns and rows that lists and pages use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodes.axes import StoredAxis
from nodes.facts.kernel import kernel_order
from nodes.models import Deployment, Measurement, Node


def stored_axis(node: Node, axis: str) -> StoredAxis:
    return StoredAxis(*(getattr(node, f"{axis}{part}") for part in ("", "_reason", "_params", "_since")))


def set_axis(node: Node, axis: str, value: StoredAxis) -> None:
    setattr(node, axis, value.value)
    setattr(node, f"{axis}_reason", value.reason)
    setattr(node, f"{axis}_params", value.params)
    setattr(node, f"{axis}_since", value.since)


def _slot(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if one is None:
        return None
    kept = ("version", "checksum", "origin", "image", "image_digest", "layered", "pinned")
    return {name: one[name] for name in kept}


def _first(document: Mapping[str, Any], flag: str) -> Mapping[str, Any] | None:
    return next((one for one in document["deployments"] if one[flag]), None)


def fact_columns(document: Mapping[str, Any], family: str) -> dict[str, Any]:
    """The facts that lists filter and sort by, as columns of Node, cut to what the columns hold."""
    os, boot, booted = document["os"], document["boot"], _first(document, "booted")
    version = ((booted or {}).get("version") or os.get("version") or "")[:100]
    booted_at = boot.get("booted_at")
    return {
        "os_family": (family or "")[:30],
        "os_name": (os.get("name") or "")[:100],
        "os_variant": (os.get("variant") or "")[:50],
        "os_version": (os.get("version") or "")[:100],
        "os_stream": (os.get("stream") or "")[:100],
        "arch": (os.get("arch") or "")[:20],
        "kernel": (boot.get("kernel") or "")[:150],
        "kernel_order": kernel_order(boot.get("kernel") or ""),
        "booted_version": version,
        "booted": _slot(booted),
        "staged": _slot(_first(document, "staged")),
        "rollback": _slot(_first(document, "rollback")),
        "boot_id": (boot.get("boot_id") or "")[:36],
        "booted_at": datetime.fromisoformat(booted_at) if booted_at else None,
        "unread_sections": len(document["unread"]),
        "machine_id": machine_id_of(document),
    }


def machine_id_of(document: Mapping[str, Any]) -> str:
    """The derived machine id; empty where the host did not say one."""
    return (document["os"].get("machine_id") or "")[:64]


def deployment_row(node: Node, one: Mapping[str, Any]) -> Deployment:
    return Deployment(
        node=node,
        index=one["index"],
        version=(one["version"] or "")[:100],
        checksum=(one["checksum"] or "")[:128],
        origin=(one["origin"] or "")[:500],
        image=(one["image"] or "")[:500],
        image_digest=(one["image_digest"] or "")[:100],
        is_booted=one["booted"],
        is_staged=one["staged"],
        is_rollback=one["rollback"],
        is_pinned=one["pinned"],
        document=dict(one),
    )


def measurement_row(node: Node, measured: Mapping[str, Any], now: datetime) -> Measurement:
    full = [entry for entry in measured["filesystems"] if entry.get("used_percent") is not None]
    fullest = max(full, key=lambda entry: float(entry["used_percent"]), default=None)
    return Measurement(
        node=node,
        at=now,
        load_1=measured["load_1"],
        memory_total_bytes=measured["memory_total_bytes"],
        memory_available_bytes=measured["memory_available_bytes"],
        fullest_mount=(fullest["mount"] if fullest else "")[:200],
        fullest_percent=fullest["used_percent"] if fullest else None,
        document=dict(measured),
    )
