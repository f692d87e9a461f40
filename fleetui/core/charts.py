"""Stacked areas over time as numbers for an SVG: pure geometry, no colours and no words of the subject.

A step of the chart is one unit wide, and 100 units are the whole height. What nobody counted is a gap, never a line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo

#: Steps of "nice" tops of a scale; the half of each is shown too.
_TOPS = (1, 2, 3, 4, 5, 6, 8, 10)
HEIGHT = 100


@dataclass
class Series:
    """One area. `mark` chooses its look: `level` (ok, warn ...) or `shade` (0 newest to 5, x). `values` has None for gaps."""

    key: str
    label: str
    values: Sequence[int | None]
    level: str = ""
    shade: str = ""
    url: str = ""
    is_drawn: bool = True
    path: str = ""
    rank: int = 0

    @property
    def last(self) -> int | None:
        """The newest number that is known."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass
class Tick:
    """A label at a share (percent) of the width or height."""

    place: float
    label: str


@dataclass
class Row:
    """From this step on it was so, until the next row. No cells: nobody looked."""

    step: int
    at: datetime
    cells: list[int] | None


@dataclass
class Chart:
    """What partials/chart.html draws."""

    title: str
    series: list[Series]
    starts: Sequence[datetime]
    step_s: int
    id: str = ""
    url: str = ""
    note: str = ""
    calm: str = ""
    zone: str = ""
    top: int = 0
    x_ticks: list[Tick] = field(default_factory=list)
    y_ticks: list[Tick] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    is_empty: bool = False

    @property
    def steps(self) -> int:
        return len(self.starts)

    @property
    def since_iso(self) -> str:
        return self.starts[0].isoformat()

    @property
    def gap_shares(self) -> list[tuple[float, float]]:
        """Place and width of each gap in percent."""
        return [(100 * begin / self.steps, 100 * width / self.steps) for begin, width in self.gaps]

    @property
    def is_calm(self) -> bool:
        """Whether there is nothing to draw, and that is good."""
        return bool(self.calm) and not any(any(one.values) for one in self.series if one.is_drawn)


def draw(chart: Chart, *, known: Sequence[bool], zone: tzinfo) -> Chart:
    """Fill in paths, ticks, gaps and rows. `known` says at which steps somebody looked."""
    chart.is_empty = not any(known)
    chart.zone = chart.zone or str(zone)
    drawn = [one for one in chart.series if one.is_drawn]
    highest = max((sum(one.values[step] or 0 for one in drawn) for step in range(chart.steps)), default=0)
    chart.top = nice_top(highest)
    chart.y_ticks = [Tick(100 - 100 * value / chart.top, str(value)) for value in _scale(chart.top)]
    runs = list(_runs(known))
    below = [0.0] * chart.steps
    ranks: dict[str, int] = {}
    for one in drawn:
        above = [low + (value or 0) for low, value in zip(below, one.values, strict=True)]
        one.path = "".join(
            _area(begin, end, below, above, chart.top) for begin, end in runs if any(one.values[begin:end])
        )
        one.rank = ranks.get(one.level, 0)
        ranks[one.level] = one.rank + 1
        below = above
    chart.gaps = _gaps(known)
    chart.rows = _rows(chart, known)
    end = chart.starts[-1] + timedelta(seconds=chart.step_s)
    chart.x_ticks = time_ticks(chart.starts[0], end, zone)
    return chart


def nice_top(highest: int) -> int:
    """The smallest round number that is not below: 66 gives 80, 7 gives 8."""
    if highest <= 1:
        return 1
    power = int("1" + "0" * (len(str(highest)) - 1))
    return next(step * power for step in (*_TOPS, 20) if step * power >= highest)


def _scale(top: int) -> list[int]:
    return [0, top // 2, top] if top % 2 == 0 else [0, top]


def _runs(known: Sequence[bool]) -> Iterable[tuple[int, int]]:
    begin = None
    for step, is_known in enumerate([*known, False]):
        if is_known and begin is None:
            begin = step
        elif not is_known and begin is not None:
            yield begin, step
            begin = None


def _gaps(known: Sequence[bool]) -> list[tuple[int, int]]:
    """(first step, width) between looks; the step that has only begun may get its look yet."""
    runs = list(_runs(known))
    found = [(end, begin - end) for (_, end), (begin, _) in itertools.pairwise(runs)]
    if runs and runs[-1][1] < len(known) - 1:
        found.append((runs[-1][1], len(known) - 1 - runs[-1][1]))
    return found


def _area(begin: int, end: int, below: Sequence[float], above: Sequence[float], top: int) -> str:
    """A closed path of horizontal steps: along the upper edge and back along the lower one."""
    return f"M{begin} {_y(below[begin], top)}{_edge(range(begin, end), above, top)}{_back(begin, end, below, top)}Z"


def _edge(steps: range, values: Sequence[float], top: int) -> str:
    parts, last = [], None
    for step in steps:
        if values[step] != last:
            parts.append(f"{'' if last is None else f'H{step}'}V{_y(values[step], top)}")
            last = values[step]
    return f"{''.join(parts)}H{steps.stop}"


def _back(begin: int, end: int, values: Sequence[float], top: int) -> str:
    parts, last = [], None
    for step in range(end - 1, begin - 1, -1):
        if values[step] != last:
            parts.append(f"{'' if last is None else f'H{step + 1}'}V{_y(values[step], top)}")
            last = values[step]
    return f"{''.join(parts)}H{begin}"


def _y(value: float, top: int) -> str:
    return f"{HEIGHT - HEIGHT * value / top:g}" if top else str(HEIGHT)


def _rows(chart: Chart, known: Sequence[bool]) -> list[Row]:
    """Only steps at which something changed: what a person wants to read, and what the chart's readout needs."""
    rows: list[Row] = []
    for step, start in enumerate(chart.starts):
        cells = [one.values[step] or 0 for one in chart.series] if known[step] else None
        is_open_end = step == chart.steps - 1 and cells is None
        if not is_open_end and (not rows or rows[-1].cells != cells) and (rows or cells is not None):
            rows.append(Row(step, start, cells))
    return rows


def time_ticks(since: datetime, until: datetime, zone: tzinfo) -> list[Tick]:
    """Round times of the zone: every ten minutes, four hours, day, or five days."""
    length = until - since
    step, pattern = next(
        (step, pattern)
        for longest, step, pattern in (
            (timedelta(hours=2), timedelta(minutes=10), "%H:%M"),
            (timedelta(days=2), timedelta(hours=4), "%H:%M"),
            (timedelta(days=8), timedelta(days=1), "%m-%d"),
            (timedelta.max, timedelta(days=5), "%m-%d"),
        )
        if length <= longest
    )
    wall = datetime.combine(since.astimezone(zone).date(), time())
    found = []
    while (moment := wall.replace(tzinfo=zone)) < until:
        share = (moment - since) / length
        # Labels at the very edges would be cut.
        if 0.02 <= share <= 0.97:
            found.append(Tick(round(100 * share, 2), wall.strftime(pattern)))
        wall += step
    return found
