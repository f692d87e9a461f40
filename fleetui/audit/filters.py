"""The filters of the audit log: one class for page and API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fleetui.audit.models import AuditEvent
from fleetui.core.filters import FilterSet, InstantFilter, ListFilter, TextFilter, WholeNumberFilter


def _since(rows: Any, moment: datetime) -> Any:
    return rows.between(moment, None)


def _until(rows: Any, moment: datetime) -> Any:
    return rows.between(None, moment)


def _since_seq(rows: Any, seq: int) -> Any:
    return rows.filter(seq__gt=seq)


def _search(rows: Any, text: str) -> Any:
    return rows.search(text)


class AuditFilter(FilterSet):
    """Filters of audit events."""

    q = TextFilter(_search, help_text="Text in actor, action, subject, reason, request id or address.")
    actor = ListFilter("actor", help_text="Actors, such as user:anna.")
    action = ListFilter("action", help_text="Actions, such as nodes.add.")
    subject = ListFilter("subject", help_text="Subjects, such as node:web-1.")
    outcome = ListFilter("outcome", help_text="Outcomes, such as done or refused.")
    request_id = ListFilter("request_id", help_text="Request ids.")
    source_address = ListFilter("source_address", help_text="Client addresses.")
    since_seq = WholeNumberFilter(_since_seq, help_text="After the event of this number: where an export before ended.")
    since = InstantFilter(_since, help_text="At or after this moment.")
    until = InstantFilter(_until, help_text="Before this moment.")

    class Meta:
        model = AuditEvent
        fields: list[str] = []
