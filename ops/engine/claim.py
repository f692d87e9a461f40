"""Claims and leases by compare-and-swap: who comes second finds nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from ops import actions
from ops.models import Operation

CLAIM_AT_ONCE = 200
#: A target may take that long for one piece; meanwhile nobody renews.
STREAM_LEASE = timedelta(minutes=5)
#: A database that is locked, restarts or cannot be reached.
AWAY = (OperationalError, InterfaceError)


def lease_time() -> timedelta:
    """A worker that dies loses its operations after this time; a living one renews before each effect."""
    return timedelta(seconds=settings.OPERATION_LEASE_S)


def claim_due(now: datetime, *, only: uuid.UUID | None = None) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Claim what is due, oldest first: (operation, lease). As many statements, however many are due.

    The lease of a claim is that of all that were claimed together; whoever begins one of them takes a lease of its own.
    """
    found, lease = Operation.objects.due(now), uuid.uuid4()
    claim = {"lease_id": lease, "lease_until": now + lease_time()}
    if only is not None:
        return [(only, lease)] if found.filter(pk=only).update(**claim) else []
    if not found.exists():
        return []
    with transaction.atomic():
        # Rows that another tick is claiming are passed over; on SQLite the whole transaction is the only writer.
        oldest = found.order_by("due_at").select_for_update(skip_locked=True)
        due = list(oldest.values_list("pk", flat=True)[:CLAIM_AT_ONCE])
        Operation.objects.filter(pk__in=due).update(**claim)
    return [(pk, lease) for pk in due]


def streaming(claimed: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these operations that move many bytes; without any of such a kind no query."""
    kinds = [kind for kind in actions.kinds() if any(step.is_stream for step in actions.get(kind).steps)]
    if not claimed:
        return set()
    return set(Operation.objects.filter(pk__in=claimed, kind__in=kinds).values_list("pk", flat=True))


def begin(operation: uuid.UUID, lease: uuid.UUID, now: datetime) -> uuid.UUID | None:
    """Take over a claim under a lease of one's own. None when it ran out, or a repeated message began it before."""
    own = uuid.uuid4()
    claim = Operation.objects.filter(pk=operation, lease_id=lease, lease_until__gt=now, due_at__isnull=False)
    return own if claim.update(lease_id=own, lease_until=now + lease_time()) else None


def hold(operation: uuid.UUID, lease: uuid.UUID, now: datetime, span: timedelta | None = None) -> bool:
    """Renew a lease; False when it ran out meanwhile, and the operation is someone else's."""
    held = Operation.objects.filter(pk=operation, lease_id=lease, lease_until__gt=now)
    return held.update(lease_until=now + (span or lease_time())) > 0
