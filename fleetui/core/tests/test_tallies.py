"""Durations add up, over processes and labels, in one statement per label."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.core import tallies
from fleetui.core.models import Tally

pytestmark = pytest.mark.django_db
LIMITS = (0.1, 1.0, 10.0)


def test_sums_and_buckets() -> None:
    tallies.add("t", {"ok": [0.05, 0.1, 0.5, 20.0], "failed": []}, LIMITS)
    tallies.add("t", {"ok": [5.0], "failed": [1.0]}, LIMITS)
    found = tallies.read("t", LIMITS)
    assert (found["ok"].count, found["ok"].buckets) == (5, (2, 3, 4))
    assert found["ok"].total_s == pytest.approx(25.65)
    assert found["failed"] == tallies.Histogram(1, 1.0, (0, 1, 1))
    assert tallies.read("other", LIMITS) == {}


def test_processes_share_no_row_and_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (1, 2, 9):
        monkeypatch.setattr("fleetui.core.tallies.os.getpid", lambda pid=pid: pid)
        tallies.add("t", {"ok": [0.5]}, LIMITS)
    assert Tally.objects.count() == 2
    assert tallies.read("t", LIMITS)["ok"].count == 3


def test_a_batch_is_one_statement(django_assert_num_queries: Any) -> None:
    tallies.add("t", {"ok": [0.5]}, LIMITS)
    with django_assert_num_queries(1):
        tallies.add("t", {"ok": [0.5] * 200}, LIMITS)
