"""A whole installation is backed up and brought up again elsewhere, on SQLite and on PostgreSQL, and what is refused meanwhile."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.fleet import ROOT
from tests.installation import Installation, environment, installation, manage, manage_each
from tests.services import postgresql

pytestmark = [pytest.mark.e2e, pytest.mark.one_database, pytest.mark.xdist_group("restore")]
KEYS = {
    "FLEETUI_SECRET_KEY": "11" * 32,
    "FLEETUI_ENCRYPTION_KEYS": "22" * 32,
    "FLEETUI_TOKEN_PEPPERS": "33" * 32,
    "FLEETUI_AUDIT_KEY": "44" * 32,
}


class Place:
    """A data folder with a database of its own."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url
        folder.mkdir(exist_ok=True)

    @property
    def told(self) -> dict[str, str]:
        return {**KEYS, **({"DATABASE_URL": self.url} if self.url else {})}

    def manage(self, *words: str, **over: str) -> subprocess.CompletedProcess[str]:
        return manage(self.folder, *words, **{**self.told, **over})

    def each(self, *commands: list[str]) -> list[subprocess.CompletedProcess[str]]:
        return manage_each(self.folder, *commands, **self.told)

    def run(self, code: str, **over: str) -> subprocess.CompletedProcess[str]:
        told = environment(self.folder, **self.told, DJANGO_SETTINGS_MODULE="fleetui.settings", **over)
        argv = [sys.executable, "-c", f"import django; django.setup()\n{code}"]
        return subprocess.run(argv, cwd=ROOT, env=told, capture_output=True, text=True, timeout=120, check=False)

    def nodes(self) -> list[str]:
        names = "SELECT name FROM nodes_node ORDER BY name"
        if self.url:
            with psycopg.connect(self.url) as server:
                return [row[0] for row in server.execute(names)]
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as file:
            return [row[0] for row in file.execute(names)]


@dataclass(frozen=True)
class Places:
    """The installation that was backed up into `file`, another one that is a copy of it, and where nothing is yet."""

    original: Place
    first: Place
    second: Place
    file: Path


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url, psycopg.connect(url, autocommit=True) as made:
        made.execute("CREATE ROLE owner LOGIN PASSWORD 'a secret'")
        yield url


def new_database(server: str, name: str, like: str = "template1") -> str:
    """A database as docs/deploy.md has it: of a role that may only use what is its own, with an extension that is not its."""
    with psycopg.connect(server, autocommit=True) as made:
        made.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        made.execute(f"CREATE DATABASE {name} TEMPLATE {like} OWNER owner")
    if like == "template1":
        with psycopg.connect(server.replace("/postgres", f"/{name}"), autocommit=True) as database:
            database.execute("CREATE EXTENSION pg_trgm")
    return f"postgres://owner:a%20secret@127.0.0.1:{urlsplit(server).port}/{name}"


def on(database: str, *, other: bool = True) -> pytest.MarkDecorator:
    """On this database in each run, and on the other one in the long proofs."""
    rest = [pytest.param(one, marks=pytest.mark.soak) for one in ("sqlite", "postgresql") if one != database and other]
    return pytest.mark.parametrize("original", [database, *rest], indirect=True, scope="module")


@pytest.fixture(scope="module")
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path]:
    folder = tmp_path_factory.mktemp("original")
    is_sqlite = request.param == "sqlite"
    place = Place(folder / "var", "" if is_sqlite else new_database(request.getfixturevalue("server"), "original"))
    made, filled, backed_up = place.each(["migrate"], python(FILL), ["backup", str(folder / "fleetui.zip")])
    ran(made)
    ran(filled)
    said = ran(backed_up)
    assert "read back" in said
    assert "The key files are not in it" in said
    return place, folder / "fleetui.zip"


@pytest.fixture
def places(request: pytest.FixtureRequest, original: tuple[Place, Path], tmp_path: Path) -> Places:
    place, file = original
    shutil.copytree(place.folder, tmp_path / "first")
    urls = ["", ""]
    if place.url:
        server = request.getfixturevalue("server")
        urls = [new_database(server, "first", like="original"), new_database(server, "second")]
    return Places(place, Place(tmp_path / "first", urls[0]), Place(tmp_path / "second", urls[1]), file)


FILL = """
from fleetui.access.principals import SYSTEM
from fleetui.audit.tasks import anchor
from fleetui.core import clock
from nodes.services.credentials import add_credential
from nodes.tests.make import make_facts, make_node, make_pool, make_token, make_user
from ops.services.request import request_operations
from django.contrib.sessions.models import Session
node = make_node("web-1", pool=make_pool("web"))
make_facts(node)
make_token(make_user("anna", "admin"))
add_credential(name="fleet", username="core", actor=SYSTEM, now=clock.now())
request_operations(nodes=[node], kind="refresh", actor=SYSTEM, now=clock.now())
Session.objects.create(session_key="a" * 32, session_data="x", expire_date=clock.now())
anchor()
"""
MORE = """
from fleetui.audit.tasks import anchor
from nodes.tests.make import make_node
from fleetui.audit.log import Entry, record_alone
make_node("web-2")
record_alone(Entry("user:anna", "nodes.add", "node:web-2"))
anchor()
"""
LOOK = """
from django.contrib.sessions.models import Session
from fleetui.core.crypto import unseal
from nodes.models import Credential, Node, Tally
from ops.models import Operation
print([one.name for one in Node.objects.search("web-1")], Session.objects.count())
print([one.state for one in Operation.objects.all()])
one = Credential.objects.get()
print("PRIVATE KEY" in unseal(one.sealed_private_key, place=one.seal_place))
print(("lifecycle", "active", 1) in Tally.objects.sums("kind", "value"))
"""


def python(code: str) -> list[str]:
    return ["shell", "--no-imports", "-c", code]


def ran(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("original", ["sqlite", "postgresql"], indirect=True, scope="module")
def test_it_is_brought_up_elsewhere_as_it_was(places: Places) -> None:
    file, second = places.file, places.second
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(file.parent.glob("*.partial"))
    assert [one.name for one in (places.original.folder / "scratch").rglob("*")] == ["lock"]
    said = ran(second.manage("restore", str(file)))
    assert "One operation that was under way then was ended" in said
    assert "The audit log is intact" in said
    looked = second.run(LOOK)
    assert ran(looked).splitlines() == ["['web-1'] 0", "['cancelled']", "True", "True"], looked.stderr
    verified, checked, added, again, once = second.each(
        ["audit", "verify"],
        ["migrate", "--check"],
        ["user", "add", "berta", "--role", "viewer"],
        ["restore", str(file)],
        ["backup", str(file)],
    )
    assert "provable up to event" in ran(verified)
    ran(checked)
    # A new row takes a key that no restored row has.
    ran(added)
    assert again.returncode == 1
    assert "The database is not empty" in again.stderr
    assert "--replace" in again.stderr
    assert "exists already" in once.stderr


@on("sqlite")
def test_what_happened_since_is_lost_only_when_that_is_said(places: Places) -> None:
    first, file = places.first, str(places.file)
    more, refused = first.each(python(MORE), ["restore", file])
    ran(more)
    assert refused.returncode == 1
    assert first.nodes() == ["web-1", "web-2"]
    restored, verified = first.each(["restore", "--replace", file], ["audit", "verify"])
    assert "audit events happened after it and are lost" in ran(restored)
    assert "intact" in ran(verified)
    assert first.nodes() == ["web-1"]
    assert len(list(first.folder.glob("audit-anchor.jsonl.before-*"))) == 1


@on("sqlite")
def test_what_cannot_be_restored_changes_nothing(places: Places, tmp_path: Path) -> None:
    first, file = places.first, places.file
    damaged, cut, other, newer = (tmp_path / f"{name}.zip" for name in ("damaged", "cut", "other", "newer"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(bytes(content))
    cut.write_bytes(file.read_bytes()[:-300])
    with zipfile.ZipFile(file) as pack, zipfile.ZipFile(newer, "w") as made:
        manifest = json.loads(pack.read("backup.json"))
        manifest["migrations"].append("nodes.9999_of_the_future")
        for name in pack.namelist():
            made.writestr(name, json.dumps(manifest) if name == "backup.json" else pack.read(name))
    refused = {
        damaged: "damaged",
        cut: "damaged",
        other: "Use `manage.py import`",
        newer: "made by a newer FleetUI",
        tmp_path / "none.zip": "There is no file",
    }
    exported, *found = first.each(["export", str(other)], *(["restore", "--replace", str(one)] for one in refused))
    ran(exported)
    assert [word for word, one in zip(refused.values(), found, strict=True) if word not in one.stderr] == []
    for key in ("FLEETUI_ENCRYPTION_KEYS", "FLEETUI_TOKEN_PEPPERS", "FLEETUI_AUDIT_KEY"):
        missing = first.manage("restore", "--replace", str(file), **{key: "55" * 32})
        assert "Keys are missing that the backup needs" in missing.stderr
    assert first.nodes() == ["web-1"]
    if first.url:
        sqlite = manage(tmp_path / "elsewhere", "restore", str(file), **KEYS)
        assert "The backup is of postgresql, and DATABASE_URL names sqlite" in sqlite.stderr


ALIVE = """
from fleetui.core import clock
from fleetui.core.models import Heartbeat
Heartbeat.objects.create(kind="worker", hostname="here", pid=1, started_at=clock.now(), seen_at=clock.now())
"""
KILLED = """
import os, signal
from pathlib import Path
from fleetui.transfer import postgresql, restore, sqlite
from fleetui.transfer.contents import Contents
real = Contents.pieces
checked = []
def pieces(self, name):
    whole = list(real(self, name))
    if name == self.database:
        checked.append(name)
    if len(checked) > 1 and name == self.database:
        yield whole[0][: len(whole[0]) // 2]
        import time; time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    yield from whole
Contents.pieces = pieces
restore.restore_from(Path(os.environ["FILE"]), replace=True, say=lambda text: print(text, flush=True))
"""


@on("postgresql")
def test_killed_in_the_middle_the_old_database_is_there(places: Places) -> None:
    first, file = places.first, str(places.file)
    ran(first.run(MORE))
    done = first.run(KILLED, FILE=file)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "Restoring the database" in done.stdout
    assert first.nodes() == ["web-1", "web-2"]
    ran(first.manage("restore", "--replace", file))
    assert first.nodes() == ["web-1"]
    assert not list(first.folder.glob("*.restoring"))


@pytest.mark.soak
@on("postgresql")
def test_a_backup_is_of_one_moment_while_others_write(places: Places, tmp_path: Path) -> None:
    writing = (
        "from fleetui.audit.log import Entry, record_alone\n"
        "for _ in range(400): record_alone(Entry('user:a', 'nodes.add', 'node:x'))"
    )
    writer = threading.Thread(target=places.first.run, args=(writing,))
    writer.start()
    ran(places.first.manage("backup", str(tmp_path / "fleetui.zip")))
    writer.join()
    assert "The audit log is intact" in ran(places.second.manage("restore", str(tmp_path / "fleetui.zip")))


@on("postgresql", other=False)
def test_postgresql_without_its_programs_says_so(places: Places, tmp_path: Path) -> None:
    refused = places.first.manage("backup", str(tmp_path / "x.zip"), PATH=str(tmp_path))
    assert refused.returncode == 1
    assert "pg_dump is not on this machine. Install the client programs" in refused.stderr
    assert not list(tmp_path.glob("x.zip*"))


@pytest.mark.soak
@on("sqlite", other=False)
def test_a_database_that_is_broken_is_replaced(places: Places) -> None:
    first, file = places.first, str(places.file)
    (first.folder / "db.sqlite3").write_bytes(b"not a database at all" * 1000)
    assert "it cannot be read" in first.manage("restore", file).stderr
    ran(first.manage("restore", "--replace", file))
    assert first.nodes() == ["web-1"]


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_runs_backs_itself_up_and_runs_elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """All of it by the API and the one command: policy, run, drill, and another installation that knows the same token."""
    told: dict[str, Any] = {}
    there: dict[str, Any] = {}
    if kind == "postgresql":
        server = request.getfixturevalue("server")
        told, there = ({**KEYS, "DATABASE_URL": new_database(server, name)} for name in ("runs", "elsewhere"))
    (tmp_path / "kept").mkdir()
    target = {"name": "disk", "kind": "local", "settings": {"path": str(tmp_path / "kept")}}
    policy = {"name": "itself", "kind": "fleetui", "target": "disk", "cron": "0 2 * * *"}
    with installation(tmp_path / "var", **told) as running:
        made = manage(running.folder, "token", "create", "--user", "admin", "--scope", "admin", "--days", "1", **told)
        token = re.findall(r"fleetui_\S+", made.stdout)[0]
        post(running, token, "backups/targets/", target)
        added = post(running, token, "backups/policies/", policy)["id"]
        ends = {}
        for what in ("runs", "drills"):
            asked = post(running, token, f"backups/{added}/{what}/", {})["operations"][0]["id"]
            ends[what] = ended(running, token, asked)
        assert ends == {"runs": "backed_up", "drills": "drill_opened"}
        run = runs_of(running, token, added)[0]
        file = Path(run["location"])
        refused = manage(running.folder, "restore", "--replace", str(file), **told)
        assert refused.returncode == 1
        assert "FleetUI runs on this database" in refused.stderr
        assert [one["id"] for one in running.get("/api/v1/backups/policies/", token)["results"]] == [added]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == run["sha256"]
    if kind == "sqlite":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        shutil.copytree(tmp_path / "var" / "keys", tmp_path / "elsewhere" / "keys")
    ran(manage(tmp_path / "elsewhere", "restore", str(file), **there))
    with installation(tmp_path / "elsewhere", **there) as running:
        (found,) = running.get("/api/v1/backups/policies/", token)["results"]
        assert (found["name"], found["cron"]) == ("itself", "0 2 * * *")
        # There it was still at work, and is ended by the first worker that comes.
        assert ended(running, token, run["operation_id"]) == "cancelled"
        running.wait_for(lambda: not any(one["state"] == "running" for one in runs_of(running, token, added)))
        asked = post(running, token, f"backups/{added}/runs/", {})["operations"][0]["id"]
        assert ended(running, token, asked) == "backed_up"
    assert len([path for path in (tmp_path / "kept").rglob("*") if path.is_file()]) == 2
    assert file.exists()


def runs_of(running: Installation, token: str, policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.get(f"/api/v1/backups/{policy}/runs/", token)["results"]
    return found


def post(running: Installation, token: str, path: str, body: Mapping[str, object]) -> Any:
    given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{running.url}/api/v1/{path}", json.dumps(body).encode(), given)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def ended(running: Installation, token: str, operation: str) -> str:
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(running.get(f"/api/v1/operations/{operation}/", token))
        return bool(found["ended_at"])

    running.wait_for(is_over, 120)
    return str(found["result"])


@on("sqlite", other=False)
def test_it_is_refused_while_others_use_the_database(places: Places) -> None:
    first, file = places.first, str(places.file)
    alive, refused = first.each(python(ALIVE), ["restore", "--replace", file])
    ran(alive)
    assert "FleetUI runs on this database: worker on here" in refused.stderr
    # Whatever else reads it is seen by the journal that it has.
    with closing(sqlite3.connect(first.folder / "db.sqlite3")) as other:
        other.execute("DELETE FROM core_heartbeat")
        other.commit()
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM nodes_node").fetchone()
        assert "Another process has" in first.manage("restore", "--replace", file).stderr
    ran(first.manage("restore", "--replace", file))
