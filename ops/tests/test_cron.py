"""Cron text: what it allows, when it is due, and what daylight saving does; against a clock that is watched minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.schedules.cron import Cron, CronRefused, next_after, next_runs, parse, zones

BERLIN, YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def at(text: str, zone: ZoneInfo, moment: str, count: int = 3) -> list[str]:
    start = datetime.fromisoformat(moment).replace(tzinfo=zone)
    found = next_runs(parse(text), zone, start, count)
    return [one.astimezone(zone).isoformat(timespec="minutes") for one in found]


@pytest.mark.parametrize(
    ("text", "moment", "runs"),
    [
        ("*/20 * * * *", "2026-01-01T00:05", ["2026-01-01T00:20", "2026-01-01T00:40", "2026-01-01T01:00"]),
        ("0 2 * * sat", "2026-11-25T12:00", ["2026-11-28T02:00", "2026-12-05T02:00", "2026-12-12T02:00"]),
        ("30 4 1,15 * 5", "2026-05-01T05:00", ["2026-05-08T04:30", "2026-05-15T04:30", "2026-05-22T04:30"]),
        ("0 0 29 feb *", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"]),
        ("0 9-17/4 * * mon-fri", "2026-11-27T12:00", ["2026-11-27T13:00", "2026-11-27T17:00", "2026-11-30T09:00"]),
        ("@weekly", "2026-11-25T00:00", ["2026-11-29T00:00", "2026-12-06T00:00", "2026-12-13T00:00"]),
        ("5/25 3 * * 7", "2026-11-25T00:00", ["2026-11-29T03:05", "2026-11-29T03:30", "2026-11-29T03:55"]),
        ("0 6 * * fri-sun", "2026-11-27T07:00", ["2026-11-28T06:00", "2026-11-29T06:00", "2026-12-04T06:00"]),
    ],
)
def test_known_cases(text: str, moment: str, runs: list[str]) -> None:
    assert [one[:16] for one in at(text, ZoneInfo("UTC"), moment)] == runs


def test_what_is_skipped_is_due_once_when_the_clock_has_jumped() -> None:
    assert at("30 2 * * *", BERLIN, "2026-03-28T12:00") == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
        "2026-03-31T02:30+02:00",
    ]
    assert at("*/15 2 * * *", BERLIN, "2026-03-29T01:00", 2) == ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]


def test_what_is_repeated_is_due_once() -> None:
    assert at("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    assert at("30 1 * * *", YORK, "2026-10-31T12:00", 2) == ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]


def test_half_an_hour_and_a_whole_day_can_be_skipped_too() -> None:
    assert at("15 2 * * *", ZoneInfo("Australia/Lord_Howe"), "2026-10-03T12:00", 1) == ["2026-10-04T02:30+11:00"]
    assert at("0 12 * * *", ZoneInfo("Pacific/Apia"), "2011-12-29T13:00", 2) == [
        "2011-12-31T00:00+14:00",
        "2011-12-31T12:00+14:00",
    ]


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("", "fields", ""),
        ("* * * *", "fields", "* * * *"),
        ("60 * * * *", "range", "60"),
        ("* * 0 * *", "range", "0"),
        ("* * * * 8", "range", "8"),
        ("5-1 * * * *", "backwards", "5-1"),
        ("*/0 * * * *", "step", "*/0"),
        ("x * * * *", "value", "x"),
        ("1,,2 * * * *", "value", "1,,2"),
        (", * * * *", "value", ","),
        ("* * L * *", "value", "L"),
        ("*/70 * * * *", "long step", "*/70"),
        ("* * * */13 *", "long step", "*/13"),
        ("* * * * */8", "long step", "*/8"),
        ("0 0 * * *" + " " * 200, "long", ""),
        ("* * * * ٣", "value", "٣"),
        ("0 0 30 2 *", "never", "0 0 30 2 *"),
        ("@reboot", "fields", "@reboot"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_part(text: str, code: str, part: str) -> None:
    with pytest.raises(CronRefused) as refused:
        parse(text)
    assert (refused.value.code, refused.value.part) == (code, part)


def test_a_long_step_that_is_stored_goes_on() -> None:
    assert parse("*/70 * * JAN *", is_stored=True) == parse("0 * * 1 *")
    assert parse("*/60 */24 */31 */12 */7").minutes == (0,)


def test_zones_are_places() -> None:
    assert zones()[0] == "UTC"
    assert "Asia/Bangkok" in zones()


def watched(cron: Cron, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The reference: look at the clock every minute; what it has reached since the last look is due."""
    moment, shown = start, start.astimezone(zone).replace(tzinfo=None, second=0)
    while moment < end:
        moment += timedelta(minutes=1)
        clock = moment.astimezone(zone).replace(tzinfo=None)
        is_due = False
        while shown < clock:
            shown += timedelta(minutes=1)
            is_due = is_due or cron.has(shown)
        if is_due:
            yield moment


MINUTES = st.sampled_from(["0", "30", "*/15", "7,37", "59", "10-50/20"])
HOURS = st.sampled_from(["*", "0", "1", "2", "3", "1-3", "*/2", "23"])
DAYS = st.sampled_from(["*", "1", "25-31", "*/2"])
WEEK = st.sampled_from(["*", "sun", "sat,sun", "1-5"])
CHANGES = st.sampled_from(
    [
        ("Europe/Berlin", "2026-03-28"),
        ("Europe/Berlin", "2026-10-24"),
        ("America/New_York", "2026-03-07"),
        ("America/New_York", "2026-10-31"),
        ("Australia/Lord_Howe", "2026-04-04"),
        ("Australia/Lord_Howe", "2026-10-03"),
        ("America/Sao_Paulo", "2018-11-03"),
        ("Africa/Cairo", "2026-04-23"),
        ("Asia/Bangkok", "2026-06-01"),
        ("Pacific/Apia", "2011-12-29"),
    ]
)


@settings(max_examples=60, deadline=None)
@given(minute=MINUTES, hour=HOURS, day=DAYS, week=WEEK, change=CHANGES, begin=st.integers(0, 1440))
def test_it_is_due_when_a_watched_clock_is(
    minute: str, hour: str, day: str, week: str, change: tuple[str, str], begin: int
) -> None:
    zone = ZoneInfo(change[0])
    start = datetime.fromisoformat(change[1]).replace(tzinfo=UTC) + timedelta(minutes=begin)
    # Not within an hour that is repeated: the watcher would not know that it was shown before.
    if start.astimezone(zone).fold:
        start -= timedelta(hours=2)
    end = start + timedelta(days=2)
    cron = parse(f"{minute} {hour} {day} * {week}")
    found, moment = [], start
    while (following := next_after(cron, zone, moment)) is not None and following <= end:
        found.append(following)
        moment = following
    assert found == list(watched(cron, zone, start, end))
