"""Histograms of durations that all workers add to: a few rows however many nodes there are, one statement per batch and label."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.db.models import F, Sum

from fleetui.core.models import DurationCount

#: Workers that add at once seldom share a row.
SHARES = 8


@dataclass(frozen=True)
class Histogram:
    """What was added under one label. `buckets` holds, for each limit, how many took at most that long."""

    count: int
    total_s: float
    buckets: tuple[int, ...]


def add(name: str, durations_s: Mapping[str, Sequence[float]], limits_s: Sequence[float]) -> None:
    """Add durations by label, last in the transaction that they belong to: the rows stay locked until its end."""
    share = os.getpid() % SHARES
    # In order, so that two that add to the same rows do not wait for each other in a circle.
    for label in sorted(label for label, durations in durations_s.items() if durations):
        found = durations_s[label]
        counts = [0] * DurationCount.BUCKETS
        for duration in found:
            if (place := bisect_left(limits_s, duration)) < len(limits_s):
                counts[place] += 1
        added: dict[str, Any] = {"count": len(found), "total_s": sum(found)}
        added |= {f"b{place}": number for place, number in enumerate(counts) if number}
        rows = DurationCount.objects.filter(name=name, label=label, share=share)
        values = {column: F(column) + number for column, number in added.items()}
        if not rows.update(**values):
            DurationCount.objects.bulk_create(
                [DurationCount(name=name, label=label, share=share)], ignore_conflicts=True
            )
            rows.update(**values)


def read(name: str, limits_s: Sequence[float]) -> dict[str, Histogram]:
    """The sums by label. One query."""
    columns = ["count", "total_s", *(f"b{place}" for place in range(len(limits_s)))]
    sums = [Sum(column) for column in columns]
    rows = DurationCount.objects.filter(name=name).order_by().values("label").annotate(*sums)
    found = {}
    for label, count, total_s, *buckets in rows.values_list("label", *(f"{column}__sum" for column in columns)):
        found[label] = Histogram(count, total_s, tuple(accumulate(buckets)))
    return found
