"""Worker and beat are really stopped and killed, embedded and scaled; what the Health page says is asked from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fleet import ROOT
from tests.installation import environment, manage
from tests.workers import Workers

pytestmark = pytest.mark.e2e
LEVELS = """
import django; django.setup()
import json
from fleetui.core.vitals import lines
print(json.dumps({line.key.partition(":")[0] if line.level == "ok" else line.key: line.level for line in lines()}))
"""
#: Signs are told to grow old sooner than in a minute, by making them older.
AGE = "UPDATE core_heartbeat SET seen_at = '2026-01-01 00:00:00+00:00' WHERE kind = ?"


def levels(workers: Workers) -> dict[str, str]:
    told = environment(workers.folder, **workers.over, DJANGO_SETTINGS_MODULE="fleetui.settings")
    done = subprocess.run(
        [sys.executable, "-c", LEVELS], cwd=ROOT, env=told, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def bad(workers: Workers) -> set[str]:
    return {key for key, level in levels(workers).items() if level == "bad"}


@pytest.fixture(params=["embedded", "scaled"])
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
    done = manage(made.folder, "migrate", "--verbosity", "0", **made.over)
    assert done.returncode == 0, done.stderr
    try:
        yield made
    finally:
        made.stop()


def signs(workers: Workers, kind: str) -> int:
    return int(workers.execute("SELECT count(*) FROM core_heartbeat WHERE kind = ?", [kind])[0][0])


def test_worker_and_beat_come_and_go(workers: Workers) -> None:
    assert bad(workers) == {"worker", "beat"}
    workers.start("worker", "beat")
    workers.wait_for(lambda: signs(workers, "worker") == signs(workers, "beat") == 1, 30, "signs of both")
    assert bad(workers) == set()
    found = workers.execute("SELECT queues FROM core_heartbeat WHERE kind = 'worker'")[0][0]
    assert (json.loads(found) if isinstance(found, str) else found) == ["ops", "poll"]

    # Stopped on purpose: its row goes with it.
    beat = workers.processes.pop("beat")
    beat.send_signal(signal.SIGTERM)
    beat.wait(20)
    assert signs(workers, "beat") == 0
    assert bad(workers) == {"beat"}

    # Killed: its row stays and grows old.
    workers.kill("worker")
    assert signs(workers, "worker") == 1
    workers.execute(AGE, ["worker"])
    assert bad(workers) == {"worker", "beat"}

    workers.start("worker", "beat")
    workers.wait_for(lambda: bad(workers) == set(), 40, "both are back")
