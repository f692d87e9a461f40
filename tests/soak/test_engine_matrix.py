"""The whole matrix: a real worker is killed in each step of each kind, on each pair of database and broker.

Operations of all kinds run beside each other on simulated hosts, and a cluster, that answer slowly. The worker is killed as
soon as one of them is in a step in which none was killed before, and whatever else it had under way at that moment counts as
well. The table that is printed at the end belongs into docs/engine-proof.md.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import actions
from ops.actions.tidy import TIDY
from simfleet.control import send
from tests import services
from tests.conftest import missing
from tests.fleet import fault, simulated_fleet
from tests.operating import Operating
from tests.soak.matrix_kinds import CASES, Case, Cell
from tests.soak.matrix_parts import CLUSTER, CONTROL, DEPLOYMENTS, ISSUED, POLICIES, SPACE, WORKERS, Parts, parts

pytestmark = pytest.mark.soak
NODES = 240
NEWEST = "46.20261115.3.0"
QUICK = ("--reboot-seconds", "2", "--transaction-seconds", "1")
ROUNDS = 12
SLOW_S = 0.2
#: How long a kill waits for operations that are not at new steps yet, in the first rounds; then none that is over at once is missed.
PATIENCE_S = (1.0, 0.3)
#: Of each pool so many nodes take part.
OF_POOL = {"web": 56, "edge": 44, WORKERS: 44}
PAIRS = [(database, broker) for database in ("SQLite", "PostgreSQL") for broker in ("folder", "Redis")]


@contextlib.contextmanager
def installed(folder: Path, database: str, broker: str) -> Iterator[tuple[Operating, Parts]]:
    with contextlib.ExitStack() as stack:
        try:
            database_url = stack.enter_context(services.postgresql()) if database == "PostgreSQL" else ""
            broker_url = stack.enter_context(services.redis()) + "/4" if broker == "Redis" else ""
        except services.ServiceMissing as error:
            missing(str(error))
        var, hooks, kept = (folder / name for name in ("var", "hooks", "kept"))
        for one in (var, hooks, kept):
            one.mkdir()
        told = {
            "FLEETUI_OPERATION_LEASE_S": "12",
            "FLEETUI_PROVISIONERS_DIR": str(hooks),
            "FLEETUI_ALLOWED_HOSTS": "127.0.0.1",
        }
        made = Operating(var, "127.74", database_url=database_url, broker_url=broker_url, **told)
        stack.enter_context(simulated_fleet(made.fleet, NODES, net=made.net, options=QUICK))
        # Before the nodes are known: each of them has an update then.
        send(made.fleet, {"action": "publish", "version": NEWEST})
        made.prepare()
        made.start("worker", "stream", "beat")
        stack.callback(made.stop)
        made.wait_for(lambda: made.count("last_seen_at IS NOT NULL") == NODES, 240, "all nodes polled once")
        yield made, stack.enter_context(parts(made, hooks, kept))


@pytest.mark.parametrize(("database", "broker"), PAIRS)
def test_a_worker_may_be_killed_in_each_step_of_each_kind(database: str, broker: str, tmp_path: Path) -> None:
    with installed(tmp_path, database, broker) as (made, beside):
        made.ask([], [("overall", "", NODES), ("cluster", CLUSTER, NODES)])
        made.ask([], [("pool", pool, NODES) for pool in {host["pool"] for host in made.hosts().values()}])
        free = {pool: _nodes(made, pool, count) for pool, count in OF_POOL.items()}
        free |= {SPACE: list(DEPLOYMENTS), **{name: [name] * ROUNDS for name in (*POLICIES, ISSUED)}}
        # A control plane has few nodes, and each may be renewed again.
        free[CONTROL] = made.named(f"substr(name, 1, {len(CONTROL) + 1}) = '{CONTROL}-'", 2) * ROUNDS
        todo, killed_in, kills, operations = set[Cell](), Counter[Cell](), 0, 0
        todo.update(*(case.cells for case in CASES))
        drained: set[str] = set()
        began = time.monotonic()
        for number in range(ROUNDS):
            cases = [case for case in CASES if case.cells & todo]
            if not cases or any(len(free[pool]) < count for pool, count in Counter(case.on for case in cases).items()):
                break
            on = [(case, free[case.on].pop()) for case in cases]
            _prepare(made, beside, on)
            before = made.hosts()
            hosts = [name for _case, name in on if name in before]
            for name in hosts:
                send(made.fleet, {"action": "fault", "name": name, "kind": "slow", "on": True, "value": SLOW_S})
            ids = made.ask([(case.kind, [name], dict(case.params)) for case, name in on])
            operations += len(ids)
            kills += _kill_through(made, ids, todo, killed_in, dict(enumerate(PATIENCE_S)).get(number, 0))
            for one, (case, _name) in zip(ids, on, strict=True):
                assert made.rows("state", [one]) == [(case.ends,)], (case, made.stand([one]))
            fault(made.fleet, hosts, "slow", on=False)
            made.check_hosts(before, {name: case.restarts for case, name in on if name in before})
            made.check_rows(ids)
            drained |= {name for case, name in on if case.kind == "drain"}
            assert beside.shop.cordoned() == drained
            print(f"round {number}: {kills} kills, {time.monotonic() - began:.0f} s, to do: {sorted(todo)}")
        _print_table(database, broker, killed_in, kills, operations, time.monotonic() - began)
        assert not todo, f"no worker was killed in {sorted(todo)}"


def _nodes(made: Operating, pool: str, count: int) -> list[str]:
    update = "update_state = 'update_available' AND rollback IS NOT NULL"
    return made.named(f"{update} AND substr(name, 1, {len(pool) + 1}) = '{pool}-'", count)


def _prepare(made: Operating, beside: Parts, on: list[tuple[Case, str]]) -> None:
    """What has to be there before, one after the other."""
    for case, name in on:
        if case.kind == "certbot_renew":
            beside.serves = name
    for number in range(max(len(case.first) for case, _name in on)):
        todo = [(case.first[number], name) for case, name in on if len(case.first) > number]
        ids = made.ask([(kind, [name], dict(params)) for (kind, params), name in todo])
        made.finish(ids)
        assert {state for (state,) in made.rows("state", ids)} == {"succeeded"}, made.stand(ids)


def _held_by(kind: str) -> str:
    """Which process works on operations of this kind."""
    return "stream" if any(step.is_stream for step in actions.get(kind).steps) else "worker"


def _kill_through(made: Operating, ids: list[str], todo: set[Cell], killed_in: Counter[Cell], patience_s: float) -> int:
    """Kill the worker at steps that are new, until all operations have ended; gives how often."""
    kills, since = 0, 0.0
    end = time.monotonic() + 1200
    while unfinished := made.unfinished(ids):
        assert time.monotonic() < end, made.stand(unfinished)
        under_way = made.rows("kind, step, lease_id", unfinished)
        held = [(kind, step) for kind, step, lease in under_way if lease]
        new = [cell for cell in held if cell in todo]
        since = (since or time.monotonic()) if new else 0.0
        if not new or (len(new) < len(held) and time.monotonic() < since + patience_s):
            time.sleep(0.005)
            continue
        victim = _held_by(new[0][0])
        made.kill(victim)
        kills, since = kills + 1, 0.0
        # What has a lease now was in the hands of the worker that is dead. Nobody waits here until it has run out.
        under_way = made.rows("kind, step, lease_id", unfinished)
        for kind, step, lease in under_way:
            if lease and _held_by(kind) == victim:
                killed_in[kind, step] += 1
                todo.discard((kind, step))
                made.execute("UPDATE ops_operation SET lease_until = created_at WHERE lease_id = ?", [lease])
        made.start(victim)
    return kills


def _print_table(
    database: str, broker: str, killed_in: Counter[Cell], kills: int, operations: int, took_s: float
) -> None:
    print(f"\n{database}, {broker}: {kills} kills, {operations} operations, {took_s:.0f} s")
    print("| kind | steps, and how often a worker was killed in them |\n| --- | --- |")
    for kind in sorted(actions.kinds()):
        steps = [step.name for step in actions.get(kind).steps] + [TIDY]
        struck = ", ".join(f"{step} {killed_in[kind, step]}" for step in steps if killed_in[kind, step])
        print(f"| `{kind}` | {struck} |")
