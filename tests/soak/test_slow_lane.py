"""Dead nodes must not delay live ones by more than one interval, from the moment on at which they die."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fleet import fault, simulated_fleet
from tests.workers import Workers

DEAD_SHARE = 0.3
SEED = 11


def ages_s(workers: Workers) -> dict[str, float]:
    """Seconds since each node was seen."""
    now = datetime.now(UTC)
    rows = workers.execute("SELECT name, last_seen_at FROM nodes_node WHERE last_seen_at IS NOT NULL")
    return {name: (now - datetime.fromisoformat(seen).replace(tzinfo=UTC)).total_seconds() for name, seen in rows}


@pytest.mark.parametrize(
    ("nodes", "interval_s", "watched_s"),
    [
        pytest.param(150, 15, 35, marks=pytest.mark.soak, id="150"),
        pytest.param(2000, 60, 300, marks=pytest.mark.soak, id="2000"),
    ],
)
def test_dead_nodes_delay_no_live_one(tmp_path: Path, nodes: int, interval_s: int, watched_s: int) -> None:
    workers = Workers(tmp_path, "127.65", FLEETUI_POLL_INTERVAL_S=str(interval_s), FLEETUI_POLL_LEASE_S="90")
    with simulated_fleet(workers.fleet, nodes, net=workers.net) as manifest:
        workers.prepare()
        workers.start()
        try:
            workers.wait_for(lambda: workers.count("last_seen_at IS NOT NULL") == nodes, 240, "all nodes polled once")
            names = sorted(host["name"] for host in manifest["hosts"])
            dead = random.Random(SEED).sample(names, int(nodes * DEAD_SHARE))
            fault(workers.fleet, dead[::2], "blackhole", on=True)
            fault(workers.fleet, dead[1::2], "unreachable", on=True)
            oldest_s = 0.0
            until = time.monotonic() + watched_s
            while time.monotonic() < until:
                ages = ages_s(workers)
                oldest_s = max(oldest_s, *(age for name, age in ages.items() if name not in dead))
                time.sleep(0.5)
            print(
                f"nodes={nodes} interval={interval_s} s: the longest time between two polls of a live node {oldest_s:.1f} s"
            )
            assert oldest_s <= 2 * interval_s
            assert workers.count("reachability = 'unreachable'") == len(dead)
        finally:
            workers.stop()
