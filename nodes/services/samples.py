"""Samples: how many nodes stood where, counted every minute, ten minutes and hour, each at its own times."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from nodes.models import Sample, Tally
from nodes.models.history import RESOLUTIONS_S
from nodes.releases.versions import version_key

AXES = ("reachability", "health", "update_state")
KINDS = (*AXES, "lifecycle", "version")
#: A row of this kind says that there was a look at this time.
TAKEN = "taken"
#: In front of a kind: the whole fleet.
FLEET = "all."
#: Versions beyond those that are counted by name.
OTHER = "other"
MOST_RUN, NEWEST = 15, 5
#: A look that comes later than this is not written under the time of its resolution.
LATEST_S = 300
ROWS_AT_ONCE = 1000

#: (kind, value) -> nodes
Counts = Counter[tuple[str, str]]


def take_samples(*, now: datetime) -> int:
    """Count the fleet for every resolution whose time has come and is not written yet; returns how many rows were written.

    Two beats or a repeated message write nothing twice: the row that claims a time is unique, and stands in one transaction
    with what was counted. One query of the tally counts, whatever the size of the fleet.
    """
    due = [(resolution_s, at) for resolution_s, at in _times(now) if not _taken(resolution_s, at)]
    if not due:
        return 0
    pools = _counted()
    written = 0
    with transaction.atomic():
        for resolution_s, at in due:
            if _claim(resolution_s, at):
                rows = list(rows_of(pools, resolution_s, at))
                Sample.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)
                written += len(rows) + 1
    return written


def _times(now: datetime) -> list[tuple[int, datetime]]:
    found = []
    for resolution_s in RESOLUTIONS_S:
        at = floored(now, resolution_s)
        if now - at < timedelta(seconds=min(resolution_s, LATEST_S)):
            found.append((resolution_s, at))
    return found


def floored(moment: datetime, step_s: int) -> datetime:
    """The last time of a step, counted from the epoch: 10:03:20 in steps of ten minutes is 10:00."""
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % step_s, UTC)


def _taken(resolution_s: int, at: datetime) -> bool:
    return Sample.objects.filter(resolution_s=resolution_s, kind=TAKEN, at=at, pool=None).exists()


def _claim(resolution_s: int, at: datetime) -> bool:
    """Whether this transaction is the one that writes this time."""
    try:
        with transaction.atomic():
            Sample.objects.create(resolution_s=resolution_s, kind=TAKEN, at=at, value="", nodes=0)
    except IntegrityError:
        return False
    return True


def _counted() -> dict[uuid.UUID | None, Counts]:
    """Counts per pool, of the tally. Retired nodes are counted in their lifecycle only."""
    pools: dict[uuid.UUID | None, Counts] = {}
    for pool_id, kind, value, count in Tally.objects.filter(kind__in=KINDS).sums("pool_id", "kind", "value"):
        pools.setdefault(pool_id, Counter())[kind, value] = count
    return pools


def rows_of(pools: Mapping[uuid.UUID | None, Counts], resolution_s: int, at: datetime) -> Iterable[Sample]:
    """The rows of one time: of each pool, and of the whole fleet."""
    fleet: Counts = Counter()
    for counts in pools.values():
        fleet.update(counts)
    for pool_id, counts in pools.items():
        for (kind, value), nodes in _few_versions(counts).items():
            yield Sample(at=at, resolution_s=resolution_s, pool_id=pool_id, kind=kind, value=value, nodes=nodes)
    for (kind, value), nodes in _few_versions(fleet).items():
        yield Sample(at=at, resolution_s=resolution_s, kind=f"{FLEET}{kind}", value=value, nodes=nodes)


def _few_versions(counts: Counts) -> Counts:
    """At most twenty versions by name: those that most nodes run, and the newest, which a rollout begins with."""
    versions = {value: nodes for (kind, value), nodes in counts.items() if kind == "version" and value}
    if len(versions) <= MOST_RUN + NEWEST:
        return counts
    newest = sorted(versions, key=version_key, reverse=True)[:NEWEST]
    most = sorted((name for name in versions if name not in newest), key=lambda name: (-versions[name], name))
    kept = {*newest, *most[:MOST_RUN], ""}
    found: Counts = Counter()
    for (kind, value), nodes in counts.items():
        found[kind, value if kind != "version" or value in kept else OTHER] += nodes
    return found
