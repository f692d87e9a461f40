"""audit/: the audit log, newest first."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.audit.exports import export_view
from fleetui.audit.filters import AuditFilter
from fleetui.audit.models import AuditEvent
from fleetui.core.api.actions import Action
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import ANY_OBJECT, INTEGER, TEXT, TIME, Field, PageOf, Shape, column, known, nullable
from fleetui.core.api.views import ApiView, Listing


def _document(name: str) -> Field:
    return Field(nullable(ANY_OBJECT), (name,), lambda row: _parsed(row[name]))


def _parsed(text: str) -> Any:
    return json.loads(text) if text else None


EVENT = Shape(
    "AuditEvent",
    {
        "seq": column("seq", INTEGER),
        "at": column("at", TIME),
        "actor": column("actor", TEXT),
        "action": column("action", TEXT),
        "subject": column("subject", TEXT),
        "before": _document("before"),
        "after": _document("after"),
        "reason": known("reason", TEXT),
        "request_id": known("request_id", TEXT),
        "source_address": known("source_address", TEXT),
        "outcome": column("outcome", TEXT),
        "hash": column("hash", TEXT),
    },
)
LISTING = Listing(
    EVENT, {"seq": Sort("seq", kind="integer", unique=True)}, "-seq", AuditFilter, key="seq", key_kind="integer"
)


def _everything(principal: Any) -> QuerySet[Any]:
    """The audit log is one for the whole installation: a role on single pools does not open it."""
    if not principal.may("audit.read"):
        raise PermissionDenied("This needs the permission audit.read on everything.")
    return AuditEvent.objects.all()


class AuditList(ApiView):
    """What was done, newest first."""

    actions = {
        "GET": Action("audit.read", "audit_list", "List audit events", {200: PageOf(EVENT)}, query=LISTING.params)
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(_everything(self.principal), request)


#: The last event of the file is this export.
AuditExport = export_view("audit", "audit.read", LISTING, _everything)
