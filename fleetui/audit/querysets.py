from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q


class AuditEventQuerySet(models.QuerySet[Any]):
    """Reads of the audit log; writes go through fleetui.audit.append only."""

    def search(self, text: str) -> Self:
        """Events that hold `text` in actor, action, subject, reason, request id or address."""
        query = Q()
        for field in ("actor", "action", "subject", "reason", "request_id", "source_address"):
            query |= Q(**{f"{field}__icontains": text})
        return self.filter(query)

    def between(self, since: datetime | None, until: datetime | None) -> Self:
        found = self
        if since:
            found = found.filter(at__gte=since)
        if until:
            found = found.filter(at__lt=until)
        return found
