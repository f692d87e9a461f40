"""Samples: counted once per time, bounded, and honest about what nobody looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodes.models import Sample
from nodes.services.history import RANGES, history
from nodes.services.samples import OTHER, take_samples
from nodes.tests.cast import Cast
from nodes.tests.make import make_node, make_pool, principal

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 22, 10, 0, 7, tzinfo=UTC)


def of(kind: str, resolution_s: int = 60) -> dict[tuple[str | None, str], int]:
    rows = Sample.objects.filter(kind=kind, resolution_s=resolution_s)
    return {(pool, value): nodes for pool, value, nodes in rows.values_list("pool__name", "value", "nodes")}


def test_every_resolution_counts_at_its_own_times(db: None) -> None:
    make_node()
    assert take_samples(now=AT)
    assert set(Sample.objects.values_list("resolution_s", flat=True)) == {60, 600, 3600}
    take_samples(now=AT + timedelta(minutes=1))
    assert Sample.objects.filter(kind="taken").count() == 4
    take_samples(now=AT + timedelta(minutes=10))
    assert Sample.objects.filter(kind="taken", resolution_s=600).count() == 2


def test_a_late_look_is_not_written_under_an_earlier_time(db: None) -> None:
    make_node()
    take_samples(now=AT + timedelta(minutes=9))
    assert set(Sample.objects.values_list("resolution_s", flat=True)) == {60}


def test_a_repeated_message_writes_nothing_twice(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_node()
    take_samples(now=AT)
    rows = Sample.objects.count()
    assert take_samples(now=AT) == 0
    # Two that both looked before either wrote.
    monkeypatch.setattr("nodes.services.samples._taken", lambda resolution_s, at: False)
    assert take_samples(now=AT + timedelta(seconds=20)) == 0
    assert Sample.objects.count() == rows


def test_counts_are_per_pool_and_of_the_fleet(cast: Cast) -> None:
    make_node("w2", pool=cast.web, health="degraded")
    make_node("w3", pool=cast.web, lifecycle="retired", booted_version="1")
    take_samples(now=AT)
    assert of("health") == {("web", "healthy"): 1, ("web", "degraded"): 1, ("db", "healthy"): 1, (None, "healthy"): 1}
    assert of("all.health") == {(None, "healthy"): 3, (None, "degraded"): 1}
    assert of("all.lifecycle") == {(None, "active"): 4, (None, "retired"): 1}
    assert of("all.version") == {(None, "44.20261101.3.0"): 4}


def test_versions_are_bounded_and_the_newest_keep_their_names(db: None) -> None:
    for number in range(30):
        for _ in range(2):
            make_node(booted_version=f"43.202601{number + 1:02}.3.0")
    make_node(booted_version="45.20261101.3.0")
    take_samples(now=AT)
    counts = of("all.version")
    assert len(counts) == 21
    assert counts[None, "45.20261101.3.0"] == 1
    assert sum(counts.values()) == 61
    assert counts[None, OTHER] == 61 - 1 - 19 * 2


def test_the_count_is_one_query_whatever_the_pools(db: None, django_assert_max_num_queries: Any) -> None:
    for number in range(8):
        make_node(pool=make_pool(f"p{number}"))
    with django_assert_max_num_queries(20):
        take_samples(now=AT)


def test_a_gap_is_not_known_and_an_empty_pool_is_zero(cast: Cast) -> None:
    make_node("w2", pool=cast.web, health="degraded")
    take_samples(now=AT)
    cast.web.nodes.filter(health="degraded").update(health="healthy")
    take_samples(now=AT + timedelta(minutes=3))
    found = history(principal(cast.owner), reach=RANGES["1h"], now=AT + timedelta(minutes=4))
    assert found.nodes["health"]["degraded"][-5:] == [1, None, None, 0, None]
    assert found.nodes["health"]["healthy"][-5:] == [3, None, None, 4, None]
    assert [(since.minute, until.minute) for since, until in found.gaps()] == [(1, 3)]


def test_one_sees_the_own_pools_only(cast: Cast) -> None:
    take_samples(now=AT)
    reach, now = RANGES["1h"], AT + timedelta(seconds=5)
    seen = history(principal(cast.viewer), reach=reach, now=now)
    assert seen.nodes["reachability"]["reachable"][-1] == 1
    assert history(principal(cast.outsider), reach=reach, now=now).nodes["reachability"] == {}
    whole = history(principal(cast.owner), reach=reach, now=now)
    assert whole.nodes["reachability"]["reachable"][-1] == 3
    asked = history(principal(cast.viewer), reach=reach, pools=[cast.web, cast.db], now=now)
    assert asked.nodes["reachability"]["reachable"][-1] == 1


def test_the_fleet_keeps_its_history_when_a_pool_goes(cast: Cast) -> None:
    take_samples(now=AT)
    cast.db.nodes.all().delete()
    cast.db.delete()
    whole = history(principal(cast.owner), reach=RANGES["1h"], now=AT)
    assert whole.nodes["reachability"]["reachable"][-1] == 3


def test_a_coarse_range_shows_the_last_look_of_each_step(db: None) -> None:
    make_node()
    start = AT.replace(hour=4)
    take_samples(now=start)
    make_node()
    take_samples(now=start + timedelta(hours=2))
    found = history(principal_of_all(), reach=RANGES["30d"], now=AT)
    assert found.nodes["health"]["healthy"][-2:] == [2, None]


def principal_of_all() -> Any:
    from fleetui.access.principals import SYSTEM

    return SYSTEM
