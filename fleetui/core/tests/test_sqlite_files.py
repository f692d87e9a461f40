"""A process whose SQLite files were taken away ends, so that it is started again on those of all others."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetui.core import sqlite_files
from tests.installation import ROOT, environment

HOLDS = """
import sqlite3, sys
import django
django.setup()
from django.conf import settings
from fleetui.core import sqlite_files
sqlite_files.MOMENT_S = 0.1
held = sqlite3.connect(settings.DATABASES["default"]["NAME"])
held.execute("PRAGMA journal_mode=WAL")
held.execute("CREATE TABLE t (x)")
held.commit()
sqlite_files.end_if_orphaned()
print("holds", flush=True)
sys.stdin.readline()
sqlite_files.end_if_orphaned()
print("goes on", flush=True)
"""


@pytest.mark.parametrize("is_taken", [False, True])
def test_it_ends_where_the_files_are_gone_and_only_there(tmp_path: Path, is_taken: bool) -> None:
    told = environment(tmp_path, DJANGO_SETTINGS_MODULE="fleetui.settings")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], cwd=ROOT, env=told, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        if is_taken:
            for end in ("-wal", "-shm"):
                (tmp_path / f"db.sqlite3{end}").unlink()
        out, err = process.communicate("on\n", timeout=60)
    if is_taken:
        assert process.returncode == 1, err
        assert "database_files_taken_away" in out + err
        assert "goes on" not in out
    else:
        assert (process.returncode, out) == (0, "goes on\n"), err


KEEPS = """
import sqlite3, sys
import django
django.setup()
from django.conf import settings
from fleetui.core.sqlite_files import keep_open
name = settings.DATABASES["default"]["NAME"]
made = sqlite3.connect(name)
made.execute("PRAGMA journal_mode=WAL")
made.execute("CREATE TABLE t (x)")
made.commit()
if sys.argv[1] == "keeps":
    keep_open()
made.close()
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["keeps", "closes"])
def test_what_a_process_keeps_open_no_other_one_takes_away(tmp_path: Path, how: str) -> None:
    told = environment(tmp_path, DJANGO_SETTINGS_MODULE="fleetui.settings")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", KEEPS, how], cwd=ROOT, env=told, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        other = sqlite3.connect(tmp_path / "db.sqlite3")
        other.execute("INSERT INTO t VALUES (1)")
        other.commit()
        # The last that closes takes the log away.
        other.close()
        assert (tmp_path / "db.sqlite3-wal").exists() is (how == "keeps")
        process.communicate("over\n", timeout=60)


def test_on_another_database_nothing_is_looked_at(settings: Any, tmp_path: Path) -> None:
    settings.IS_SQLITE = False
    with sqlite3.connect(tmp_path / "db.sqlite3"):
        (tmp_path / "db.sqlite3").unlink()
        assert sqlite_files.deleted_files() == {}
