"""When a node is polled again."""

from __future__ import annotations

import random

from django.conf import settings

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
