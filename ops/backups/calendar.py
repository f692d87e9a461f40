"""A year of backups as squares: a column a week, a row a day of the week. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

CELL, GAP = 11, 3
WEEKS = 53


@dataclass
class Day:
    """One square: how many good and failed backups ended on that day. `level` is ok, bad or none."""

    at: date
    x: int
    y: int
    good: int = 0
    failed: int = 0

    @property
    def level(self) -> str:
        return "ok" if self.good else "bad" if self.failed else "none"


@dataclass
class Calendar:
    days: list[Day] = field(default_factory=list)
    #: (x, first day of the month) where a month begins.
    months: list[tuple[int, date]] = field(default_factory=list)
    width: int = WEEKS * (CELL + GAP)
    height: int = 7 * (CELL + GAP)

    @property
    def good_days(self) -> int:
        return sum(day.level == "ok" for day in self.days)

    @property
    def failed_days(self) -> int:
        return sum(day.level == "bad" for day in self.days)


def year_of(ends: Iterable[tuple[date, bool]], today: date) -> Calendar:
    """The last 53 weeks until today, of (day, whether it was good)."""
    counts: dict[date, list[int]] = {}
    for day, is_good in ends:
        found = counts.setdefault(day, [0, 0])
        found[0 if is_good else 1] += 1
    return _drawn(counts, today)


def _drawn(counts: Mapping[date, list[int]], today: date) -> Calendar:
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    found = Calendar()
    for number in range((today - first).days + 1):
        at = first + timedelta(days=number)
        week, weekday = divmod(number, 7)
        good, failed = counts.get(at, [0, 0])
        found.days.append(Day(at, week * (CELL + GAP), weekday * (CELL + GAP), good, failed))
        if at.day == 1:
            found.months.append((week * (CELL + GAP), at))
    return found
