"""Claims: a batch of due nodes is taken by compare-and-swap, with a lease that ends by itself when a worker dies."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from nodes.models import Node

Lane = Literal["live", "slow"]

BATCH_NODES: dict[Lane, int] = {"live": 200, "slow": 60}
#: Batches of a lane that may be under way at once: dead nodes wait behind each other, never before a live one.
MAX_BATCHES: dict[Lane, int] = {"live": 8, "slow": 2}


def lease_time() -> timedelta:
    return timedelta(seconds=settings.POLL_LEASE_S)


def claim_due(*, lane: Lane, now: datetime) -> uuid.UUID | None:
    """Lease up to one batch of due nodes; returns the lease, or None when nothing is due or enough is under way."""
    mine = _lane(lane)
    # Not DISTINCT: SQLite would walk all of the other index for that.
    held = Node.objects.filter(mine, poll_lease_until__gt=now).order_by().values_list("poll_lease", flat=True)
    if len(set(held)) >= MAX_BATCHES[lane] or not Node.objects.due(now).filter(mine).exists():
        return None
    lease = uuid.uuid4()
    with transaction.atomic():
        # Rows that another tick or an edit holds are left for the next tick: nobody waits, nobody deadlocks.
        due = Node.objects.select_for_update(skip_locked=True).due(now).filter(mine).values_list("pk", flat=True)
        # Those that somebody asked for, then the least often tried: one that just failed is not kept waiting by those
        # that have been dead for days.
        asked = due.filter(poll_requested_at__isnull=False).order_by("poll_requested_at")
        ids = list(asked[: BATCH_NODES[lane]])
        ids += due.exclude(pk__in=ids).order_by("failures", "poll_due_at")[: BATCH_NODES[lane] - len(ids)]
        if ids:
            Node.objects.filter(pk__in=ids).update(poll_lease=lease, poll_lease_until=now + lease_time())
    return lease if ids else None


def begin(*, lease: uuid.UUID, now: datetime) -> uuid.UUID | None:
    """Take over a claimed batch under a lease of one's own, which is returned.

    None when the claim ran out or a repeated message began it before: whoever comes second finds nothing.
    """
    own = uuid.uuid4()
    claimed = Node.objects.filter(poll_lease=lease, poll_lease_until__gt=now)
    return own if claimed.update(poll_lease=own, poll_lease_until=now + lease_time()) else None


def hold(*, lease: uuid.UUID, now: datetime) -> bool:
    """Renew a lease; False when it ran out meanwhile, and the nodes are someone else's."""
    held = Node.objects.filter(poll_lease=lease, poll_lease_until__gt=now)
    return held.update(poll_lease_until=now + lease_time()) > 0


def release(*, lease: uuid.UUID, nodes: Collection[uuid.UUID]) -> None:
    """Give back nodes that were not contacted; they are due at once."""
    Node.objects.filter(poll_lease=lease, pk__in=nodes).update(poll_lease=None, poll_lease_until=None)


def _lane(lane: Lane) -> Q:
    return Q(failures__gt=0) if lane == "slow" else Q(failures=0)
