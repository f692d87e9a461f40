"""Backups of FleetUI itself: who may have them made, what becomes of them at every target, and what stands against them."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installed
from django.db import connection
from django.test import Client

from fleetui.access.models import User
from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditEvent
from fleetui.audit.tasks import anchor
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from fleetui.core.keys import KEYS
from fleetui.notify.models import Channel, Delivery, Rule
from fleetui.transfer import snapshot
from nodes.tests.api.client import Api
from nodes.tests.make import NOW, make_node, make_pool, make_token, make_user, principal
from nodes.tests.pages import signed_in
from ops import wording
from ops.actions import backup as action
from ops.engine import claim_due, run_step, start_queued
from ops.models import BackupDrill, BackupPolicy, BackupRun, BackupTarget, Operation, Schedule
from ops.services.backups.drills import request_drill
from ops.services.backups.policies import delete_policy, set_policy
from ops.services.backups.runs import request_backup
from ops.services.backups.targets import opened, set_target
from ops.services.backups.watching import settle, watch
from ops.services.control import cancel
from ops.services.restored import end_what_was_under_way
from ops.services.schedule_runs import run_due
from ops.states import State
from tests.installation import environment, manage
from tests.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server

pytestmark = [pytest.mark.both_databases, pytest.mark.xdist_group("backups"), pytest.mark.django_db(transaction=True)]


class Killed(BaseException):
    """The worker is gone: nothing that it would have done next happens."""


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path / "var"
    settings.DATA_DIR.mkdir()
    return tmp_path / "var"


@pytest.fixture
def local(transactional_db: None, tmp_path: Path) -> BackupTarget:
    (tmp_path / "kept").mkdir()
    place = {"path": str(tmp_path / "kept")}
    return set_target(name="disk", kind="local", settings=place, credentials={}, actor=SYSTEM, now=clock.now())


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def make_policy(target: BackupTarget | None, **over: Any) -> BackupPolicy:
    given: dict[str, Any] = {"name": "itself", "kind": "fleetui", "settings": {}, "keep": {}, "actor": SYSTEM}
    return set_policy(**{**given, "target": target, "now": clock.now(), **over})


def ask(policy: BackupPolicy) -> Operation:
    return request_backup(policy=policy, actor=SYSTEM, now=clock.now()).operations[0]


def step() -> bool:
    Operation.objects.filter(due_at__isnull=False).update(due_at=NOW)
    start_queued(clock.now())
    claimed = claim_due(clock.now())
    for one, lease in claimed:
        run_step(one, lease, clock.now())
    return bool(claimed)


def work(operation: Operation) -> Operation:
    while step():
        pass
    operation.refresh_from_db()
    settle(clock.now())
    return operation


def said(operation: Operation) -> str:
    return wording.result_sentence(operation.result, operation.result_params)


def left_in(data_dir: Path) -> list[str]:
    """Files below the data folder; the gate of its scratch folder is empty and stays."""
    return sorted(str(one.relative_to(data_dir)) for one in data_dir.rglob("*") if one.is_file() and one.name != "lock")


def files_of(target: BackupTarget) -> list[Path]:
    return [path for path in Path(target.settings["path"]).rglob("*") if path.is_file()]


class TestRights:
    def test_only_who_may_do_everything_everywhere_sets_it(self, local: BackupTarget) -> None:
        pool = make_pool("web")
        for who in (
            principal(make_user("ada", ("admin", pool))),
            principal(make_user("otto", "operator")),
            principal(make_user("alma", "auditor")),
        ):
            with pytest.raises(NotAllowed):
                make_policy(local, actor=who)
        make_policy(local, actor=principal(make_user("anna", "admin")))

    def test_a_token_that_is_cut_may_not(self, local: BackupTarget) -> None:
        anna = make_user("anna", "admin")
        body = {"name": "itself", "kind": "fleetui", "target": local.name}
        cut = Api(anna, token=make_token(anna, scopes=["backups.write", "backups.read"]))
        refused = cut.post("backups/policies/", body)
        assert refused.status_code == 403
        assert "holds everything" in refused.json()["detail"]
        assert Api(anna).post("backups/policies/", body).status_code == 201
        # Nor may it lead the backups elsewhere, or end them.
        policy, elsewhere = BackupPolicy.objects.get(), {"name": "disk", "kind": "local", "settings": local.settings}
        assert cut.put(f"backups/targets/{local.pk}/", elsewhere).status_code == 403
        assert cut.delete(f"backups/policies/{policy.pk}/").status_code == 403

    def test_who_sees_a_pool_alone_does_not_see_it(self, local: BackupTarget) -> None:
        policy = make_policy(local)
        vera = Api(make_user("vera", ("viewer", make_pool("web"))))
        assert vera.get("backups/policies/").json()["results"] == []
        assert vera.get(f"backups/policies/{policy.pk}/").status_code == 404
        olga = Api(make_user("olga", ("operator", make_pool("db"))))
        assert olga.post(f"backups/{policy.pk}/runs/", {}).status_code == 404

    def test_it_is_of_no_node_and_no_pool(self, local: BackupTarget) -> None:
        for field, value in (("node", make_node("web-1")), ("pool", make_pool("web"))):
            with pytest.raises(InvalidInput) as caught:
                make_policy(local, **{field: value})
            assert caught.value.field == field
        with pytest.raises(InvalidInput) as caught:
            make_policy(None)
        assert caught.value.field == "target"
        with pytest.raises(InvalidInput, match="gate"):
            make_policy(local, is_gate=True, prove_within_s=86_400)


def test_it_lies_at_the_target_whole_and_without_sessions(local: BackupTarget, data_dir: Path) -> None:
    client = signed_in(make_user("anna", "admin"))
    assert client.session.session_key
    anchor()
    policy = make_policy(local, keep={"daily": 7})
    operation = work(ask(policy))
    assert operation.state == State.SUCCEEDED, said(operation)
    assert (operation.subject, operation.node, operation.node_name) == ("installation", None, "FleetUI")
    run = BackupRun.objects.get()
    assert (run.state, run.source) == ("good", "FleetUI")
    policy.refresh_from_db()
    assert policy.last_good_at == run.ended_at
    path = Path(run.location)
    assert path.stat().st_mode & 0o077 == 0
    assert left_in(data_dir) == ["audit-anchor.jsonl"]
    with zipfile.ZipFile(path) as pack:
        manifest = json.loads(pack.read("backup.json"))
        names = set(pack.namelist())
        key = client.session.session_key.encode()
        assert not any(key in pack.read(name) for name in names)
    assert manifest["database"] == connection.vendor
    database = "db.sqlite3" if connection.vendor == "sqlite" else "database.pgdump"
    assert names == {"backup.json", "audit-anchor.jsonl", database}
    event = AuditEvent.objects.get(action="installation.backup")
    assert str(operation.pk) in event.after
    assert manifest["audit_seq"] >= event.seq


@pytest.mark.e2e
def test_what_a_policy_made_is_brought_up_and_does_not_take_itself_away(local: BackupTarget, tmp_path: Path) -> None:
    """In it, the operation that made it is at work, and what it wrote looks like the half of a run that was cut off."""
    make_policy(local)
    assert work(ask(BackupPolicy.objects.get())).state == State.SUCCEEDED
    (file,) = files_of(local)
    keys = {name: os.environ[name] for name in KEYS}
    with new_database() as told:
        said = manage(tmp_path / "elsewhere", "restore", str(file), **keys, **told)
        assert "The audit log is intact" in said.stdout, said.stderr
        assert "One operation that was under way then was ended" in said.stdout
        told |= {"DJANGO_SETTINGS_MODULE": "fleetui.settings"}
        there = environment(tmp_path / "elsewhere", **keys, **told)
        argv = [sys.executable, "-c", GOES_ON]
        ended = subprocess.run(argv, cwd=installed.BASE_DIR, env=there, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["cancelled", "failed"], ended.stderr
    assert files_of(local) == [file]


#: What the worker of the restored installation does.
GOES_ON = """
import django; django.setup()
from fleetui.core import clock
from ops.engine import claim_due, run_step
from ops.models import BackupRun, Operation
from ops.services.backups.watching import settle
for _ in range(5):
    Operation.objects.filter(due_at__isnull=False).update(due_at=clock.now(), lease_until=None)
    for one, lease in claim_due(clock.now()):
        run_step(one, lease, clock.now())
settle(clock.now())
print(Operation.objects.get().state, BackupRun.objects.get().state)
"""


@contextmanager
def new_database() -> Iterator[dict[str, str]]:
    """Where nothing is yet, on the kind of database that the tests run on."""
    if connection.vendor == "sqlite":
        yield {}
        return
    known, name = connection.settings_dict, f"restored_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield {"DATABASE_URL": f"postgres://{known['USER']}@{known['HOST']}:{known['PORT']}/{name}"}
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_it_lies_in_s3(local: BackupTarget, s3: S3Server, tmp_path: Path, data_dir: Path) -> None:
    place = {"endpoint": s3.endpoint, "bucket": BUCKET, "prefix": tmp_path.name.replace("_", "-")}
    keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    store = set_target(name="store", kind="s3", settings=place, credentials=keys, actor=SYSTEM, now=clock.now())
    operation = work(ask(make_policy(store)))
    assert operation.state == State.SUCCEEDED, said(operation)
    run = BackupRun.objects.get()
    content = b"".join(opened(store).read(run.key))
    with zipfile.ZipFile(io.BytesIO(content)) as pack:
        assert pack.testzip() is None
    drill = work(request_drill(policy=run.policy, actor=SYSTEM, now=clock.now()).operations[0])
    assert drill.result == "drill_opened", said(drill)
    assert left_in(data_dir) == []


def test_its_schedule_runs_it_and_silence_is_told_of(local: BackupTarget) -> None:
    Rule.objects.create(channel=Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a"))
    policy = make_policy(local, cron="0 2 * * *", overdue_after_s=3600, actor=principal(make_user("anna", "admin")))
    schedule = Schedule.objects.get()
    assert schedule.pool is None
    assert schedule.next_run_at
    run_due(schedule.next_run_at + timedelta(seconds=5))
    assert Operation.objects.get().subject == "installation"
    watch(clock.now() + timedelta(hours=2))
    assert "backup.overdue" in Delivery.objects.values_list("event", flat=True)
    with pytest.raises(Conflict, match="under way"):
        ask(policy)
    work(Operation.objects.get())
    delete_policy(policy=BackupPolicy.objects.get(), actor=SYSTEM)
    assert len(files_of(local)) == 1


def test_only_the_newest_ones_stay(local: BackupTarget) -> None:
    policy = make_policy(local, keep={"hourly": 1})
    for _ in range(3):
        assert work(ask(policy)).state == State.SUCCEEDED
    assert len(files_of(local)) == 1


def _raises_in_the_middle(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    real = snapshot._packed

    def cut(*given: Any) -> Iterator[bytes]:
        yield from real(*given)
        raise error

    monkeypatch.setattr(snapshot, "_packed", cut)


def test_killed_in_mid_stream_it_begins_anew(
    local: BackupTarget, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(make_policy(local))
    with monkeypatch.context() as patched:
        _raises_in_the_middle(patched, Killed())
        with pytest.raises(Killed):
            work(operation)
    assert BackupRun.objects.get().state == "running"
    Operation.objects.update(lease_until=NOW)
    assert work(operation).state == State.SUCCEEDED, said(operation)
    run = BackupRun.objects.get()
    assert (run.state, run.halves) == ("good", [])
    assert files_of(local) == [Path(run.location)]
    assert left_in(data_dir) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from ops.backups.scratch import folder
with folder(Path(sys.argv[1])) as place:
    (place / "copy.sqlite3").write_bytes(b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_worker_left_goes_also_when_it_is_cancelled(
    local: BackupTarget, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(make_policy(local))
    with monkeypatch.context() as patched:
        _raises_in_the_middle(patched, Killed())
        with pytest.raises(Killed):
            work(operation)
    subprocess.run([sys.executable, "-c", KILLED, str(data_dir / "scratch")], cwd=installed.BASE_DIR, check=False)
    assert len(left_in(data_dir)) == 1
    Operation.objects.update(lease_until=NOW)
    operation.refresh_from_db()
    cancel(operation=operation, actor=SYSTEM, now=clock.now())
    assert work(operation).state == State.CANCELLED
    assert BackupRun.objects.get().state == "failed"
    assert (left_in(data_dir), files_of(local)) == ([], [])


def test_a_cancel_in_mid_stream_ends_it(local: BackupTarget, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.engine import work as engine

    operation = ask(make_policy(local))
    real = snapshot._database

    def slow(place: Path, going_on: Callable[[], None]) -> Iterator[bytes]:
        yield from real(place, going_on)
        cancel(operation=operation, actor=SYSTEM, now=clock.now())
        going_on()

    monkeypatch.setattr(snapshot, "_database", slow)
    monkeypatch.setattr(engine, "LOOK_FOR_CANCEL_S", 0.0)
    assert work(operation).state == State.CANCELLED
    assert (left_in(data_dir), files_of(local)) == ([], [])


def test_what_fails_says_why_and_leaves_nothing(
    local: BackupTarget, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: (1000, 999, 1))
    policy = make_policy(local)
    if connection.vendor == "sqlite":
        monkeypatch.setattr("ops.backups.scratch.shutil.disk_usage", lambda _path: type("Disk", (), {"free": 1}))
        operation = work(ask(policy))
        assert operation.result == "own_no_room"
        assert "Make room there" in said(operation)
    else:
        monkeypatch.setenv("PATH", "/nowhere")
        operation = work(ask(policy))
        assert operation.result == "own_no_program"
        assert "pg_dump is not on the machine" in said(operation)
        assert operation.attempt == 1
    assert BackupRun.objects.get().state == "failed"
    assert (left_in(data_dir), files_of(local)) == ([], [])


@pytest.mark.skipif(connection.vendor != "sqlite", reason="of the copy of SQLite")
def test_a_writer_does_not_make_the_copy_begin_anew(local: BackupTarget, tmp_path: Path) -> None:
    from fleetui.transfer import sqlite

    calls = 0

    def writes() -> None:
        nonlocal calls
        calls += 1
        record_alone(Entry("system:fleetui", "installation.backup", "installation"))

    sqlite._PAGES_AT_ONCE, before = 5, sqlite._PAGES_AT_ONCE
    try:
        sqlite.copy_to(tmp_path / "copy", snapshot.LEFT_OUT, writes)
    finally:
        sqlite._PAGES_AT_ONCE = before
    with sqlite3.connect(tmp_path / "copy") as copy:
        pages = copy.execute("PRAGMA page_count").fetchone()[0]
        (events,) = copy.execute(f"SELECT count(*) FROM {AuditEvent._meta.db_table}").fetchone()
    assert calls <= pages / 5 + 50
    assert events < AuditEvent.objects.count()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == ["copy"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of pg_dump")
def test_no_password_stands_on_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from fleetui.transfer import postgresql

    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "a secret")
    monkeypatch.setenv("FLEETUI_SECRET_KEY", "another secret")
    argv, told = postgresql._command("pg_dump", ["--format=custom"])
    assert argv[0] == "pg_dump"
    assert "a secret" not in str(argv)
    assert told["PGPASSWORD"] == "a secret"
    assert "another secret" not in str(told)


class TestDrills:
    def test_a_drill_opens_it_with_the_keys_that_are_here(self, local: BackupTarget, data_dir: Path) -> None:
        policy = make_policy(local, prove_within_s=86_400)
        work(ask(policy))
        operation = work(request_drill(policy=policy, actor=SYSTEM, now=clock.now()).operations[0])
        assert operation.result == "drill_opened", said(operation)
        assert "FleetUI's present keys open it" in said(operation)
        drill = BackupDrill.objects.get()
        assert (drill.state, drill.proves) == ("good", "opened")
        assert drill.found["audit_seq"] > 0
        assert left_in(data_dir) == []

    def test_without_the_keys_it_is_not_proven(self, local: BackupTarget, settings: Any, data_dir: Path) -> None:
        policy = make_policy(local)
        work(ask(policy))
        settings.AUDIT_KEY = "55" * 32
        operation = work(request_drill(policy=policy, actor=SYSTEM, now=clock.now()).operations[0])
        assert operation.result == "drill_no_keys"
        assert "the audit key" in said(operation)
        assert left_in(data_dir) == []

    def test_what_was_changed_at_the_target_is_seen(self, local: BackupTarget) -> None:
        policy = make_policy(local)
        work(ask(policy))
        (path,) = files_of(local)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        operation = work(request_drill(policy=policy, actor=SYSTEM, now=clock.now()).operations[0])
        assert operation.result == "drill_other_bytes"


def test_what_was_under_way_does_not_go_on_after_a_restore(
    local: BackupTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the restored database has it, the backup that it comes from is a half one."""
    operation = ask(make_policy(local))
    with monkeypatch.context() as patched:
        patched.setattr(action, "read_back", _dies)
        with pytest.raises(Killed):
            work(operation)
    (whole,) = files_of(local)
    Operation.objects.update(lease_until=NOW)
    assert end_what_was_under_way(made_at=NOW, now=clock.now()) == 1
    assert work(operation).state == State.CANCELLED
    assert "restored from a backup" in said(operation)
    assert files_of(local) == [whole]
    assert BackupRun.objects.get().state == "failed"


def _dies(*_: Any) -> None:
    raise Killed


class TestPages:
    @pytest.fixture
    def client(self, transactional_db: None) -> Client:
        return signed_in(make_user("anna", "admin"))

    def test_it_is_set_on_its_form(self, client: Client, local: BackupTarget) -> None:
        form = client.get("/backups/-/add/?kind=fleetui").content.decode()
        assert "The key files are not in it" in form
        assert 'name="node"' not in form
        given = {
            "name": "itself",
            "target": "disk",
            "cron": "0 2 * * *",
            "zone": "UTC",
            "daily": "7",
            "overdue_after_h": "26",
        }
        answer = client.post("/backups/-/add/?kind=fleetui", given)
        policy = BackupPolicy.objects.get()
        assert answer.headers["Location"] == f"/backups/{policy.pk}/"
        page = client.get(f"/backups/{policy.pk}/").content.decode()
        assert "After the first good backup the steps stand here" in page
        assert str(installed.DATA_DIR / "keys") in page
        client.post(f"/backups/{policy.pk}/run/", {})
        operation = client.get(f"/operations/{Operation.objects.get().pk}/").content.decode()
        assert "FleetUI" in operation

    def test_whoever_may_not_is_not_offered_it(self, local: BackupTarget) -> None:
        policy = make_policy(local)
        user: User = make_user("ada", ("admin", make_pool("web")))
        make_policy(
            local, name="files", kind="path", settings={"paths": ["/etc"]}, node=make_node("w", pool=make_pool("x"))
        )
        client = signed_in(user)
        assert client.get("/backups/-/add/?kind=fleetui").status_code == 403
        assert client.get(f"/backups/{policy.pk}/").status_code == 404
        assert "kind=fleetui" not in client.get("/backups/").content.decode()
        watcher = signed_in(make_user("vera", "viewer"))
        assert watcher.get(f"/backups/{policy.pk}/").status_code == 200
        assert watcher.post(f"/backups/{policy.pk}/delete/", {}).status_code == 403


def test_memory_stays_flat(local: BackupTarget, tmp_path: Path) -> None:
    """What is held does not grow with the database: 48 MB that cannot be packed pass."""
    folder = tmp_path / "place"
    folder.mkdir()
    noise = (
        "randomblob(1000000)"
        if connection.vendor == "sqlite"
        else "convert_to(repeat(md5(random()::text), 31250), 'utf8')"
    )
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 48)"
    kind = "blob" if connection.vendor == "sqlite" else "bytea"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE heavy (x {kind})")
        cursor.execute(f"INSERT INTO heavy {many} SELECT {noise} FROM n")
    try:
        tracemalloc.start()
        passed = sum(len(piece) for piece in snapshot.pieces(folder, lambda: None))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE heavy")
    assert peak < 12_000_000
    assert connection.vendor != "sqlite" or passed > 48_000_000
