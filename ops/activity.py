"""Audit events as lines of recent activity: who did what, with a link to what it was done to."""

from __future__ import annotations

import json
from typing import Any

from django.urls import NoReverseMatch, reverse

from fleetui.audit.models import AuditEvent
from ops.wording import kind_word, state_word
from ops.wording.activity import ALONE, DEEDS, OWN_DEEDS, REFUSED

_LEVELS = {"refused": "warn", "failed": "bad"}
#: Kinds of subjects that have a page, by name or id.
_PAGES = {
    "node": "nodes:detail",
    "pool": "nodes:pool",
    "cluster": "nodes:cluster",
    "jump-host": "nodes:jump_host",
    "operation": "operation",
    "request": "operation_bulk",
}


def activity(event: AuditEvent) -> dict[str, Any]:
    """{text, subject, url, level, actor, detail, at} of an audit event."""
    kind, _colon, name = event.subject.partition(":")
    told = _told(event) if kind in ("operation", "request") else {}
    subject = name or event.subject
    if told:
        subject = " · ".join(str(part) for part in (kind_word(str(told.get("kind", ""))), told.get("node")) if part)
    ended = state_word(str(told.get("state", ""))) if event.action == "operations.end" else ""
    return {
        "text": words(event),
        "subject": "" if event.subject == event.actor or event.action in ALONE else subject,
        "url": _url(event, kind, name),
        "level": _LEVELS.get(event.outcome, "none"),
        "actor": event.actor.partition(":")[2] or event.actor,
        "detail": " · ".join(part for part in (ended, event.reason[:200]) if part),
        "at": event.at,
    }


def words(event: AuditEvent) -> str:
    """The action without its subject; one without words is shown as its slug."""
    if event.outcome == "refused" and event.action in REFUSED:
        return str(REFUSED[event.action])
    if event.subject == event.actor and event.action in OWN_DEEDS:
        return str(OWN_DEEDS[event.action])
    return str(DEEDS.get(event.action, event.action))


def _told(event: AuditEvent) -> dict[str, Any]:
    """What the event says of an operation: its kind, node and state."""
    found: dict[str, Any] = {}
    for text in (event.before, event.after):
        document = json.loads(text) if text else None
        found |= document if isinstance(document, dict) else {}
    return found


def _url(event: AuditEvent, kind: str, name: str) -> str:
    """Where the subject is shown; what was deleted or refused is found in the audit log only."""
    if event.action.endswith(".delete") or event.outcome == "refused" or not name or kind not in _PAGES:
        return ""
    try:
        return reverse(_PAGES[kind], args=[name])
    except NoReverseMatch:
        return ""
