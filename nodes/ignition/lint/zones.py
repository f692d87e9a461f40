"""Time zones: whether one exists, and which hours of a week it skips. From the zone data alone, without a clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Years far enough ahead that only the rule of a zone counts, and enough of them to see what it does.
_FIRST_YEAR, _YEARS = 2040, 4
_DAY_MINUTES, _WEEK_MINUTES = 24 * 60, 7 * 24 * 60


@dataclass(frozen=True)
class Gap:
    """Minutes of the week, from Monday 00:00, that are skipped once a year."""

    start: int
    minutes: int


def find_zone(name: str) -> ZoneInfo | None:
    """The zone of a name; None when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=64)
def gaps(name: str) -> tuple[Gap, ...]:
    """The times of the week that the zone's clocks skip when they go forward."""
    zone = find_zone(name)
    if zone is None:
        return ()
    found: dict[Gap, None] = {}
    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    before = _offset(zone, moment)
    for _ in range(_YEARS * 366):
        following = moment + timedelta(days=1)
        after = _offset(zone, following)
        if after > before:
            change = _change(zone, moment, following, before)
            local = change + before
            minute = local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute
            found[Gap(minute, int((after - before).total_seconds()) // 60)] = None
        moment, before = following, after
    return tuple(found)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, low: datetime, high: datetime, before: timedelta) -> datetime:
    """The minute at which the offset changes."""
    minutes = int((high - low).total_seconds()) // 60
    first, last = 0, minutes
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(zone, low + timedelta(minutes=middle)) == before:
            first = middle
        else:
            last = middle
    return low + timedelta(minutes=last)


def overlap(start: int, minutes: int, gap: Gap) -> int:
    """How many minutes of a weekly window are skipped."""
    skipped = 0
    for week in (-_WEEK_MINUTES, 0, _WEEK_MINUTES):
        first = max(start, gap.start + week)
        last = min(start + minutes, gap.start + week + gap.minutes)
        skipped += max(0, last - first)
    return skipped
