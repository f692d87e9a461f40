"""Which backups are kept: the newest of so many hours, days, weeks, months and years. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


def _week(at: datetime) -> Hashable:
    year, week, _day = at.isocalendar()
    return year, week


#: From the finest to the coarsest: what makes two times the same hour, day ...
PERIODS: Final[Mapping[str, Callable[[datetime], Hashable]]] = {
    "hourly": lambda at: (at.year, at.month, at.day, at.hour),
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": _week,
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


@dataclass(frozen=True)
class Kept(Generic[Key]):
    """A backup and why it stays: the periods that it is the newest of, or `newest`. None: it goes."""

    key: Key
    at: datetime
    reasons: tuple[str, ...] = ()

    @property
    def goes(self) -> bool:
        return not self.reasons


def plan(good: Sequence[tuple[Key, datetime]], keep: Mapping[str, int]) -> list[Kept[Key]]:
    """What stays and what goes of good backups, newest first. The last good one always stays.

    `keep` says for each period how many of them have a backup kept: its newest. Without any rule all stay.
    Hours and days are those of UTC, so that the plan is the same wherever it is made.
    """
    ordered = sorted(good, key=lambda one: one[1], reverse=True)
    rules = {name: count for name, count in keep.items() if name in PERIODS and count > 0}
    seen: dict[str, set[Hashable]] = {name: set() for name in rules}
    found = []
    for place, (key, at) in enumerate(ordered):
        reasons = ["newest"] if place == 0 else []
        reasons += [] if rules else ["no_rule"]
        for name, count in rules.items():
            period = PERIODS[name](at)
            if period not in seen[name] and len(seen[name]) < count:
                seen[name].add(period)
                reasons.append(name)
        found.append(Kept(key, at, tuple(reasons)))
    return found
