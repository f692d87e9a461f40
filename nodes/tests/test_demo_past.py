"""The demo's past becomes samples once, and is bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleetui.access.principals import SYSTEM
from nodes.models import Sample
from nodes.services.demo_past import write_past
from nodes.services.history import RANGES, history
from nodes.tests.make import NOW, make_pool

pytestmark = pytest.mark.django_db
OLD, NEW = "44.20261018.3.0", "45.20261101.3.0"
MANIFEST = {
    "hosts": [{"name": "a", "pool": "web"}, {"name": "b", "pool": "web"}],
    "past": {
        "a": [
            [(NOW - timedelta(days=31)).isoformat(), OLD, "reachable", "healthy", "up_to_date"],
            [(NOW - timedelta(days=2)).isoformat(), NEW, "reachable", "healthy", "up_to_date"],
        ],
        "b": [[(NOW - timedelta(days=31)).isoformat(), OLD, "unreachable", "healthy", "update_available"]],
    },
}


def test_every_range_has_a_past_without_gaps() -> None:
    make_pool("web")
    assert write_past(MANIFEST, now=NOW)
    for name in ("1d", "7d", "30d"):
        found = history(SYSTEM, reach=RANGES[name], now=NOW)
        assert all(found.taken), name
        assert found.gaps() == []
    week = history(SYSTEM, reach=RANGES["7d"], now=NOW).nodes
    assert (week["version"][OLD][0], week["version"][OLD][-1], week["version"][NEW][-1]) == (2, 1, 1)
    assert week["reachability"]["unreachable"][-1] == 1


def test_it_is_written_once_and_only_into_an_empty_history() -> None:
    make_pool("web")
    rows = write_past(MANIFEST, now=NOW)
    assert write_past(MANIFEST, now=NOW) == 0
    assert Sample.objects.count() == rows
    assert write_past({"hosts": []}, now=NOW) == 0
