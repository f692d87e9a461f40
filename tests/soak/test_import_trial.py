"""An Ansible inventory of thousands of hosts comes in by REST with its known_hosts, and is polled without lag that grows.

Says every 30 s how it goes: how overdue, the time in which the fleet was gone through, memory and processor of each process.
Run it alone on a quiet machine, one processor of which the simulated fleet takes for itself:
.venv/bin/python -m pytest tests/soak/test_import_trial.py -n 0 -s -k 10000-one
"""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import machine
from tests.fleet import simulated_fleet
from tests.installation import Installation, installation, process_ids

INTERVAL_S = 60
SAY_EVERY_S = 30
NET = "127.64"


class Trial:
    """An installation that is asked over its API and watched in its database."""

    def __init__(self, running: Installation) -> None:
        self.running = running
        self.token = running.token("admin")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.running.url}/api/v1/{path}", sent, headers)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def row(self, sql: str) -> Any:
        with sqlite3.connect(self.running.folder / "db.sqlite3", timeout=30) as database:
            return database.execute(sql).fetchone()

    def lag_s(self) -> float:
        """How long the node that is most overdue has waited for a worker."""
        due = self.row("SELECT min(poll_due_at) FROM nodes_node WHERE poll_lease IS NULL")[0]
        return max(0.0, _age_s(due)) if due else 0.0

    def oldest_s(self) -> float:
        return _age_s(self.row("SELECT min(last_seen_at) FROM nodes_node")[0])

    def resident_mb(self) -> str:
        """The memory of each process of the installation, the largest first."""
        found = []
        for pid in process_ids(self.running.folder):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found.append(pages * 4096 // 1024**2)
        return " + ".join(str(size) for size in sorted(found, reverse=True)) + " MB"

    def polls(self) -> int:
        """Contacts so far."""
        return int(self.row("SELECT coalesce(sum(count), 0) FROM core_durationcount WHERE name = 'poll_duration'")[0])

    def cpu_s(self) -> float:
        """Processor time of all processes of the installation."""
        return sum(machine.cpu_s(pid) for pid in process_ids(self.running.folder))


def _age_s(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment).replace(tzinfo=UTC)).total_seconds()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("nodes", "watched_s", "workers"),
    [
        pytest.param(2_000, 180, 1, id="2000"),
        pytest.param(10_000, 600, 1, id="10000-one-worker"),
        pytest.param(10_000, 600, 2, id="10000-two-workers"),
    ],
)
def test_an_inventory_is_imported_and_polled(tmp_path: Path, nodes: int, watched_s: int, workers: int) -> None:
    fleet = tmp_path / "fleet"
    with (
        simulated_fleet(fleet, nodes, net=NET),
        installation(
            tmp_path / "data", FLEETUI_POLL_INTERVAL_S=str(INTERVAL_S), FLEETUI_POLL_WORKERS=str(workers)
        ) as running,
    ):
        trial = Trial(running)
        trial.ask(
            "credentials/", {"name": "fleet", "username": "core", "private_key": (fleet / "client_key").read_text()}
        )
        _import(trial, fleet, nodes)
        lags = _watch(trial, nodes, watched_s)
        half = len(lags) // 2
        print(f"most overdue: {max(lags[:half]):.1f} s in the first half, {max(lags[half:]):.1f} s in the second")
        assert max(lags[half:]) <= max(lags[:half]) + INTERVAL_S / 2
        assert trial.oldest_s() <= 2 * INTERVAL_S
        assert trial.row("SELECT count(*) FROM nodes_node WHERE reachability != 'reachable'")[0] == 0


def _import(trial: Trial, fleet: Path, nodes: int) -> None:
    document = {
        "text": (fleet / "hosts.ini").read_text(),
        "known_hosts": (fleet / "known_hosts").read_text(),
        "credential": "fleet",
        "create_pools": True,
    }
    began = time.monotonic()
    plan = trial.ask("nodes/import/", {**document, "dry_run": True})
    print(f"\npreview of {nodes} rows: {time.monotonic() - began:.1f} s, {plan['counts']}, {trial.resident_mb()}")
    assert plan["counts"]["add"] == nodes
    assert trial.row("SELECT count(*) FROM nodes_node")[0] == 0
    began = time.monotonic()
    trial.ask(f"nodes/import/{plan['id']}/apply/", {})
    while (plan := trial.ask(f"nodes/import/{plan['id']}/"))["state"] == "applying":
        time.sleep(0.5)
    print(f"applied: {time.monotonic() - began:.1f} s, {plan['state']}, {trial.resident_mb()}")
    assert plan["state"] == "done"
    assert trial.row("SELECT count(*) FROM nodes_hostkey WHERE state = 'pinned'")[0] == nodes
    events = "SELECT count(*), count(DISTINCT subject) FROM audit_event WHERE action = 'nodes.add'"
    assert trial.row(events) == (nodes, nodes)
    again = trial.ask("nodes/import/", {**document, "dry_run": True})
    assert again["counts"]["unchanged"] == nodes


def _watch(trial: Trial, nodes: int, watched_s: int) -> list[float]:
    """The lag twice a minute, after every node answered once."""
    began = time.monotonic()
    while unseen := trial.row("SELECT count(*) FROM nodes_node WHERE last_seen_at IS NULL")[0]:
        assert time.monotonic() - began < 300 + nodes / 20, f"{unseen} nodes were never polled"
        time.sleep(1)
    print(f"every node answered {time.monotonic() - began:.0f} s after the import")
    lags: list[float] = []
    began = said = time.monotonic()
    polls, cpu_s = trial.polls(), trial.cpu_s()
    while time.monotonic() - began < watched_s:
        time.sleep(SAY_EVERY_S - (time.monotonic() - said) % SAY_EVERY_S)
        passed_s, said = time.monotonic() - said, time.monotonic()
        lags.append(trial.lag_s())
        (before, polls), (cpu_before, cpu_s) = (polls, trial.polls()), (cpu_s, trial.cpu_s())
        cycle_s = nodes * passed_s / max(1, polls - before)
        cpu_ms = 1000 * (cpu_s - cpu_before) / max(1, polls - before)
        asked = time.monotonic()
        counted = trial.ask("nodes/?limit=1&q=web-01")
        print(
            f"{said - began:4.0f} s: most overdue {lags[-1]:5.1f} s, oldest sight {trial.oldest_s():5.1f} s,"
            f" all nodes in {cycle_s:4.0f} s, {cpu_ms:.1f} ms of processor a poll,"
            f" search {1000 * (time.monotonic() - asked):4.0f} ms ({len(counted['results'])}), {trial.resident_mb()}"
        )
    return lags
