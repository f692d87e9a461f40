"""Workers that are killed and stopped, brokers that lose and repeat everything, and a database that goes away, in mid-flight.

Many operations at once on both pairs of database and broker, against simulated hosts over real SSH, which count their boots
and the commands that were started on them. tests/test_operations_rig_storm.py does the same on a few hosts that really restart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet import simulated_fleet
from tests.operating import PAIRS, Operating, operating_on

pytestmark = [pytest.mark.e2e, pytest.mark.soak]
NODES = 40
UPGRADES, RESTARTS, ROLLBACKS = 9, 2, 3
QUICK = ("--reboot-seconds", "2", "--transaction-seconds", "2")
STAGING, RESTARTING = ("stage", "order"), ("reboot", "await_boot")
#: While at least one operation is at one of these steps, this happens. Seven signals for each pair.
BLOWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("preflight", "hold"), "kill"),
    (STAGING, "stop"),
    (RESTARTING, "kill"),
    (STAGING, "repeat"),
    (STAGING, "kill"),
    (RESTARTING, "wipe"),
    (RESTARTING, "stop"),
    (STAGING, "database"),
    (STAGING, "kill"),
    (RESTARTING, "database"),
    (RESTARTING, "kill"),
)


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_that_happens_to_workers_brokers_and_databases_harms_a_host(name: str, tmp_path: Path) -> None:
    with (
        operating_on(name, tmp_path) as (made, database_away),
        simulated_fleet(made.fleet, NODES, net=made.net, options=QUICK),
    ):
        made.prepare()
        made.start()
        try:
            _storm(made, database_away)
        finally:
            made.stop()


def _storm(made: Operating, database_away: Callable[[], None]) -> None:
    made.wait_for(lambda: made.count("last_seen_at IS NOT NULL") == NODES, 120, "all nodes polled once")
    upgraded = made.named("update_state = 'update_available'", UPGRADES)
    others = made.named("update_state = 'up_to_date' AND rollback IS NOT NULL", RESTARTS + ROLLBACKS)
    restarted, turned_back = others[:RESTARTS], others[RESTARTS:]
    before = made.hosts()
    soak = {"soak_s": 0}
    limits = [("overall", "", 3), *(("pool", pool, 3) for pool in {before[name]["pool"] for name in before})]
    ids = made.ask([("upgrade", upgraded, soak), ("reboot", restarted, soak), ("rollback", turned_back, soak)], limits)
    made.strike(ids, BLOWS, database_away)
    made.finish(ids)
    states = made.rows("node_name, state, result", ids)
    assert {row[1:] for row in states} == {("succeeded", "healthy")}, made.stand(ids)
    made.check_hosts(before, dict.fromkeys([*upgraded, *others], 1))
    made.check_rows(ids)
    after = made.hosts()
    assert all(after[name]["version"] != before[name]["version"] for name in [*upgraded, *turned_back])
    assert all(after[name]["version"] == before[name]["version"] for name in restarted)
