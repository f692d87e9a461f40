"""Cron text in a zone: when it is due next. Pure.

One rule for daylight saving: a time is due at the first moment at which the wall clock shows it or has passed it. So what
stands in an hour that is skipped is due once, when the clock has jumped; and an hour that is repeated counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)  # noqa: SIM905
}
_DAYS = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}  # noqa: SIM905
#: Name, least, most, names. Day of week 7 is Sunday too.
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
#: 29 February on one certain day of the week: in 40 years at the latest, over a century's end without a leap day.
_LONGEST_DAYS = 41 * 366
LONGEST_TEXT = 200


class CronRefused(ValueError):
    """The text is no cron expression: `part` is what is wrong, `code` why, with `params` for a sentence."""

    def __init__(self, code: str, part: str, **params: object) -> None:
        super().__init__(f"{code}: {part}")
        self.code, self.part, self.params = code, part, params


@dataclass(frozen=True)
class Cron:
    """The values that each field allows. `either_day`: both day fields are restricted, and one of them is enough."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def has_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def has(self, local: datetime) -> bool:
        """Whether the minute of this wall clock is one of its."""
        return local.minute in self.minutes and local.hour in self.hours and self.has_day(local.date())

    def after(self, local: datetime) -> Iterator[datetime]:
        """Wall clock times later than this one, in order."""
        start = local.replace(second=0, microsecond=0)
        for offset in range(_LONGEST_DAYS):
            try:
                day = start.date() + timedelta(days=offset)
            except OverflowError:
                return
            if not self.has_day(day):
                continue
            for hour in self.hours:
                for minute in self.minutes:
                    found = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  (a wall clock)
                    if found > start:
                        yield found


def parse(text: str, *, is_stored: bool = False) -> Cron:
    """Five fields with lists, ranges, steps and names, or a word such as @daily; raises CronRefused.

    What was saved before steps were bounded (`is_stored`) goes on.
    """
    if len(text) > LONGEST_TEXT:
        raise CronRefused("long", "", most=LONGEST_TEXT)
    plain = " ".join(text.split())
    fields = MACROS.get(plain.lower(), plain).split()
    if len(fields) != len(_FIELDS):
        raise CronRefused("fields", plain, found=len(fields))
    found = [_values(field, *known, is_stored=is_stored) for field, known in zip(fields, _FIELDS, strict=True)]
    cron = Cron(
        minutes=tuple(sorted(found[0])),
        hours=tuple(sorted(found[1])),
        days=frozenset(found[2]),
        months=frozenset(found[3]),
        weekdays=frozenset(day % 7 for day in found[4]),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )
    if next(cron.after(datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001
        raise CronRefused("never", plain)
    return cron


def _values(field: str, name: str, least: int, most: int, names: Mapping[str, int], *, is_stored: bool) -> set[int]:
    values: set[int] = set()
    longest = 7 if name == "day of week" else most - least + 1
    for part in field.split(","):
        if not part:
            raise CronRefused("value", field, field=name)
        span, slash, step_text = part.partition("/")
        step = _number(step_text, part, name) if slash else 1
        if step < 1:
            raise CronRefused("step", part, field=name)
        if step > longest and not is_stored:
            # `*/70` would be each hour, not every 70 minutes.
            raise CronRefused("long step", part, field=name, most=longest)
        if span == "*":
            first, last = least, most
        else:
            low, dash, high = span.partition("-")
            first = _value(low, part, name, names)
            # `5/10` is from five on.
            last = _value(high, part, name, names) if dash else most if slash else first
            if dash and last == 0 and name == "day of week" and first:
                last = 7  # `fri-sun`
        if first < least or last > most:
            raise CronRefused("range", part, field=name, least=least, most=most)
        if last < first:
            raise CronRefused("backwards", part, field=name)
        values.update(range(first, last + 1, step))
    return values


def _value(text: str, part: str, name: str, names: Mapping[str, int]) -> int:
    return names[text.lower()] if text.lower() in names else _number(text, part, name)


def _number(text: str, part: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise CronRefused("value", part, field=name)
    return int(text)


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The zones that this machine knows, by name."""
    plain = {
        name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/", "right/"))
    }
    return ("UTC", *sorted(plain))


def next_after(cron: Cron, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """The first due time later than the moment, in UTC."""
    for local in cron.after(moment.astimezone(zone).replace(tzinfo=None)):
        found = reached(local, zone)
        if found > moment:
            return found
    return None


def next_runs(cron: Cron, zone: ZoneInfo, moment: datetime, count: int = 5) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < count and (following := next_after(cron, zone, found[-1] if found else moment)) is not None:
        found.append(following)
    return found


def reached(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the zone's wall clock shows this time or has passed it, in UTC."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _clock(first, zone) == local:
        return first
    # It is skipped: the jump lies between what the time would be by the offset after it and by the one before it.
    low, high = local.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    low -= timedelta(seconds=1)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if _clock(middle, zone) >= local:
            high = middle
        else:
            low = middle
    return high


def _clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
