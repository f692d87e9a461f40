"""Polling by real processes over real connections: what is killed, lost, repeated or locked costs time, never a node."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import services
from tests.conftest import missing
from tests.fleet import ROOT, fault, simulated_fleet
from tests.installation import environment
from tests.workers import Overlaps, Workers

pytestmark = pytest.mark.e2e
NODES = 30
LEASE_S = 20
#: The lease of a dead worker, the tick after it, and the poll, on a machine that has much else to do.
RECOVERS_WITHIN_S = LEASE_S + 60
#: Claims the due nodes and sends the message of the claim several times.
REPEAT = """
import django; django.setup()
import fleetui.celery
from fleetui.core import clock
from nodes.models import Node
from nodes.services.polling import claim_due
from nodes.tasks import poll_batch
Node.objects.update(poll_due_at=clock.now())
lease = claim_due(lane="live", now=clock.now())
assert lease
for _ in range(5):
    poll_batch.delay(str(lease))
"""


class Redis:
    """A Redis that can be stopped and started again on its port. It keeps nothing, like a broker that lost its disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, services.free_port()
        self._stack = contextlib.ExitStack()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        server = shutil.which("redis-server")
        if not server:
            missing("Redis is not installed. Install it: apt-get install redis-server")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        argv = ["setpriv", "--pdeathsig", "KILL", "--", str(server), *options, "--appendonly", "no"]
        self._stack.enter_context(services.running(argv, self.folder, self.port, stop=signal.SIGTERM))

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis = Redis(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """SQLite and the filesystem broker."""
    yield from _running(Workers(tmp_path_factory.mktemp("embedded"), "127.61", FLEETUI_POLL_LEASE_S=str(LEASE_S)))


@pytest.fixture(scope="module")
def scaled(postgresql_url: str, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """PostgreSQL and Redis."""
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE polling_end_to_end")
    url = postgresql_url.rpartition("/")[0] + "/polling_end_to_end"
    folder = tmp_path_factory.mktemp("scaled")
    told = {"FLEETUI_POLL_LEASE_S": str(LEASE_S)}
    yield from _running(Workers(folder, "127.62", database_url=url, broker_url=redis_server.url, **told))


def _running(workers: Workers) -> Iterator[Workers]:
    with simulated_fleet(workers.fleet, NODES, net=workers.net):
        workers.prepare()
        try:
            workers.start("worker", "beat")
            yield workers
        finally:
            workers.stop()


#: In each run on PostgreSQL and Redis; on SQLite and the folder, with which tests/test_up.py polls, in the long proofs.
@pytest.fixture(params=["scaled", pytest.param("embedded", marks=pytest.mark.soak)])
def workers(request: pytest.FixtureRequest) -> Workers:
    """Each way to run, with both processes at work and every node reachable."""
    chosen: Workers = request.getfixturevalue(request.param)
    return ready(chosen)


def ready(workers: Workers) -> Workers:
    for name in ("worker", "beat"):
        if name not in workers.processes:
            workers.start(name)
    workers.wait_for(lambda: workers.count("reachability = 'reachable'") == NODES, 90, "all nodes reachable")
    return workers


def no_lease_is_left(workers: Workers) -> None:
    """With beat gone, what is under way ends and nothing stays claimed."""
    workers.kill("beat")
    workers.wait_for(lambda: workers.count("poll_lease IS NOT NULL") == 0, RECOVERS_WITHIN_S, "every lease given back")


def test_all_nodes_become_reachable_and_no_lease_is_left(workers: Workers) -> None:
    with Overlaps(workers.net) as overlaps:
        workers.wait_all_polled(NODES)
    assert not overlaps.found
    assert overlaps.most_at_once > 1
    no_lease_is_left(workers)
    assert "Traceback" not in workers.log("worker")


def test_a_worker_killed_in_the_middle_of_a_batch(workers: Workers) -> None:
    names = [f"web-{number:02d}" for number in range(1, 6)]
    fault(workers.fleet, names, "slow", on=True)
    try:
        workers.wait_for(lambda: workers.count("poll_lease IS NOT NULL") >= 5, 60, "a batch under way")
        workers.kill("worker")
    finally:
        fault(workers.fleet, names, "slow", on=False)
    assert workers.count("poll_lease IS NOT NULL") >= 5
    with Overlaps(workers.net) as overlaps:
        workers.start("worker")
        workers.wait_all_polled(NODES, RECOVERS_WITHIN_S)
    assert not overlaps.found
    no_lease_is_left(workers)


@pytest.mark.soak
def test_a_killed_beat_stops_nothing_for_good(workers: Workers) -> None:
    no_lease_is_left(workers)
    workers.start("beat")
    workers.wait_all_polled(NODES)


def test_a_repeated_message_polls_nothing_twice(workers: Workers) -> None:
    names = [f"web-{number:02d}" for number in range(1, 6)]
    no_lease_is_left(workers)
    fault(workers.fleet, names, "slow", on=True)
    try:
        with Overlaps(workers.net) as overlaps:
            since = workers.now()
            told = environment(workers.folder, **workers.over, DJANGO_SETTINGS_MODULE="fleetui.settings")
            subprocess.run([sys.executable, "-c", REPEAT], cwd=ROOT, env=told, check=True, timeout=30)
            workers.wait_for(lambda: workers.seen_since(since) >= NODES, 60, "the batch stored")
    finally:
        fault(workers.fleet, names, "slow", on=False)
    assert overlaps.most_at_once > 1
    assert not overlaps.found
    assert workers.count("poll_lease IS NOT NULL") == 0


@pytest.mark.soak
def test_lost_messages_in_the_folder_cost_a_lease_at_most(embedded: Workers) -> None:
    workers = ready(embedded)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for message in (workers.folder / "broker").glob("*.msg"):
            message.unlink(missing_ok=True)
    workers.wait_all_polled(NODES, RECOVERS_WITHIN_S)


@pytest.mark.soak
def test_further_workers_share_the_folder_and_one_may_die(embedded: Workers) -> None:
    workers = ready(embedded)
    workers.start("poll-2", "poll-3")
    try:
        with Overlaps(workers.net) as overlaps:
            for _ in range(3):
                workers.wait_all_polled(NODES, 60)
            workers.kill("poll-3")
            workers.wait_all_polled(NODES, 60)
        assert overlaps.most_at_once > 1
        assert not overlaps.found
        assert "Traceback" not in workers.log("poll-2")
        signs = "SELECT pid FROM core_heartbeat WHERE kind = 'worker'"
        second = workers.processes["poll-2"].pid
        workers.wait_for(lambda: (second,) in workers.execute(signs), 60, "its sign of life")
    finally:
        workers.kill("poll-2")


@pytest.mark.soak
def test_ticks_that_piled_up_hold_nothing_up(embedded: Workers) -> None:
    workers = ready(embedded)
    workers.kill("worker")
    waiting = workers.folder / "broker"
    workers.wait_for(lambda: len(list(waiting.glob("*ops.msg"))) >= 12, 60, "ticks pile up")
    began = len(workers.log("worker"))
    workers.start("worker")
    workers.wait_all_polled(NODES, RECOVERS_WITHIN_S)
    assert "Traceback" not in workers.log("worker")[began:]


@pytest.mark.soak
def test_a_database_that_others_write_to_stops_no_poll(embedded: Workers) -> None:
    workers = ready(embedded)
    began = len(workers.log("worker"))
    ended = threading.Event()

    def write() -> None:
        """As heavy pages and imports do: the only writer's place is taken half of the time."""
        with contextlib.closing(
            sqlite3.connect(workers.folder / "db.sqlite3", timeout=30, isolation_level=None)
        ) as one:
            while not ended.wait(0.3):
                one.execute("BEGIN IMMEDIATE")
                one.execute("UPDATE nodes_node SET labels = labels WHERE name = 'web-01'")
                time.sleep(0.2)
                one.execute("COMMIT")

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        workers.wait_all_polled(NODES)
        workers.wait_all_polled(NODES)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    said = workers.log("worker")[began:]
    assert "Traceback" not in said


def test_redis_away_for_ten_seconds(scaled: Workers, redis_server: Redis) -> None:
    workers = ready(scaled)
    redis_server.stop()
    time.sleep(10)
    redis_server.start()
    workers.wait_all_polled(NODES, RECOVERS_WITHIN_S + 15)
    assert all(process.poll() is None for process in workers.processes.values())


def test_broken_database_connections(scaled: Workers) -> None:
    workers = ready(scaled)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        workers.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database() AND state <> 'idle'"
        )
        time.sleep(0.02)
    workers.wait_all_polled(NODES, RECOVERS_WITHIN_S)
    no_lease_is_left(workers)
