"""What an operation found on its host: checks after the restart, facts before and after, and what was kept. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.hosts.drivers.package_diff import CHANGES
from ops.models import Attachment, Operation

#: The columns of an attachment without what may be half a megabyte.
LIGHT = ("pk", "operation", "kind", "title", "at", "size_bytes", "is_cut")


def attachments_of(operation: Operation) -> list[Attachment]:
    """What was kept, without the texts and without the packages, which have a page of their own."""
    rows = Attachment.objects.filter(operation=operation).exclude(kind="packages")
    return list(rows.only(*LIGHT).order_by("pk"))


def package_counts(operation: Operation) -> dict[str, int]:
    """How many packages changed in which way; empty when they were not compared."""
    found = Attachment.objects.filter(operation=operation, kind="packages").values_list("document__counts", flat=True)
    counts: Mapping[str, int] = found.first() or {}
    return {change: int(counts.get(change, 0)) for change in CHANGES} if counts else {}


def packages_of(operation: Operation, *, change: str = "", name: str = "") -> Sequence[Mapping[str, Any]] | None:
    """The packages that differ, narrowed by the way they changed and a part of the name; None when not compared."""
    row = Attachment.objects.filter(operation=operation, kind="packages").first()
    if row is None:
        return None
    wanted = name.strip().lower()
    return [
        one
        for one in row.document.get("packages", [])
        if (not change or one["change"] == change) and wanted in one["name"].lower()
    ]


def facts_rows(memory: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts before and after as rows: a code, both values, and whether they differ. Lists are texts."""
    before, after = memory.get("facts_before"), memory.get("facts_after") or {}
    # Refreshes of before kept the number of the stored facts under this name.
    if not before or not isinstance(before, Mapping):
        return []
    rows = [_row(name, before.get(name), after.get(name), bool(after)) for name in _PLAIN]
    disks = sorted({*before.get("disks", {}), *after.get("disks", {})})
    return rows + [
        _row(f"disk {mount}", _percent(before, mount), _percent(after, mount), bool(after)) for mount in disks
    ]


_PLAIN = ("version", "checksum", "kernel", "booted_at", "system_state", "failed_units", "deployments", "agent")


def _percent(facts: Mapping[str, Any], mount: str) -> str:
    value = facts.get("disks", {}).get(mount)
    return "" if value is None else f"{value} %"


def _row(name: str, before: Any, after: Any, is_known: bool) -> dict[str, Any]:  # noqa: FBT001  (of this module only)
    first, second = _text(before), _text(after)
    return {"name": name, "before": first, "after": second, "changed": is_known and first != second}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, Mapping):
        roles = ", ".join(value.get("is") or ())
        return f"{value.get('version', '')} ({roles})" if roles else str(value.get("version", ""))
    return "" if value is None else str(value)
