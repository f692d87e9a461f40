"""Claims and leases by compare-and-swap: who comes second finds nothing."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings

from ops.models import Operation

CLAIM_AT_ONCE = 200


def lease_time() -> timedelta:
    """A worker that dies loses its operations after this time; a living one renews before each effect."""
    return timedelta(seconds=settings.OPERATION_LEASE_S)


def claim_due(now: datetime, *, only: uuid.UUID | None = None) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Claim what is due, oldest first: (operation, lease). One look at a partial index, one statement per claim."""
    found = Operation.objects.due(now)
    found = found.filter(pk=only) if only else found.order_by("due_at")
    due = found.values_list("pk", flat=True)[:CLAIM_AT_ONCE]
    claimed = []
    for pk in list(due):
        lease = uuid.uuid4()
        if Operation.objects.due(now).filter(pk=pk).update(lease_id=lease, lease_until=now + lease_time()):
            claimed.append((pk, lease))
    return claimed


def begin(operation: uuid.UUID, lease: uuid.UUID, now: datetime) -> uuid.UUID | None:
    """Take over a claim under a lease of one's own. None when it ran out, or a repeated message began it before."""
    own = uuid.uuid4()
    claim = Operation.objects.filter(pk=operation, lease_id=lease, lease_until__gt=now, due_at__isnull=False)
    return own if claim.update(lease_id=own, lease_until=now + lease_time()) else None


def hold(operation: uuid.UUID, lease: uuid.UUID, now: datetime) -> bool:
    """Renew a lease; False when it ran out meanwhile, and the operation is someone else's."""
    held = Operation.objects.filter(pk=operation, lease_id=lease, lease_until__gt=now)
    return held.update(lease_until=now + lease_time()) > 0
