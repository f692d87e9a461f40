"""Audit events as lines of recent activity: who did what, with a link to what it was done to."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.audit.models import AuditEvent

_LEVELS = {"refused": "warn", "failed": "bad"}


def activity(event: AuditEvent) -> dict[str, Any]:
    """{text, subject, url, level, actor, at} of an audit event."""
    kind, _colon, name = event.subject.partition(":")
    return {
        "text": _words(event.action, event.outcome),
        "subject": "" if event.subject == event.actor else name or event.subject,
        "url": _url(kind, name, event.action),
        "level": _LEVELS.get(event.outcome, "none"),
        "actor": event.actor.partition(":")[2] or event.actor,
        "detail": event.reason[:200],
        "at": event.at,
    }


def _words(action: str, outcome: str) -> str:
    """The action without its subject; one without words is shown as its slug."""
    if action == "sign_in" and outcome != "done":
        return _("could not sign in as")
    words = {
        "sign_in": _("signed in"),
        "sign_out": _("signed out"),
        "nodes.add": _("added the node"),
        "nodes.edit": _("edited the node"),
        "nodes.delete": _("deleted the node"),
        "nodes.set_lifecycle": _("changed the lifecycle of"),
        "nodes.accept_key": _("accepted the host key of"),
        "nodes.refuse_key": _("refused the host key of"),
        "pools.add": _("added the pool"),
        "pools.edit": _("edited the pool"),
        "pools.delete": _("deleted the pool"),
        "clusters.add": _("added the cluster"),
        "clusters.edit": _("edited the cluster"),
        "clusters.delete": _("deleted the cluster"),
        "credentials.add": _("added the credential"),
        "credentials.edit": _("edited the credential"),
        "credentials.delete": _("deleted the credential"),
        "releases.import": _("imported releases of"),
        "releases.support_add": _("set the end of support of"),
        "releases.support_delete": _("took away the end of support of"),
        "roles.bind": _("gave a role to"),
        "roles.unbind": _("took a role from"),
        "tokens.create": _("made the token"),
        "tokens.revoke": _("revoked the token"),
        "settings.retention": _("changed how long is kept:"),
        "audit.prune": _("removed old events from"),
        "users.add": _("added the user"),
        "users.set_password": _("set the password of"),
        "users.set_active": _("changed whether the user is active:"),
    }
    return words.get(action, action)


def _url(kind: str, name: str, action: str) -> str:
    """Where the subject is shown; what was deleted is found in the audit log only."""
    if action.endswith(".delete") or not name:
        return ""
    if kind == "node":
        return reverse("nodes:detail", args=[name])
    return reverse("nodes:pool", args=[name]) if kind == "pool" else ""
