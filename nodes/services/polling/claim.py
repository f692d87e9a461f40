"""Claims: a batch of due nodes is taken by compare-and-swap, with a lease that ends by itself when a worker dies."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q

from nodes.models import Node

Lane = Literal["live", "slow"]

BATCH_NODES: dict[Lane, int] = {"live": 200, "slow": 60}
#: Batches of a lane that may be under way at once: dead nodes wait behind each other, never before a live one.
MAX_BATCHES: dict[Lane, int] = {"live": 8, "slow": 2}
LEASE = timedelta(seconds=90)


def claim_due(*, lane: Lane, now: datetime) -> uuid.UUID | None:
    """Lease up to one batch of due nodes; returns the lease, or None when nothing is due or enough is under way."""
    mine = _lane(lane)
    under_way = Node.objects.filter(mine, poll_lease_until__gt=now).order_by().values("poll_lease").distinct().count()
    if under_way >= MAX_BATCHES[lane]:
        return None
    due = Node.objects.due(now).filter(mine)
    ids = list(due.order_by("poll_due_at").values_list("pk", flat=True)[: BATCH_NODES[lane]])
    if not ids:
        return None
    lease = uuid.uuid4()
    claimed = Node.objects.due(now).filter(pk__in=ids).update(poll_lease=lease, poll_lease_until=now + LEASE)
    return lease if claimed else None


def hold(*, lease: uuid.UUID, now: datetime) -> bool:
    """Renew a lease before its work starts; False when it ran out meanwhile, and the nodes are someone else's."""
    return Node.objects.filter(poll_lease=lease, poll_lease_until__gt=now).update(poll_lease_until=now + LEASE) > 0


def _lane(lane: Lane) -> Q:
    troubled = Q(failures__gt=0)
    return troubled if lane == "slow" else ~troubled
