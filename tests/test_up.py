"""`manage.py up` as a user meets it: first start, second start, every refusal, and an end without remains."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError

import manage as command_line
from fleetui.core.keys import KEYS
from fleetui.start.prepare import make_database
from tests.installation import installation, manage, processes_of
from tests.services import free_port

pytestmark = pytest.mark.e2e


def wait_none_left(folder: Path, within_s: float = 5) -> None:
    deadline = time.monotonic() + within_s
    while left := processes_of(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def polled(nodes: list[dict[str, object]]) -> int:
    return sum(1 for node in nodes if node["facts_at"])


def test_the_demo_starts_polls_stops_and_starts_again(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    with installation(folder, "--demo", as_new=True) as first:
        assert "simulated hosts listen" in first.output
        password = first.password
        token = first.token()
        first.wait_for(lambda: polled(first.get("/api/v1/nodes/?limit=100", token)["results"]) >= 40, 30)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "keys" / "encryption_keys").stat().st_mode) == 0o600
        ids = {node["id"] for node in first.get("/api/v1/nodes/?limit=100", token)["results"]}
        assert len(ids) == 66
        keys = {path.name: path.read_bytes() for path in (folder / "keys").iterdir()}
        assert first.stop() == 0
    assert "Traceback" not in first.output
    wait_none_left(folder)

    with installation(folder, "--demo") as second:
        assert password not in second.output
        assert "Sign in as before." in second.output
        assert "Preparing the database" not in second.output
        assert "Collecting static files" not in second.output
        assert {node["id"] for node in second.get("/api/v1/nodes/?limit=100", token)["results"]} == ids
        assert {path.name: path.read_bytes() for path in (folder / "keys").iterdir()} == keys
    wait_none_left(folder)


def test_it_is_started_twice_and_parts_of_it_are_killed(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    with installation(folder) as running:
        refused = manage(folder, "up", "--bind", f"127.0.0.1:{free_port()}")
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert (
            f"already runs on the data folder {folder} at {running.url}/ (process {running.process.pid})"
            in refused.stderr
        )
        assert running.status("/healthz") == 200

        worker = next(pid for pid in children_of(running.process.pid) if "embedded worker" in command_of(pid))
        line = command_of(worker)
        os.kill(worker, signal.SIGKILL)
        running.wait_for(lambda: "worker was ended by SIGKILL; it starts again in 1 s." in running.output, 10)
        running.wait_for(lambda: any(command_of(pid) == line for pid in children_of(running.process.pid)), 20)

        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_none_left(folder)
    key = folder / "keys" / "encryption_keys"
    content = key.read_text()
    key.unlink()
    refused = manage(folder, "up", "--bind", f"127.0.0.1:{free_port()}")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"The key file {key} is gone, and with it the sealed SSH keys.")
    assert not key.exists()
    key.write_text(content)
    with installation(folder, port=running.port) as again:
        assert again.status("/readyz") == 200
        assert "revoked" not in again.output
        # A long filter is a long address; gunicorn's own limit is half of it.
        assert again.status(f"/api/v1/nodes/?q={'x' * 8000}") == 401


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    file.touch(0o644)
    file.chmod(0o644)
    make_database(file)
    assert file.stat().st_mode & 0o777 == 0o600


def children_of(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        refused = manage(tmp_path / "var", "up", "--bind", f"127.0.0.1:{port}")
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"Port {port} on 127.0.0.1 is taken by another program. Choose another one: BIND=127.0.0.1:{port % 65535 + 1}"
    )
    assert not (tmp_path / "var").exists()


def test_an_unwritable_folder_is_one_line() -> None:
    refused = manage(Path("/proc/fleetui"), "up")
    assert refused.returncode == 1
    assert refused.stderr.startswith("The data folder /proc/fleetui cannot be written: ")
    assert refused.stderr.count("\n") == 1


def test_an_empty_database_of_a_server_gets_keys_and_a_used_one_does_not(postgresql_url: str, tmp_path: Path) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE never_used")
    url = postgresql_url.rpartition("/")[0] + "/never_used"
    with installation(tmp_path / "new", as_new=True, DATABASE_URL=url) as made:
        assert made.status("/healthz") == 200
        assert (made.folder / "keys" / "encryption_keys").exists()
    refused = manage(tmp_path / "other", "up", "--bind", f"127.0.0.1:{free_port()}", DATABASE_URL=url)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"The key file {tmp_path / 'other' / 'keys' / 'secret_key'} is gone")


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "db.sqlite3").write_text("something else, and long enough to be looked at" * 20)
    keys = {name: f"{number}a" * 32 for number, name in enumerate(KEYS, start=1)}
    for argv in (("up", "--bind", f"127.0.0.1:{free_port()}"), ("user", "list")):
        refused = manage(folder, *argv, **keys)
        assert refused.returncode == 1
        assert "file is not a database" in refused.stderr.splitlines()[-1]
        assert "Traceback" not in refused.stderr


def test_a_locked_database_is_told_as_that(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def locked(*_given: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.core.management.ManagementUtility.execute", locked)
    with pytest.raises(SystemExit):
        command_line.main()
    assert capsys.readouterr().err == (
        "The database cannot be used: database is locked. Another process writes to it just now; run this again in a moment.\n"
    )


def test_another_kind_of_database_is_one_line(tmp_path: Path) -> None:
    refused = manage(tmp_path / "var", "up", DATABASE_URL="mysql://user:secret@db/fleet")
    assert refused.returncode == 3
    assert refused.stderr.startswith("DATABASE_URL: FleetUI keeps its data in PostgreSQL")
    assert refused.stderr.count("\n") == 1
    assert "secret" not in refused.stderr


def test_another_kind_of_broker_is_one_line(tmp_path: Path) -> None:
    for argv in (("up",), ("check", "--deploy")):
        refused = manage(tmp_path / "var", *argv, CELERY_BROKER_URL="kafka://user:secret@broker:9092")
        assert refused.returncode == 3
        assert refused.stderr.startswith("CELERY_BROKER_URL: FleetUI sends its messages through Redis")
        assert refused.stderr.count("\n") == 1
        assert "secret" not in refused.stderr
