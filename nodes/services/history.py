"""The past, as samples tell it: how many nodes stood where at each time of a range. Three queries whatever the fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Sum

from fleetui.access.principals import Principal
from nodes.models import Pool, Sample
from nodes.services.samples import FLEET, KINDS, TAKEN, floored


@dataclass(frozen=True)
class Range:
    """How far back, at which resolution samples are read, and how many seconds one step of the chart is."""

    name: str
    length: timedelta
    resolution_s: int
    step_s: int


RANGES = {
    one.name: one
    for one in (
        Range("1h", timedelta(hours=1), 60, 60),
        Range("1d", timedelta(days=1), 600, 600),
        Range("7d", timedelta(days=7), 3600, 3600),
        Range("30d", timedelta(days=30), 3600, 4 * 3600),
    )
}
DEFAULT_RANGE = "1d"


@dataclass
class History:
    """Counts at each step of a range. `nodes[kind][value]` has a number per step, or None where nobody looked."""

    range: Range
    starts: list[datetime]
    taken: list[datetime | None]
    nodes: dict[str, dict[str, list[int | None]]] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        return self.starts[0]

    @property
    def until(self) -> datetime:
        return self.starts[-1] + timedelta(seconds=self.range.step_s)

    @property
    def is_empty(self) -> bool:
        return not any(self.taken)

    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Since when until when nobody looked, between and after looks: before the first there was no history yet."""
        found: list[tuple[datetime, datetime]] = []
        first = next((place for place, taken in enumerate(self.taken) if taken), len(self.taken))
        step = timedelta(seconds=self.range.step_s)
        # The step that has only begun may get its look yet.
        for start, taken in list(zip(self.starts, self.taken, strict=True))[first:-1]:
            if taken:
                continue
            if found and found[-1][1] == start:
                found[-1] = found[-1][0], start + step
            else:
                found.append((start, start + step))
        return found


def history(
    principal: Principal,
    *,
    kinds: Sequence[str] = KINDS,
    reach: Range,
    pools: Sequence[Pool] | None = None,
    now: datetime,
) -> History:
    """What the principal may see of the range, or of these pools, which it may see. A step shows the last look in it."""
    last = floored(now, reach.step_s)
    steps = int(reach.length.total_seconds()) // reach.step_s
    starts = [last - timedelta(seconds=reach.step_s * back) for back in range(steps - 1, -1, -1)]
    looks = Sample.objects.filter(
        resolution_s=reach.resolution_s, kind=TAKEN, pool=None, at__gte=starts[0], at__lte=now
    )
    taken: dict[datetime, datetime] = {}
    for at in looks.order_by("at").values_list("at", flat=True):
        taken[floored(at, reach.step_s)] = at
    found = History(reach, starts, [taken.get(start) for start in starts])
    found.nodes = {kind: {} for kind in kinds}
    if not taken:
        return found
    where = principal.where("nodes.read")
    # A list of times and no range beside it: SQLite would read the range, with the rows of all pools.
    rows = Sample.objects.filter(resolution_s=reach.resolution_s, at__in=list(taken.values()))
    if pools is None and where.everywhere:
        rows = rows.filter(kind__in=[f"{FLEET}{kind}" for kind in kinds], pool=None)
    else:
        chosen = list(where.pools) if pools is None else [pool.pk for pool in pools if where.covers(pool.pk)]
        rows = rows.filter(kind__in=list(kinds), pool__in=chosen)
    places = {at: place for place, at in enumerate(found.taken) if at}
    counted = rows.order_by().values_list("kind", "value", "at").annotate(count=Sum("nodes"))
    for kind, value, at, count in counted:
        series = found.nodes[kind.removeprefix(FLEET)]
        if value not in series:
            series[value] = [0 if look else None for look in found.taken]
        series[value][places[at]] = count
    return found
