"""What the engine of operations costs: operations per second with steps that do nothing, and its own time per step.

Ours is the product's worker with its broker and database: tick, claim, message, lease, log, record, audit event. Against
it, in the same worker over the same broker: one bare Celery task per step, which does nothing and writes nothing. The
time per step is taken while 10,000 operations wait, of which some are due every second, beside no finished operations and
beside a million. SQLite goes with the folder as broker, PostgreSQL with Redis, as they are installed.
Run from the project root: python -m bench.engine [--databases sqlite,postgresql] [--finished 1000000] [--markdown]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import machine
from bench.engine_worker import KIND, STEPS, WAITS_S, register

DATABASES = ("sqlite", "postgresql")
OPERATIONS, WAITING, FINISHED, THREADS = 400, 10_000, 1_000_000, 24
#: So many start with each tick while the time per step is taken: far less than the worker can do.
PACED, PACED_TICKS = 8, 20
ROUND_TIMEOUT_S = 300.0
#: The engine must not cost more beside a million finished operations; this much is noise.
AIM_GROWTH = 1.2


@dataclass(frozen=True)
class Figure:
    """One measurement beside so many finished operations. Rates are per second, times in milliseconds."""

    database: str
    broker: str
    finished: int
    operations_per_s: float
    steps_per_s: float
    bare_per_s: float
    cpu_ms: float
    bare_cpu_ms: float
    step_ms: float
    step_p95_ms: float
    start_ms: float
    tick_ms: float


def main() -> None:
    arguments = _arguments()
    if arguments.inside:
        for figure in _inside(arguments.inside, arguments):
            print(json.dumps(asdict(figure)), flush=True)
        return
    if arguments.profile:
        _profiled(arguments)
        return
    figures = [figure for name in arguments.databases.split(",") for figure in _measured(name, arguments)]
    if arguments.markdown:
        print(machine.described())
        print(f"\nCommand: `python -m bench.engine {' '.join(sys.argv[1:])}`\n")
    print(_table(figures) if arguments.markdown else "\n".join(map(_line, figures)))
    print("\n" + "\n".join(_verdicts(figures)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", default=",".join(DATABASES))
    parser.add_argument("--operations", type=int, default=OPERATIONS, help="operations of a round, five steps each")
    parser.add_argument("--waiting", type=int, default=WAITING, help="operations that wait meanwhile")
    parser.add_argument("--finished", type=int, default=FINISHED, help="finished operations of the second round")
    parser.add_argument("--markdown", action="store_true", help="a table for bench/README.md")
    parser.add_argument("--profile", action="store_true", help="run steps in this process, and print what they cost")
    parser.add_argument("--inside", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextlib.contextmanager
def _installation(database: str) -> Iterator[dict[str, str]]:
    """The environment of an installation with this database, and the broker that goes with it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        told = {**os.environ, **machine.environment(Path(folder)), "BENCH_DONE": str(Path(folder) / "done")}
        for name in ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL"):
            told.pop(name, None)
        if database == "postgresql":
            from tests import services

            told["DATABASE_URL"] = stack.enter_context(services.postgresql())
            told["CELERY_BROKER_URL"] = stack.enter_context(services.redis()) + "/0"
        yield told


def _measured(database: str, arguments: argparse.Namespace) -> Iterator[Figure]:
    """Figures as they come from a process that has this database."""
    with _installation(database) as told:
        argv = [sys.executable, "-m", "bench.engine", "--inside", database, *sys.argv[1:]]
        process = subprocess.Popen(argv, env=told, stdout=subprocess.PIPE, text=True, cwd=machine.ROOT)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield Figure(**json.loads(line))
            else:
                print(line, end="", file=sys.stderr)
        if process.wait():
            sys.exit(f"The measurement on {database} ended with status {process.returncode}.")


# the rows


def _prepare(arguments: argparse.Namespace) -> None:
    import logging

    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    from bench.fleet import fill
    from fleetui.celery import app
    from nodes.models import Node

    app.finalize()
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)
    register()
    rounds = arguments.operations + PACED * PACED_TICKS
    fill(arguments.waiting + rounds)
    Node.objects.update(lifecycle="active")
    _wait_for_an_hour(arguments.waiting)


def _rows(kind: str, count: int, skip: int, **over: Any) -> list[uuid.UUID]:
    """Operations that are as a request makes them, on nodes of their own; gives their ids."""
    from fleetui.core import clock
    from nodes.models import Node
    from ops import actions
    from ops.models import Operation, OperationRequest

    now = clock.now()
    request = OperationRequest.objects.create(kind=kind, requester="user:bench", reason="bench", requested_at=now)
    nodes = Node.objects.order_by("name").select_related("pool__cluster")[skip : skip + count]
    rows = [
        Operation(
            request=request,
            number=number,
            kind=kind,
            subject=f"node:{node.pk}",
            node=node,
            node_name=node.name,
            generation=node.generation,
            pool=node.pool,
            pool_name=node.pool.name if node.pool else "",
            cluster_name=node.pool.cluster.name if node.pool and node.pool.cluster else "",
            step=actions.get(kind).steps[0].name,
            attempt=1,
            deadline=now + timedelta(days=7),
            created_at=now,
            **{name: value(number) if callable(value) else value for name, value in over.items()},
        )
        for number, node in enumerate(nodes)
    ]
    Operation.objects.bulk_create(rows, batch_size=500)
    return [row.pk for row in rows]


def _wait_for_an_hour(count: int) -> None:
    """Operations that wait and become due all through the hour."""
    from fleetui.core import clock
    from ops.models import Limit, Operation

    now = clock.now()

    def due_at(number: int) -> Any:
        return now + timedelta(seconds=WAITS_S * (number + 1) / count)

    _rows(f"{KIND}_waits", count, 0, state="waiting", due_at=due_at, wait_reason="turn", wait_since=now)
    # One of them is disruptive, and no other disruptive one may run beside it.
    Operation.objects.filter(number=0).update(is_disruptive=True)
    Limit.objects.create(scope="overall", at_once=1, set_by="user:bench", reason="bench")


def _finish(count: int) -> None:
    """So many finished operations with a step and a line of log each, by statements of the database alone."""
    from django.db import connection

    from fleetui.core import clock
    from ops.models import OperationRequest

    request = OperationRequest.objects.create(kind=KIND, requester="user:past", requested_at=clock.now())
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        for statement in _past_statements(request.pk.hex if is_sqlite else str(request.pk), count, is_sqlite=is_sqlite):
            cursor.execute(statement)


def _past_statements(request: str, count: int, *, is_sqlite: bool) -> list[str]:
    numbers = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {count - 1})"
    number, some_id, at, no = (
        "n.n",
        "lower(hex(randomblob(16)))",
        "datetime('now', '-' || (n.n % 7000000) || ' seconds')",
        "0",
    )
    if not is_sqlite:
        numbers = f"WITH n AS (SELECT generate_series(0, {count - 1}) AS n)"
        some_id, at, no = "gen_random_uuid()", "now() - (n.n % 7000000) * interval '1 second'", "false"
    operations = f"""
        INSERT INTO ops_operation (id, request_id, number, kind, params, plan, memory, subject, node_name, generation,
            pool_name, cluster_name, is_control_plane, changes, is_disruptive, state, state_since, step, step_number,
            attempt, wait_reason, wait_params, deadline, cancel_requested_by, cancel_reason, result, result_params,
            created_at, started_at, ended_at, log_seq, log_bytes, node_id, pool_id)
        {numbers}
        SELECT {some_id}, '{request}', {number}, '{KIND}', '{{}}', '{{}}', '{{"boot_id": "x"}}', 'node:past', 'past', 1,
            'past', '', {no}, {"1" if is_sqlite else "true"}, {no}, CASE WHEN n.n % 20 = 0 THEN 'failed' ELSE 'succeeded' END,
            {at}, 'noop4', 4, 1, '', '{{}}', {at}, '', '', 'done', '{{}}', {at}, {at}, {at}, 1, 10,
            (SELECT id FROM nodes_node ORDER BY name LIMIT 1), (SELECT id FROM nodes_pool ORDER BY name LIMIT 1)
        FROM n"""
    steps = f"""
        INSERT INTO ops_steprun (operation_id, number, name, attempt, outcome, reason, params, started_at, ended_at)
        SELECT id, 4, 'noop4', 1, 'done', '', '{{}}', started_at, ended_at FROM ops_operation WHERE request_id = '{request}'"""
    lines = f"""
        INSERT INTO ops_logline (operation_id, seq, at, step, stream, text, params)
        SELECT id, 1, started_at, 'noop4', 'note', 'step_started', '{{}}' FROM ops_operation WHERE request_id = '{request}'"""
    return [operations, steps, lines, "ANALYZE" if is_sqlite else "VACUUM ANALYZE"]


# the rounds


def _inside(database: str, arguments: argparse.Namespace) -> Iterator[Figure]:
    _prepare(arguments)
    argv = ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "bench.engine_worker", str(THREADS)]
    for finished in dict.fromkeys((0, arguments.finished)):
        if finished:
            _finish(finished)
        worker = subprocess.Popen(argv, env=os.environ, cwd=machine.ROOT)
        try:
            _bare(THREADS)
            yield _figure(database, finished, worker.pid, arguments)
        finally:
            worker.terminate()
            worker.wait(40)
        _forget_round()


def _figure(database: str, finished: int, pid: int, arguments: argparse.Namespace) -> Figure:
    count, steps = arguments.operations, arguments.operations * STEPS
    cpu_s = machine.cpu_s(pid)
    bare_s = _bare(count)
    bare_cpu_s = machine.cpu_s(pid) - cpu_s
    cpu_s = machine.cpu_s(pid)
    round_s = _round(count, arguments.waiting)
    round_cpu_s = machine.cpu_s(pid) - cpu_s
    ticks_ms = _tick_ms(arguments.waiting + count)
    starts_ms, steps_ms = _paced(arguments.waiting + count)
    return Figure(
        database,
        "folder" if database == "sqlite" else "Redis",
        finished,
        operations_per_s=count / round_s,
        steps_per_s=steps / round_s,
        bare_per_s=steps / bare_s,
        cpu_ms=round_cpu_s * 1000 / steps,
        bare_cpu_ms=bare_cpu_s * 1000 / steps,
        step_ms=statistics.median(steps_ms),
        step_p95_ms=statistics.quantiles(steps_ms, n=20)[-1],
        start_ms=statistics.median(starts_ms),
        tick_ms=statistics.median(ticks_ms),
    )


def _bare(chains: int) -> float:
    """One bare task per step, each sends the next as our steps follow each other; seconds until all chains have ended."""
    from fleetui.celery import app

    done = Path(os.environ["BENCH_DONE"])
    done.unlink(missing_ok=True)
    began = time.perf_counter()
    for _chain in range(chains):
        app.send_task("bench.bare", (STEPS,))
    _until(lambda: done.exists() and done.stat().st_size >= chains, "bare tasks")
    return time.perf_counter() - began


def _round(count: int, skip: int) -> float:
    """So many operations queued at once; seconds until all have succeeded."""
    from ops.models import Operation

    ids = _rows(KIND, count, skip, state="queued", wait_reason="turn")
    began = time.perf_counter()
    ended = Operation.objects.filter(request=Operation.objects.get(pk=ids[0]).request_id, state="succeeded")
    _ticking(lambda: ended.count() == count)
    return time.perf_counter() - began


def _paced(skip: int) -> tuple[list[float], list[float]]:
    """A few operations with each tick: milliseconds from the start to the first step, and from each step to the next."""
    from fleetui.core import clock
    from ops.models import Operation, StepRun
    from ops.tasks import tick

    made: list[uuid.UUID] = []
    for number in range(PACED_TICKS):
        made += _rows(KIND, PACED, skip + number * PACED, state="queued", wait_reason="turn")
        tick.delay()
        time.sleep(1.0)
    _ticking(lambda: not Operation.objects.filter(pk__in=made).exclude(state="succeeded").exists())
    starts_ms, steps_ms = [], []
    started = dict(Operation.objects.filter(pk__in=made).values_list("pk", "started_at"))
    runs = StepRun.objects.filter(operation__in=made).order_by("operation", "number")
    before = None
    for operation, at in runs.values_list("operation", "started_at"):
        if before is None or before[0] != operation:
            starts_ms.append((at - started[operation]) / timedelta(milliseconds=1))
        else:
            steps_ms.append((at - before[1]) / timedelta(milliseconds=1))
        before = (operation, at)
    assert clock.now() > max(at for at in started.values() if at)
    return starts_ms, steps_ms


def _tick_ms(skip: int) -> list[float]:
    """What a tick costs when nothing is due and nothing has its turn: beside all that waits, some more are queued."""
    from fleetui.core import clock
    from ops.engine import claim_due, start_queued
    from ops.models import Operation
    from ops.services.expire import expire_untouched

    queued = _rows(KIND, PACED * PACED_TICKS, skip, state="queued", is_disruptive=True, wait_reason="turn")
    took = []
    # Yesterday nothing was due.
    now = clock.now() - timedelta(days=1)
    for _tick in range(30):
        began = time.perf_counter()
        expire_untouched(now)
        start_queued(now)
        assert not claim_due(now)
        took.append((time.perf_counter() - began) * 1000)
    Operation.objects.filter(pk__in=queued).delete()
    return took


def _ticking(is_over: Callable[[], bool]) -> None:
    """A tick a second, as beat sends them, until it is so."""
    from ops.tasks import tick

    next_s = 0.0

    def over() -> bool:
        nonlocal next_s
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + 1.0
            tick.apply_async(expires=3)
        return is_over()

    _until(over, "operations")


def _until(is_so: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + ROUND_TIMEOUT_S
    while not is_so():
        if time.monotonic() > until_s:
            sys.exit(f"The {what} did not end within {ROUND_TIMEOUT_S:g} s.")
        time.sleep(0.05)


def _forget_round() -> None:
    """The next round uses the same nodes."""
    from ops.models import OperationRequest

    OperationRequest.objects.filter(kind=KIND, requester="user:bench").delete()


def _profiled(arguments: argparse.Namespace) -> None:
    """Steps one after another in this process, with the statements of one operation and where Python spends its time."""
    import cProfile
    import pstats

    for database in arguments.databases.split(","):
        with _installation(database) as told:
            os.environ.update(told)
            if "DATABASE_URL" not in told:
                os.environ.pop("DATABASE_URL", None)
            _prepare(arguments)
            ids = _rows(KIND, arguments.operations, arguments.waiting, state="queued", wait_reason="turn")
            _print_statements(ids.pop())
            profile = cProfile.Profile()
            began = time.perf_counter()
            profile.runcall(_work_here)
            took_ms = (time.perf_counter() - began) * 1000 / (len(ids) * STEPS)
            print(f"{database}: {took_ms:.2f} ms per step in one process, with the profiler")
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


def _print_statements(first: uuid.UUID) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from fleetui.core import clock
    from ops.engine import claim_due, run_step
    from ops.models import Operation

    Operation.objects.filter(pk=first).update(state="running", due_at=clock.now(), started_at=clock.now())
    for number in range(STEPS):
        with CaptureQueriesContext(
            connection,
        ) as seen:
            ((operation, lease),) = claim_due(clock.now(), only=first)
            run_step(operation, lease, clock.now())
        print(f"step {number}: {len(seen)} statements")
        if number in (0, STEPS - 1):
            print("\n".join(f"  {one['time']} {one['sql'][:150]}" for one in seen.captured_queries))


def _work_here() -> None:
    from fleetui.core import clock
    from ops.engine import claim_due, run_step, start_queued

    while True:
        start_queued(clock.now())
        claimed = claim_due(clock.now())
        if not claimed:
            return
        for one, claim in claimed:
            lease, is_ours = claim, False
            while run_step(one, lease, clock.now(), is_ours=is_ours):
                following = claim_due(clock.now(), only=one)
                if not following:
                    break
                lease, is_ours = following[0][1], True


# what is printed


def _line(one: Figure) -> str:
    return (
        f"{one.database} with {one.broker}, {one.finished:,} finished: {one.operations_per_s:.0f} operations/s,"
        f" {one.steps_per_s:.0f} steps/s ({one.bare_per_s / one.steps_per_s:.1f} x slower than {one.bare_per_s:.0f} bare tasks/s),"
        f" {one.cpu_ms:.2f} ms of CPU per step (bare {one.bare_cpu_ms:.2f}); a step takes {one.step_ms:.1f} ms"
        f" (95 %: {one.step_p95_ms:.1f}), a start {one.start_ms:.0f} ms, a tick {one.tick_ms:.1f} ms"
    )


def _table(figures: list[Figure]) -> str:
    rows = [
        "| database, broker | finished | operations/s | steps/s | bare tasks/s | steps to bare tasks | CPU ms per step"
        " | CPU ms per bare task | step ms | step 95 % ms | start ms | tick ms | step against none finished |",
        "| --- " * 13 + "|",
    ]
    for one in figures:
        growth = f"{one.step_ms / _first(figures, one).step_ms:.2f} x" if one.finished else ""
        rows.append(
            f"| {one.database}, {one.broker} | {one.finished:,} | {one.operations_per_s:.0f} | {one.steps_per_s:.0f}"
            f" | {one.bare_per_s:.0f} | 1 : {one.bare_per_s / one.steps_per_s:.1f} | {one.cpu_ms:.2f} | {one.bare_cpu_ms:.2f}"
            f" | {one.step_ms:.1f} | {one.step_p95_ms:.1f} | {one.start_ms:.0f} | {one.tick_ms:.1f} | {growth} |"
        )
    return "\n".join(rows)


def _first(figures: list[Figure], one: Figure) -> Figure:
    return next(other for other in figures if other.database == one.database)


def _verdicts(figures: list[Figure]) -> list[str]:
    found = []
    for one in figures:
        if not one.finished:
            continue
        before = _first(figures, one)
        for what, grown in (
            ("CPU per step", one.cpu_ms / before.cpu_ms),
            ("time per step", one.step_ms / before.step_ms),
            ("time of a tick", one.tick_ms / before.tick_ms),
        ):
            verdict = "met" if grown <= AIM_GROWTH else "MISSED"
            found.append(
                f"- {one.database}, {what} beside {one.finished:,} finished: {grown:.2f} x (aim: {AIM_GROWTH} x), {verdict}"
            )
    return found


if __name__ == "__main__":
    main()
