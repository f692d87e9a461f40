"""What an operation found on its host, as its page draws it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.http import urlencode

from ops import wording
from ops.actions.members import is_plane
from ops.models import Operation
from ops.services.findings import attachments_of, facts_rows, package_counts
from ops.states import UNTOUCHED
from ops.views.etcd import drawn

_LEVELS = {"ok": "ok", "warn": "warn", "block": "bad"}


def findings(operation: Operation, *, may_see_etcd: bool) -> dict[str, Any]:
    """What the page of the operation draws: three more queries, however much was kept."""
    memory = operation.memory
    return {
        "health": [
            {
                "level": _LEVELS.get(one["level"], "none"),
                "text": wording.check_sentence(one["code"], one.get("params")),
                "name": (one.get("params") or {}).get("name", ""),
            }
            for one in memory.get("health") or ()
        ],
        "facts": [{**row, "word": wording.fact_word(row["name"])} for row in facts_rows(memory)],
        "facts_known": bool(memory.get("facts_after")),
        "packages": _counted(operation, package_counts(operation)),
        "attachments": [
            {
                "row": one,
                "word": wording.attachment_word(one.kind, one.title),
                "url": reverse("operation_attachment", args=[operation.pk, one.pk]),
            }
            for one in attachments_of(operation)
        ],
        "holds": list(operation.holds.all()),
        "etcd": drawn(memory["etcd"], memory) if memory.get("etcd") and may_see_etcd else None,
        "etcd_url": _etcd_url(operation) if may_see_etcd else "",
    }


def _etcd_url(operation: Operation) -> str:
    """Where the members are asked for now: as long as it has not looked itself."""
    if operation.state not in UNTOUCHED or not is_plane(operation.plan) or operation.node is None:
        return ""
    return reverse("node_etcd", args=[operation.node.name])


def _counted(operation: Operation, counts: dict[str, int]) -> list[dict[str, Any]]:
    url = reverse("operation_packages", args=[operation.pk])
    return [
        {"word": wording.change_word(change), "count": count, "url": f"{url}?{urlencode({'change': change})}"}
        for change, count in counts.items()
    ]
