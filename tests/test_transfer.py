"""A whole installation moves from the database of the test run to SQLite and to PostgreSQL, and arrives as it was."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.transfer import rows
from fleetui.transfer.archive import opened
from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.rows import LEFT_OUT, telling, travelling
from nodes.services.credentials import add_credential
from nodes.tests.make import (
    make_config,
    make_event,
    make_facts,
    make_host_key,
    make_node,
    make_pool,
    make_token,
    make_user,
    make_version,
)
from tests.fleet import ROOT
from tests.installation import empty_database, environment, manage, manage_each

# One process makes the empty database that all of them begin with.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("transfer")]
KEYS = {
    "FLEETUI_SECRET_KEY": "11" * 32,
    "FLEETUI_ENCRYPTION_KEYS": "22" * 32,
    "FLEETUI_TOKEN_PEPPERS": "33" * 32,
    "FLEETUI_AUDIT_KEY": "44" * 32,
}


def parts_of(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as pack:
        manifest = json.loads(pack.read("manifest.json"))
    # Export and import are events themselves.
    return {part["model"]: part["sha256"] for part in manifest["parts"] if not part["model"].startswith("audit.")}


def events_of(path: Path) -> list[bytes]:
    with zipfile.ZipFile(path) as pack:
        return pack.read("rows/audit.auditevent.jsonl").splitlines()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    pool = make_pool("web")
    pool.intended_version = make_version(make_config("edge", pool), state="approved")
    pool.save()
    node = make_node("web-1", pool=pool, labels={"b": "ü", "a": "1"})
    make_facts(node)
    make_event(node)
    make_host_key(node, "pinned")
    make_token(make_user("anna", "admin"))
    add_credential(name="fleet", username="core", private_key=None, actor=SYSTEM, now=clock.now())
    path = tmp_path / "fleetui.zip"
    call_command("export", str(path), verbosity=0)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The data folder of an installation that is new."""
    (tmp_path / "target").mkdir()
    shutil.copy(empty_database(), tmp_path / "target")
    return tmp_path / "target"


def ran(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def same(archive: Path, folder: Path, **over: Any) -> None:
    again = folder / "again.zip"
    imported, verified, exported, second, added = manage_each(
        folder,
        ["import", str(archive)],
        ["audit", "verify"],
        ["export", str(again)],
        ["import", str(archive)],
        ["user", "add", "berta", "--role", "viewer"],
        **KEYS,
        **over,
    )
    ran(imported)
    assert "intact" in ran(verified)
    ran(exported)
    assert parts_of(again) == parts_of(archive)
    before, after = events_of(archive), events_of(again)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    assert second.returncode == 1
    assert "The database is not empty" in second.stderr
    # A new row takes a key that no imported row has.
    ran(added)


def test_into_sqlite(archive: Path, target: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    same(archive, target)


@pytest.mark.e2e
def test_into_postgresql(archive: Path, tmp_path: Path, postgresql_url: str) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    ran(manage(folder, "migrate", **KEYS, DATABASE_URL=postgresql_url))
    same(archive, folder, DATABASE_URL=postgresql_url)


@pytest.mark.one_database
def test_what_is_refused(archive: Path, target: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="exists already"):
        call_command("export", str(archive))
    other = manage(target, "import", str(archive), **{**KEYS, "FLEETUI_ENCRYPTION_KEYS": "55" * 32})
    assert "Keys are missing that the archive needs: the encryption key" in other.stderr
    for name, told in (("backup.json", "Use `manage.py restore`."), ("notes.txt", "no archive of `manage.py export`")):
        with zipfile.ZipFile(tmp_path / "other.zip", "w") as pack:
            pack.writestr(name, "{}")
        with pytest.raises(TransferRefused) as refused, opened(tmp_path / "other.zip"):
            pass
        assert told in f"{refused.value} {refused.value.mend}"
    cut = tmp_path / "cut.zip"
    cut.write_bytes(archive.read_bytes()[:-200])
    with sqlite3.connect(target / "db.sqlite3") as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'ops' ORDER BY id DESC LIMIT 1")
    damaged, older = manage_each(target, ["import", str(cut)], ["import", str(archive)], **KEYS)
    assert "is damaged" in damaged.stderr
    assert "of different versions" in older.stderr


def test_every_column_of_every_table_can_travel() -> None:
    for model in rows.travelling():
        for field in model._meta.concrete_fields:
            assert callable(rows._writer(field)), field
            assert callable(rows._reader(field)), field


def test_no_table_is_forgotten() -> None:
    """A new table travels, or stands in LEFT_OUT for a reason."""
    travels = set(travelling())
    stays = {model for model in apps.get_models(include_auto_created=True) if model not in travels}
    named = {model for model in stays if model._meta.label in LEFT_OUT}
    assert {model._meta.label for model in named} == LEFT_OUT
    links = {model._meta.label for model in stays - named}
    assert links == {"access.User_user_permissions", "auth.Group_permissions"}
    of_models = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    others = {name for name in connection.introspection.table_names() if not name.startswith("sqlite_")} - of_models
    # The index for searching is kept by triggers, as the tally is.
    assert {name for name in others if not name.startswith("nodes_search")} == {"django_migrations"}


def test_progress_of_a_long_table() -> None:
    said: list[str] = []
    assert list(telling(range(5), "t", said.append, of=5, every=2)) == [0, 1, 2, 3, 4]
    assert said == ["t: 2 of 5 rows ...", "t: 4 of 5 rows ..."]
    list(telling(range(2), "t", said.append, every=2))
    assert said[-1] == "t: 2 rows ..."


SEARCH = """
import django; django.setup()
from nodes.models import Node, Tally
print([node.name for node in Node.objects.search("web-1")], Tally.objects.sums("kind", "value"))
"""


@pytest.mark.soak
def test_what_triggers_keep_is_right_after_an_import(archive: Path, target: Path) -> None:
    ran(manage(target, "import", str(archive), **KEYS))
    told = environment(target, **KEYS, DJANGO_SETTINGS_MODULE="fleetui.settings")
    found = subprocess.run(
        [sys.executable, "-c", SEARCH], cwd=ROOT, env=told, capture_output=True, text=True, check=True
    )
    assert "['web-1']" in found.stdout
    assert "('lifecycle', 'active', 1)" in found.stdout


KILLED = """
import os, signal
import django; django.setup()
from pathlib import Path
from fleetui.transfer import load
load._require_whole = lambda: os.kill(os.getpid(), signal.SIGKILL)
load.import_from(Path(os.environ["ARCHIVE"]), say=print)
"""


@pytest.mark.soak
def test_an_import_that_is_killed_leaves_nothing(archive: Path, target: Path) -> None:
    told = environment(target, **KEYS, ARCHIVE=str(archive), DJANGO_SETTINGS_MODULE="fleetui.settings")
    done = subprocess.run(
        [sys.executable, "-u", "-c", KILLED],
        cwd=ROOT,
        env=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert "nodes.node: 1 rows" in done.stdout
    assert "the audit log is intact" in ran(manage(target, "import", str(archive), **KEYS))
