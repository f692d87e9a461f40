"""The whole matrix: a real worker is killed in each step of each kind, on each pair of database and broker.

Operations of all kinds run beside each other on simulated hosts that answer slowly. The worker is killed as soon as one of
them is in a step in which none was killed before, and whatever else was under way at that moment counts as well. The table
that is printed at the end belongs into docs/engine-proof.md.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import actions
from ops.actions.tidy import TIDY
from ops.tests.test_engine_kills import PARAMS, RESTARTS
from simfleet.control import send
from tests import services
from tests.conftest import missing
from tests.fleet import fault, simulated_fleet
from tests.operating import Operating

pytestmark = pytest.mark.soak
NODES = 160
NEWEST = "46.20261115.3.0"
QUICK = ("--reboot-seconds", "2", "--transaction-seconds", "1")
ROUNDS = 12
SLOW_S = 0.4
KINDS: dict[str, dict[str, Any]] = {**PARAMS, "cancel_transaction": {}, "zincati_check": {}}
#: These leave something to take back, so that their last step is seen.
TIDIED = ("upgrade", "rollback")
#: What is done after a failed health check: tests/test_operations_rig.py goes there on hosts that really fail.
ONLY_WHEN_UNHEALTHY = "back_"
PAIRS = [(database, broker) for database in ("SQLite", "PostgreSQL") for broker in ("folder", "Redis")]
Cell = tuple[str, str]


def cells() -> set[Cell]:
    """Each kind with each of its steps."""
    steps = {(kind, step.name) for kind in KINDS for step in actions.get(kind).steps}
    return {cell for cell in steps if not cell[1].startswith(ONLY_WHEN_UNHEALTHY)} | {(kind, TIDY) for kind in TIDIED}


@contextlib.contextmanager
def installed(folder: Path, database: str, broker: str) -> Iterator[Operating]:
    with contextlib.ExitStack() as stack:
        try:
            database_url = stack.enter_context(services.postgresql()) if database == "PostgreSQL" else ""
            broker_url = stack.enter_context(services.redis()) + "/4" if broker == "Redis" else ""
        except services.ServiceMissing as error:
            missing(str(error))
        made = Operating(folder, "127.74", database_url=database_url, broker_url=broker_url)
        stack.enter_context(simulated_fleet(made.fleet, NODES, net=made.net, options=QUICK))
        # Before the nodes are known: each of them has an update then.
        send(made.fleet, {"action": "publish", "version": NEWEST})
        made.prepare()
        made.start()
        stack.callback(made.stop)
        made.wait_for(lambda: made.count("last_seen_at IS NOT NULL") == NODES, 240, "all nodes polled once")
        yield made


@pytest.mark.parametrize(("database", "broker"), PAIRS)
def test_a_worker_may_be_killed_in_each_step_of_each_kind(database: str, broker: str, tmp_path: Path) -> None:
    with installed(tmp_path, database, broker) as made:
        names = made.named("update_state = 'update_available' AND rollback IS NOT NULL", ROUNDS * 8)
        made.ask([], [(scope, "", NODES) for scope in ("overall",)])
        made.ask([], [("pool", pool, NODES) for pool in {host["pool"] for host in made.hosts().values()}])
        made.ask([], [("cluster", "prod", NODES)])
        todo, killed_in, kills, operations = cells(), Counter[Cell](), 0, 0
        began = time.monotonic()
        for _round in range(ROUNDS):
            kinds = sorted({kind for kind, _step in todo})
            if not kinds or len(names) < len(kinds):
                break
            on = {kind: names.pop() for kind in kinds}
            for name in on.values():
                send(made.fleet, {"action": "fault", "name": name, "kind": "slow", "on": True, "value": SLOW_S})
            before = made.hosts()
            ids = made.ask([(kind, [name], KINDS[kind]) for kind, name in on.items()])
            operations += len(ids)
            kills += _kill_through(made, ids, todo, killed_in)
            ends = made.rows("kind, state, result", ids)
            assert {state for _kind, state, _result in ends} == {"succeeded"}, made.stand(ids)
            fault(made.fleet, list(on.values()), "slow", on=False)
            made.check_hosts(before, {name: RESTARTS.get(kind, 0) for kind, name in on.items()})
            made.check_rows(ids)
        _print_table(database, broker, killed_in, kills, operations, time.monotonic() - began)
        assert not todo, f"no worker was killed in {sorted(todo)}"


def _kill_through(made: Operating, ids: list[str], todo: set[Cell], killed_in: Counter[Cell]) -> int:
    """Kill the worker at each step that is new, until all operations have ended; gives how often."""
    kills = 0
    end = time.monotonic() + 900
    while unfinished := made.unfinished(ids):
        assert time.monotonic() < end, made.stand(ids)
        under_way = made.rows("kind, step, lease_id", unfinished)
        if not any(lease and (kind, step) in todo for kind, step, lease in under_way):
            time.sleep(0.02)
            continue
        made.kill("worker")
        kills += 1
        # What has a lease now was in the hands of the worker that is dead.
        struck = {(kind, step) for kind, step, lease in made.rows("kind, step, lease_id", unfinished) if lease}
        killed_in.update(struck)
        todo -= struck
        made.start("worker")
    return kills


def _print_table(
    database: str, broker: str, killed_in: Counter[Cell], kills: int, operations: int, took_s: float
) -> None:
    print(f"\n{database}, {broker}: {kills} kills, {operations} operations, {took_s:.0f} s")
    print("| kind | steps, and how often a worker was killed in them |\n| --- | --- |")
    for kind in sorted(KINDS):
        steps = [step.name for step in actions.get(kind).steps] + [TIDY]
        struck = ", ".join(f"{step} {killed_in[kind, step]}" for step in steps if killed_in[kind, step])
        print(f"| {kind} | {struck} |")
