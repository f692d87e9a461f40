"""Durations add up, over processes and labels, in one statement per label."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.core import durations
from fleetui.core.models import DurationCount

pytestmark = pytest.mark.django_db
LIMITS = (0.1, 1.0, 10.0)


def test_sums_and_buckets() -> None:
    durations.add("t", {"ok": [0.05, 0.1, 0.5, 20.0], "failed": []}, LIMITS)
    durations.add("t", {"ok": [5.0], "failed": [1.0]}, LIMITS)
    found = durations.read("t", LIMITS)
    assert (found["ok"].count, found["ok"].buckets) == (5, (2, 3, 4))
    assert found["ok"].total_s == pytest.approx(25.65)
    assert found["failed"] == durations.Histogram(1, 1.0, (0, 1, 1))
    assert durations.read("other", LIMITS) == {}


def test_processes_share_no_row_and_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (1, 2, 9):
        monkeypatch.setattr("fleetui.core.durations.os.getpid", lambda pid=pid: pid)
        durations.add("t", {"ok": [0.5]}, LIMITS)
    assert DurationCount.objects.count() == 2
    assert durations.read("t", LIMITS)["ok"].count == 3


def test_a_batch_is_one_statement(django_assert_num_queries: Any) -> None:
    durations.add("t", {"ok": [0.5]}, LIMITS)
    with django_assert_num_queries(1):
        durations.add("t", {"ok": [0.5] * 200}, LIMITS)
