"""The geometry of charts: stacked, with gaps, on round scales, in the zone of the person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fleetui.core.charts import Chart, Series, draw, nice_top, time_ticks

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def chart(*values: list[int | None], **over: object) -> Chart:
    series = [Series(f"s{place}", f"s{place}", column, shade=str(place)) for place, column in enumerate(values)]
    starts = [START + timedelta(minutes=step) for step in range(len(values[0]))]
    made = Chart("Test", series, starts, 60, id="test", **over)  # type: ignore[arg-type]
    return draw(made, known=[value is not None for value in values[0]], zone=UTC)


def test_areas_are_stacked_and_closed() -> None:
    drawn = chart([1, 1, 2], [1, 0, 0])
    assert drawn.top == 2
    assert drawn.series[0].path == "M0 100V50H2V0H3V100H0Z"
    assert drawn.series[1].path == "M0 50V0H1V50H2V0H3V0H2V50H0Z"


def test_a_gap_cuts_the_area_and_is_told() -> None:
    drawn = chart([2, None, None, 2, None])
    assert drawn.series[0].path == "M0 100V0H1V100H0ZM3 100V0H4V100H3Z"
    assert drawn.gaps == [(1, 2)]
    assert [(row.step, row.cells) for row in drawn.rows] == [(0, [2]), (1, None), (3, [2])]


def test_rows_are_there_only_where_something_changed() -> None:
    drawn = chart([None, 3, 3, 3, 4])
    assert [(row.step, row.cells) for row in drawn.rows] == [(1, [3]), (4, [4])]


def test_nothing_bad_is_calm_and_nothing_known_is_empty() -> None:
    assert chart([0, 0], calm="All well").is_calm
    assert not chart([0, 1], calm="All well").is_calm
    assert chart([None, None]).is_empty


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 20), (66, 80), (100, 100), (104_000, 200_000)]
)
def test_scales_end_at_round_numbers(highest: int, top: int) -> None:
    assert nice_top(highest) == top


def test_ticks_are_round_in_the_zone_of_the_person() -> None:
    day = timedelta(days=1)
    labels = [tick.label for tick in time_ticks(START, START + day, ZoneInfo("Asia/Kolkata"))]
    assert labels == ["16:00", "20:00", "00:00", "04:00", "08:00", "12:00"]
    weeks = [tick.label for tick in time_ticks(START, START + 7 * day, UTC)]
    assert weeks == ["11-23", "11-24", "11-25", "11-26", "11-27", "11-28", "11-29"]
