"""audit/: the audit log, newest first."""

from __future__ import annotations

import json
from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.audit.filters import AuditFilter
from fleetui.audit.log import record_export
from fleetui.audit.models import AuditEvent
from fleetui.core.api.actions import Action
from fleetui.core.api.exports import export, export_params
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


class AuditList(ApiView):
    """The audit log is one for the whole installation: a role on single pools does not open it."""

    actions = {
        "GET": Action("audit.read", "audit_list", "List audit events", {200: PageOf(EVENT)}, query=LISTING.params)
    }

    def get(self, request: Request) -> Response:
        if not self.principal.may("audit.read"):
            raise PermissionDenied("This needs the permission audit.read on everything.")
        return LISTING.answer(AuditEvent.objects.all(), request)


class AuditExport(ApiView):
    """All events that pass the filters; the last one is this export."""

    actions = {
        "GET": Action(
            "audit.read", "audit_export", "Export audit events as a file", {200: None}, query=export_params(LISTING)
        )
    }

    def get(self, request: Request) -> Any:
        if not self.principal.may("audit.read"):
            raise PermissionDenied("This needs the permission audit.read on everything.")

        def record(format: str, query: str, rows: int, columns: list[str]) -> None:
            record_export(what="audit", format=format, query=query, rows=rows, columns=columns, actor=self.principal)

        return export(LISTING, AuditEvent.objects.all(), request, title="audit", record=record)
