"""The demo's made-up month: it ends where its hosts stand, and only the demo has one."""

from __future__ import annotations

from datetime import UTC, datetime

from simfleet.demo import demo_plans
from simfleet.past import past
from simfleet.releases import Catalog

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_it_ends_with_what_the_hosts_run_now() -> None:
    plans, catalog = demo_plans(1), Catalog()
    told = past(plans, catalog, 1, NOW.timestamp())
    assert set(told) == {plan.name for plan in plans}
    for plan in plans:
        assert told[plan.name][-1][1] == catalog.behind(plan.stream, plan.versions_behind).version, plan.name


def test_it_tells_of_rollouts_and_troubles() -> None:
    told = past(demo_plans(1), Catalog(), 1, NOW.timestamp())
    states = [change for changes in told.values() for change in changes]
    assert len({state[1] for state in states}) >= 5
    assert {state[2] for state in states} == {"reachable", "unreachable", "key_mismatch"}
    assert {state[3] for state in states} == {"healthy", "degraded"}
    assert {"up_to_date", "update_available", "staged", "rolled_back"} <= {state[4] for state in states}


def test_times_go_forward_and_the_same_seed_tells_the_same() -> None:
    plans = demo_plans(1)
    told = past(plans, Catalog(), 1, NOW.timestamp())
    for changes in told.values():
        times = [datetime.fromisoformat(str(change[0])) for change in changes]
        assert times == sorted(times)
        assert times[-1] <= NOW
    assert told == past(plans, Catalog(), 1, NOW.timestamp())
