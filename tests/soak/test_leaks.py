"""Thousands of polls in one worker: threads, descriptors and memory come back to where they were."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fleet import fault, simulated_fleet
from tests.workers import Workers

pytestmark = pytest.mark.soak
NODES = 60
WARM_POLLS = 1500
POLLS = 5000


class Held:
    """What a process holds, from /proc."""

    def __init__(self, pid: int) -> None:
        folder = Path(f"/proc/{pid}")
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        self.threads = int(status["Threads"])
        self.descriptors = len(list((folder / "fd").iterdir()))
        self.resident_kb = int(status["VmRSS"].split()[0])

    def __str__(self) -> str:
        return f"{self.threads} threads, {self.descriptors} descriptors, {self.resident_kb / 1024:.0f} MB"


def poll(workers: Workers, count: int) -> int:
    """Wait for so many polls of live nodes; gives how many there were."""
    seen: dict[str, str] = {}
    polls = 0
    until = time.monotonic() + 600
    while polls < count:
        assert time.monotonic() < until
        for name, at in workers.execute("SELECT name, last_seen_at FROM nodes_node WHERE last_seen_at IS NOT NULL"):
            polls += seen.get(name, at) != at
            seen[name] = at
        time.sleep(0.3)
    return polls


def at_rest(workers: Workers) -> Held:
    """With beat stopped and nothing under way."""
    workers.kill("beat")
    workers.wait_for(lambda: workers.count("poll_lease IS NOT NULL") == 0, 60, "nothing under way")
    time.sleep(3)
    held = Held(workers.processes["worker"].pid)
    workers.start("beat")
    return held


@pytest.mark.parametrize("kept_open", [0, 40])
def test_a_worker_holds_no_more_after_thousands_of_polls(tmp_path: Path, kept_open: int) -> None:
    told = {"FLEETUI_POLL_INTERVAL_S": "1", "FLEETUI_POLL_LEASE_S": "30", "FLEETUI_POLL_KEEP_OPEN": str(kept_open)}
    workers = Workers(tmp_path, "127.66", **told)
    with simulated_fleet(workers.fleet, NODES, net=workers.net) as manifest:
        workers.prepare()
        names = [host["name"] for host in manifest["hosts"]]
        kinds = ("blackhole", "unreachable", "auth_refused", "truncated", "garbage", "wrong_key")
        for kind, name in zip(kinds, names, strict=False):
            fault(workers.fleet, [name], kind, on=True)
        workers.start()
        try:
            poll(workers, WARM_POLLS)
            before = at_rest(workers)
            polls = poll(workers, POLLS)
            after = at_rest(workers)
        finally:
            workers.stop()
    print(f"before: {before}; after {polls} further polls: {after}")
    assert after.threads <= before.threads + 5
    assert after.descriptors <= before.descriptors + 5
    assert after.resident_kb - before.resident_kb <= 20 * 1024
