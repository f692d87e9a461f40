"""Requests whose operations have all ended: closed once, and those with several operations are told of."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from ops.models import Operation, OperationRequest
from ops.services.telling import tell_finished

AT_ONCE = 200


def finish(now: datetime) -> int:
    """Returns how many were closed.

    Looked for again and again, and not when an operation ends: two that end at the same time do not see each other.
    """
    still = Operation.objects.open().filter(request=OuterRef("pk"))
    ended = OperationRequest.objects.filter(~Exists(still), finished_at__isnull=True).order_by("requested_at")
    return sum(_finish(request, now) for request in ended[:AT_ONCE])


def _finish(request: OperationRequest, now: datetime) -> bool:
    with transaction.atomic():
        mine = OperationRequest.objects.filter(pk=request.pk, finished_at__isnull=True)
        if not mine.update(finished_at=now):
            return False
        counts: dict[tuple[Any, str], Counter[str]] = {}
        for pool, name, state in request.operations.order_by("pool_name").values_list("pool", "pool_name", "state"):
            counts.setdefault((pool, name), Counter())[state] += 1
        if sum(count.total() for count in counts.values()) > 1:
            tell_finished(request, counts, now=now)
    return True
