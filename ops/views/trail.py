"""The audit events of one operation, as its page shows them to those who may read the audit log."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.audit.models import AuditEvent
from ops.models import Operation

MOST_EVENTS = 100


def trail(operation: Operation, principal: Principal) -> dict[str, Any]:
    """Its events and the decisions on its request, oldest first; nothing for whom the audit log is shut. One query."""
    if not principal.may("audit.read"):
        return {}
    subject = f"operation:{operation.pk}"
    mine = Q(subject__in=(subject, f"request:{operation.request_id}"))
    events = list(AuditEvent.objects.filter(mine).order_by("seq")[:MOST_EVENTS])
    return {
        "trail": [_row(event) for event in events],
        "trail_url": f"{reverse('audit')}?{urlencode({'subject': subject})}",
    }


def _row(event: AuditEvent) -> dict[str, Any]:
    return {
        "event": event,
        "actor": event.actor.partition(":")[2],
        "what": words_of(event.action)
        if not (on := _after(event).get("on"))
        else _("on the host %(name)s:") % {"name": on},
        "command": _command(event),
    }


def words_of(action: str) -> str:
    """What somebody did with the operation that the page shows."""
    words = {
        "operations.request": _("asked for it"),
        "operations.approve": _("approved it"),
        "operations.reject": _("rejected it"),
        "operations.stop_request": _("stopped the request: too many of it ended badly"),
        "operations.start": _("started it"),
        "operations.effect": _("on the host:"),
        "operations.health_check": _("health check on the host:"),
        "operations.cancel": _("cancelled it"),
        "operations.go_on": _("let it go on"),
        "operations.resolve": _("ended it as failed"),
        "operations.end": _("it ended"),
        "operations.ask_person": _("it needs attention"),
        "operations.confirm": _("confirmed a part of it by hand"),
        "operations.told": _("told how far it is"),
        "operations.reveal_config": _("looked at the address of its config"),
    }
    return words.get(action, action)


def _command(event: AuditEvent) -> str:
    """The command of an effect; nothing for other events."""
    if event.action not in ("operations.effect", "operations.health_check"):
        return ""
    words = _after(event).get("command")
    # Of a script its name says more, which follows it; the event has it whole.
    shown = words if isinstance(words, list) else []
    return " ".join("…" if "\n" in str(word) else shlex.quote(str(word)) for word in shown)


def _after(event: AuditEvent) -> dict[str, Any]:
    found = json.loads(event.after) if event.after else {}
    return found if isinstance(found, dict) else {}
