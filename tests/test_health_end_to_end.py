"""Worker and beat are really stopped and killed, embedded and scaled; what the Health page says is asked from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fleet import ROOT
from tests.installation import environment
from tests.workers import Workers

pytestmark = pytest.mark.e2e
#: For each line that it reads, from a process that is loaded once.
LEVELS = """
import django; django.setup()
import json, sys
from django.db import connections
from fleetui.core.vitals import lines
for _ in sys.stdin:
    print(json.dumps({line.key: line.level for line in lines()}), flush=True)
    connections.close_all()
"""
#: Signs are told to grow old sooner than in a minute, by making them older.
AGE = "UPDATE core_heartbeat SET seen_at = '2026-01-01 00:00:00+00:00' WHERE kind = ?"


class Asked:
    """What the Health page says of an installation, asked by a process of its own."""

    def __init__(self, workers: Workers) -> None:
        told = environment(workers.folder, **workers.over, DJANGO_SETTINGS_MODULE="fleetui.settings")
        self._process = subprocess.Popen(
            [sys.executable, "-c", LEVELS], cwd=ROOT, env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def bad(self) -> set[str]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        too_long = threading.Timer(60, self._process.kill)
        too_long.start()
        line = self._process.stdout.readline()
        too_long.cancel()
        assert line, f"it ended with {self._process.wait()}"
        levels: dict[str, str] = json.loads(line)
        return {key for key, level in levels.items() if level == "bad"}

    def end(self) -> None:
        try:
            self._process.communicate(timeout=20)
        finally:
            self._process.kill()


@pytest.fixture(params=["embedded", pytest.param("scaled", marks=pytest.mark.soak)])
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workers]:
    given = {}
    if request.param == "scaled":
        url = request.getfixturevalue("postgresql_url")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS health_end_to_end")
            connection.execute("CREATE DATABASE health_end_to_end")
        given["database_url"] = url.rpartition("/")[0] + "/health_end_to_end"
        given["broker_url"] = request.getfixturevalue("redis_url") + "/7"
    made = Workers(tmp_path, "127.67", **given)
    made.make_tables()
    try:
        yield made
    finally:
        made.stop()


def signs(workers: Workers, kind: str) -> int:
    return int(workers.execute("SELECT count(*) FROM core_heartbeat WHERE kind = ?", [kind])[0][0])


@pytest.fixture
def asked(workers: Workers) -> Iterator[Asked]:
    one = Asked(workers)
    yield one
    one.end()


def test_worker_and_beat_come_and_go(workers: Workers, asked: Asked) -> None:
    assert asked.bad() == {"worker", "beat"}
    workers.start("worker", "beat")
    workers.wait_for(lambda: signs(workers, "worker") == signs(workers, "beat") == 1, 30, "signs of both")
    assert asked.bad() == set()
    found = workers.execute("SELECT queues FROM core_heartbeat WHERE kind = 'worker'")[0][0]
    assert (json.loads(found) if isinstance(found, str) else found) == ["ops", "poll"]

    # Stopped on purpose: its row goes with it.
    beat = workers.processes.pop("beat")
    beat.send_signal(signal.SIGTERM)
    beat.wait(20)
    assert signs(workers, "beat") == 0
    assert asked.bad() == {"beat"}

    # Killed: its row stays and grows old.
    workers.kill("worker")
    assert signs(workers, "worker") == 1
    workers.execute(AGE, ["worker"])
    assert asked.bad() == {"worker", "beat"}

    workers.start("worker", "beat")
    workers.wait_for(lambda: asked.bad() == set(), 40, "both are back")
