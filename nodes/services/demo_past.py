"""The past of the demo's fleet as samples: what its manifest tells of the last month, counted as the sampler would have."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from nodes.models import Pool, Sample
from nodes.services.samples import AXES, TAKEN, Counts, floored, rows_of

ROWS_AT_ONCE = 2000


def write_past(manifest: Mapping[str, Any], *, now: datetime) -> int:
    """Write the samples up to the last full time of each resolution; returns how many rows. Nothing where there is a past."""
    past = manifest.get("past")
    # The scheduler may have taken its first one already.
    if not past or Sample.objects.filter(at__lt=now - timedelta(hours=1)).exists():
        return 0
    pool_ids = dict(Pool.objects.values_list("name", "pk"))
    hosts = [
        _Host(
            pool_ids.get(host.get("pool")), [(datetime.fromisoformat(at), state) for at, *state in past[host["name"]]]
        )
        for host in manifest["hosts"]
    ]
    rows: list[Sample] = []
    for resolution_s, at in _times(now):
        rows.append(Sample(resolution_s=resolution_s, kind=TAKEN, at=at, value="", nodes=0))
        rows.extend(rows_of(_counted(hosts, at), resolution_s, at))
    with transaction.atomic():
        Sample.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE, ignore_conflicts=True)
    return len(rows)


def _times(now: datetime) -> Iterable[tuple[int, datetime]]:
    """As coarse as the charts draw: a month in steps of four hours, a week in hours, a day in ten minutes."""
    for resolution_s, step_s, begin, end in (
        (3600, 4 * 3600, timedelta(days=30), timedelta(days=7)),
        (3600, 3600, timedelta(days=7), timedelta()),
        (600, 600, timedelta(days=1), timedelta()),
    ):
        at, last = floored(now - begin, step_s), floored(now - end, step_s)
        while at < last or (at == last and not end):
            yield resolution_s, at
            at += timedelta(seconds=step_s)


class _Host:
    """A host whose changes are asked for in the order of time, once per resolution."""

    def __init__(self, pool_id: uuid.UUID | None, changes: list[tuple[datetime, list[str]]]) -> None:
        self.pool_id, self.changes, self.place = pool_id, changes, 0

    def state(self, at: datetime) -> list[str]:
        if at < self.changes[self.place][0]:
            self.place = 0
        while self.place + 1 < len(self.changes) and self.changes[self.place + 1][0] <= at:
            self.place += 1
        return self.changes[self.place][1]


def _counted(hosts: Iterable[_Host], at: datetime) -> dict[uuid.UUID | None, Counts]:
    pools: dict[uuid.UUID | None, Counts] = {}
    for host in hosts:
        counts = pools.setdefault(host.pool_id, Counter())
        version, *axes = host.state(at)
        counts["lifecycle", "active"] += 1
        counts["version", version] += 1
        for axis, value in zip(AXES, axes, strict=True):
            counts[axis, value] += 1
    return pools
