"""The tabs of operations: what is done, what waits for approval, and what holds operations back."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from ops.services.queue import count_waiting_for


def operation_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Each is a page of its own, so that a link names it. The approvals count what waits for the reader."""
    waiting = count_waiting_for(request.principal)  # type: ignore[attr-defined]
    known = [
        ("operations", _("Operations"), None),
        ("approvals", _("Approvals"), waiting or None),
        ("schedules", _("Schedules"), None),
        ("version_holds", _("Held versions"), None),
        ("limits", _("Limits"), None),
        ("approval_rules", _("Approval rules"), None),
    ]
    found = []
    for name, label, count in known:
        url = reverse(name)
        active = request.path == url if name == "operations" else request.path.startswith(url)
        found.append({"url": url, "label": label, "count": count, "active": active})
    return found
