"""A copy of the SQLite database, whole and at one moment, while FleetUI runs; with the anchors of the audit log beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from fleetui.audit.log import Entry, record_alone
from fleetui.audit.verify import anchor_path
from fleetui.core.heartbeats import mark
from fleetui.transfer.errors import TransferRefused

#: The name of the heartbeat that says when the last backup was.
BACKUP_JOB = "backup"
_PAGES_AT_ONCE = 2000


@dataclass(frozen=True)
class Backup:
    size_bytes: int
    anchors: Path | None


def back_up(path: Path) -> Backup:
    """Copy the database to `path`, which must not exist. It appears under its name when it is whole and was checked."""
    if connection.vendor != "sqlite":
        raise TransferRefused(
            "This copies SQLite only, and the database is PostgreSQL.",
            mend="Use pg_dump --format=custom, and copy audit-anchor.jsonl beside it: docs/deploy.md.",
        )
    if path.exists():
        raise TransferRefused(f"{path} exists already.", mend="Name a file that does not exist yet.")
    record_alone(Entry(actor="system:fleetui", action="installation.backup", subject="installation"))
    half = path.with_name(f"{path.name}.partial")
    try:
        with suppress(FileNotFoundError):
            half.unlink()
        os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        anchors = _copy_anchors(path)
        _copy(half)
        half.rename(path)
    except OSError as error:
        raise TransferRefused(f"{half} cannot be written: {error.strerror}.", mend="Name another folder.") from error
    finally:
        with suppress(FileNotFoundError):
            half.unlink()
    size = path.stat().st_size
    mark(BACKUP_JOB, {"size_bytes": size})
    return Backup(size, anchors)


def _copy(half: Path) -> None:
    source = str(connection.settings_dict["NAME"])
    try:
        with closing(sqlite3.connect(source, timeout=30)) as live, closing(sqlite3.connect(half)) as copy:
            live.backup(copy, pages=_PAGES_AT_ONCE)
            # The copy is one file: nothing of it may lie in a journal beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
            (found,) = copy.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise TransferRefused(
            f"The database cannot be copied: {error}.", mend="Look at the disk and try again."
        ) from error
    if found != "ok":
        raise TransferRefused(
            f"The copy is damaged: {found}.", mend="The database itself is: go back to an earlier backup."
        )
    with half.open("rb") as file:
        os.fsync(file.fileno())


def _copy_anchors(path: Path) -> Path | None:
    """Copied before the database: an anchor of an event that the copy does not hold would read as a cut."""
    if not anchor_path().exists():
        return None
    beside = path.with_name(f"{path.name}.audit-anchor.jsonl")
    shutil.copyfile(anchor_path(), beside)
    beside.chmod(0o600)
    return beside
