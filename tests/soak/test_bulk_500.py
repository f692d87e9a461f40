"""One bulk upgrade of many simulated hosts, some of them at fault: each ends as it must, and says why.

Meanwhile the worker's memory stays flat, each step says something within two seconds, and the page of the request answers
at once. The figures are printed; docs/measurements.md holds those of 500 hosts.
"""

from __future__ import annotations

import http.cookiejar
import json
import re
import sqlite3
import statistics
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.wording import result_sentence
from simfleet.control import send
from tests.fleet import fault, simulated_fleet
from tests.installation import Installation, installation, manage, process_ids
from tests.operating import OVER

NEWEST = "46.20261115.3.0"
#: Fault: state, result, and what the sentence has to say.
ENDS: dict[str, tuple[str, str, str]] = {
    "wrong_key": ("failed", "contact_refused", "another host key"),
    "full_disk": ("failed", "preflight", "/boot"),
    "fallback": ("failed", "fell_back", f"instead of {NEWEST}"),
    "session": ("failed", "preflight", "Signed in"),
    "stuck_transaction": ("failed", "preflight", "transaction"),
    "garbage": ("failed", "preflight", "Nothing was changed"),
    "unreachable": ("timed_out", "deadline", "does not answer"),
    "blackhole": ("timed_out", "deadline", "does not answer"),
    "auth_refused": ("timed_out", "deadline", "does not answer"),
}
GOOD = ("succeeded", "healthy", "Done")
#: Growth of the worker from a fifth of the way to the end.
MOST_GROWTH_MIB = 40
PAGE_MS = 100
FIRST_LINE_S = 2.0


class Site:
    """A running FleetUI with a fleet, asked over REST and, signed in, as a page."""

    def __init__(self, started: Installation) -> None:
        self.started = started
        self.token = started.token("admin")
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        form = self.page("/accounts/login/")
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert found
        sent = {"login": "admin", "password": started.password, "csrfmiddlewaretoken": found[1]}
        self.browser.open(f"{started.url}/accounts/login/", urllib.parse.urlencode(sent).encode(), timeout=60).close()

    def page(self, path: str) -> str:
        with self.browser.open(f"{self.started.url}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(f"{self.started.url}/api/v1/{path}", json.dumps(body).encode(), method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def sql(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        with sqlite3.connect(self.started.folder / "db.sqlite3", timeout=60) as lite:
            return lite.execute(statement, parameters).fetchall()

    def count(self, where: str) -> int:
        return int(self.sql(f"SELECT count(*) FROM ops_operation WHERE {where}")[0][0])

    def until(self, where: str, count: int, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while self.count(where) < count:
            stand = self.sql("SELECT state, step, wait_reason, count(*) FROM ops_operation GROUP BY 1, 2, 3")
            assert time.monotonic() < end, (where, count, stand)
            time.sleep(1)

    def worker_mib(self) -> float:
        """What the worker holds now."""
        for pid in process_ids(self.started.folder):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"worker" in words:
                status = Path(f"/proc/{pid}/status").read_text()
                return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024
        raise AssertionError("no worker runs")


class Pages(threading.Thread):
    """Somebody who looks at the page of the request all the time."""

    def __init__(self, site: Site, path: str) -> None:
        super().__init__(daemon=True)
        self.site, self.path, self.took_ms, self.ended = site, path, list[float](), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(1.0):
            began = time.perf_counter()
            self.site.page(self.path)
            self.took_ms.append((time.perf_counter() - began) * 1000)


@pytest.fixture
def site(tmp_path: Path, nodes: int) -> Iterator[tuple[Site, Path]]:
    fleet = tmp_path / "fleet"
    quick = ("--reboot-seconds", "3", "--transaction-seconds", "3")
    with (
        simulated_fleet(fleet, int(nodes * 1.3) + 8, net="127.75" if nodes < 100 else "127.73", options=quick),
        installation(tmp_path / "var", FLEETUI_POLL_INTERVAL_S="3600") as started,
    ):
        # Published before the nodes are known, so that each host of the stream has an update, which is known as well.
        send(fleet, {"action": "publish", "version": NEWEST})
        seeded = manage(started.folder, "demo_seed", str(fleet / "manifest.json"))
        assert seeded.returncode == 0, seeded.stderr
        found = Site(started)
        found.sql("UPDATE nodes_pool SET poll_interval_s = NULL")
        yield found, fleet


@pytest.mark.parametrize(
    ("nodes", "faults"),
    [pytest.param(14, 9, marks=pytest.mark.soak, id="14"), pytest.param(500, 50, marks=pytest.mark.soak, id="500")],
)
def test_every_host_of_a_bulk_upgrade_ends_as_it_must(site: tuple[Site, Path], nodes: int, faults: int) -> None:
    """One host of ten is at fault; of few ones so many that there is each kind."""
    found, fleet = site
    names = _with_an_update(found, nodes)
    at_fault = _break(fleet, names[:: nodes // faults][:faults])
    before = {host["name"]: host for host in send(fleet, {"action": "list"})["hosts"]}
    for scope, name in [("overall", "-"), *(("pool", pool) for pool in sorted({before[one]["pool"] for one in names}))]:
        found.ask("PUT", f"limits/{scope}/{name}/", {"at_once": nodes, "reason": "proof"})
    found.ask("PUT", "limits/cluster/prod/", {"at_once": nodes, "reason": "proof"})
    began = time.monotonic()
    asked = found.ask(
        "POST", "operations/", {"kind": "upgrade", "nodes": names, "params": {"soak_s": 0}, "reason": "proof"}
    )
    refused = {one["node"] for one in asked["refused"]}
    # A host that was polled since shows its wrong key, and is not even asked.
    assert {at_fault.pop(name, "") for name in refused} <= {"wrong_key"}, asked["refused"]
    names = [name for name in names if name not in refused]
    nodes = len(names)
    assert len(asked["operations"]) == nodes
    pages = Pages(found, f"/operations/requests/{asked['request_id']}/")
    pages.start()
    over = f"state IN {OVER}"
    late = sum(ENDS[kind][0] == "timed_out" for kind in at_fault.values())
    found.until(over, nodes // 5, 1800)
    warm_mib = found.worker_mib()
    found.until(over, nodes - late, 1800)
    took_s = time.monotonic() - began
    # Those that do not answer wait as long as the requester said: that time is over now.
    past = (datetime.now().astimezone() - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    found.sql(f"UPDATE ops_operation SET deadline = ?, due_at = ? WHERE NOT {over}", (past, past))
    found.until(over, nodes, 300)
    pages.ended.set()
    pages.join(60)
    end_mib = found.worker_mib()
    lines_s, starts_s = _first_lines(found)
    print(
        f"\n{nodes} hosts, {len(at_fault)} at fault, upgraded in {took_s:.0f} s; worker {warm_mib:.0f} MiB at a fifth,"
        f" {end_mib:.0f} MiB at the end; page of the request: median {statistics.median(pages.took_ms):.0f} ms,"
        f" longest {max(pages.took_ms):.0f} ms of {len(pages.took_ms)}; first line after the begin of a step:"
        f" median {statistics.median(lines_s):.2f} s, longest {max(lines_s):.2f} s of {len(lines_s)}; after the start of an"
        f" operation: median {statistics.median(starts_s):.2f} s, longest {max(starts_s):.2f} s"
    )
    _check_ends(found, at_fault)
    _check_hosts(fleet, before, names, at_fault)
    assert end_mib - warm_mib < MOST_GROWTH_MIB
    assert max(lines_s) < FIRST_LINE_S or faults < 50
    assert statistics.median(pages.took_ms) < PAGE_MS or faults < 50


def _with_an_update(found: Site, nodes: int) -> list[str]:
    """So many names, when as many were polled and have an update."""
    end = time.monotonic() + 900
    while True:
        rows = found.sql(
            "SELECT name FROM nodes_node WHERE os_family = 'fcos' AND update_state = 'update_available'"
            " AND name NOT LIKE 'k8s-control%' ORDER BY name LIMIT ?",
            (nodes,),
        )
        if len(rows) == nodes:
            return [str(row[0]) for row in rows]
        assert time.monotonic() < end, f"{len(rows)} nodes have an update"
        time.sleep(0.5)


def _break(fleet: Path, names: list[str]) -> dict[str, str]:
    """Each of these hosts gets a fault, all kinds in turn."""
    kinds = list(ENDS)
    found = {name: kinds[place % len(kinds)] for place, name in enumerate(names)}
    for name, kind in found.items():
        fault(fleet, [name], kind, on=True)
    return found


def _first_lines(found: Site) -> tuple[list[float], list[float]]:
    """Seconds from the begin of each step to its first line, and from the start of each operation to its first line."""
    seconds = "(julianday({}) - julianday({})) * 86400"
    steps = found.sql(
        f"SELECT {seconds.format('min(l.at)', 's.started_at')} FROM ops_steprun s"
        " JOIN ops_logline l ON l.operation_id = s.operation_id AND l.step = s.name AND l.at >= s.started_at GROUP BY s.id"
    )
    starts = found.sql(
        f"SELECT {seconds.format('min(l.at)', 'o.started_at')} FROM ops_operation o"
        " JOIN ops_logline l ON l.operation_id = o.id GROUP BY o.id"
    )
    runs = int(found.sql("SELECT count(*) FROM ops_steprun")[0][0])
    assert len(steps) == runs, "a step has said nothing"
    return [row[0] for row in steps], [row[0] for row in starts]


def _check_ends(found: Site, at_fault: dict[str, str]) -> None:
    wrong = []
    for name, state, result, params in found.sql("SELECT node_name, state, result, result_params FROM ops_operation"):
        wanted = ENDS[at_fault[name]] if name in at_fault else GOOD
        sentence = result_sentence(result, json.loads(params))
        if (state, result) != wanted[:2] or wanted[2] not in sentence:
            wrong.append((name, at_fault.get(name), state, result, sentence))
    assert not wrong, (Counter((kind, state, result) for _name, kind, state, result, _sentence in wrong), wrong[:5])
    assert found.sql("SELECT count(*) FROM ops_operation WHERE lease_id IS NOT NULL OR due_at IS NOT NULL") == [(0,)]


def _check_hosts(fleet: Path, before: dict[str, Any], names: list[str], at_fault: dict[str, str]) -> None:
    after = {host["name"]: host for host in send(fleet, {"action": "list"})["hosts"]}
    for name in names:
        host, kind = after[name], at_fault.get(name, "")
        boots = host["boot_count"] - before[name]["boot_count"]
        assert boots == (1 if kind in ("", "fallback") else 0), (kind, host)
        assert (host["version"] != before[name]["version"]) == (not kind), (kind, host)
        assert all(starts == 1 for starts in host["unit_starts"].values()), host
        assert not [unit for unit in host["units"] if unit.startswith("fleetui-")], host
        assert not [path for path in host["written"] if "fleetui" in path], host
        assert not host["staged"], host
