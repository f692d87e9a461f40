"""When a node is polled again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, Func, Value
from django.db.models.expressions import Combinable

from nodes.models import Node

LONGEST_BACK_OFF_S = 600
JITTER = 0.1


def interval_s(node: Node) -> int:
    """Seconds between polls of a node that answers."""
    own: int | None = node.pool.poll_interval_s if node.pool else None
    return own or int(settings.POLL_INTERVAL_S)


def back_off_s(interval: int, failures: int) -> int:
    """Seconds until the next try after so many failures: the interval, doubled each time, at most 10 minutes or the interval."""
    doublings = max(0, min(failures - 1, 10))
    return max(interval, min(interval << doublings, LONGEST_BACK_OFF_S))


def jittered(seconds: float) -> float:
    """Seconds give or take a tenth, so that a fleet spreads out."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (spreads load, guards nothing)


def each_jittered(now: datetime, seconds: float) -> Combinable:
    """When rows of one statement are due, each by a chance of its own: what is polled together must not stay together."""
    soonest = now + timedelta(seconds=seconds * (1 - JITTER))
    spread = _UpTo(Value(timedelta(seconds=2 * seconds * JITTER), DurationField()))
    return ExpressionWrapper(Value(soonest, DateTimeField()) + spread, DateTimeField())


class _UpTo(Func):
    """A part of a duration, drawn anew for every row."""

    output_field = DurationField()
    template = "(RANDOM() * %(expressions)s)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # A duration is a whole number of microseconds there.
        return self.as_sql(compiler, connection, template="CAST(RAND() * %(expressions)s AS INTEGER)", **context)
