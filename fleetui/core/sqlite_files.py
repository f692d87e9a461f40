"""The files of the SQLite database, which the processes of an installation share.

SQLite closes a file without looking once more whether another thread of the process has locked it meanwhile (unixClose in
os_unix.c decides under one mutex and closes after it). By POSIX all locks of the process on that file are gone then: the
thread believes in a lock that is none, another process takes the write-ahead log for nobody's and deletes it, and every
statement fails with "disk I/O error" from then on. Seen in workers on busy machines; that this is how they lost their
locks was concluded from SQLite's source, and not watched. A process that keeps one connection open has a lock all the
time, and while there is one SQLite closes nothing: it keeps the files for the next connection.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import structlog
from django.conf import settings

_DELETED = " (deleted)"
MOMENT_S = 2.0
log = structlog.get_logger(__name__)


_kept: list[sqlite3.Connection] = []


def keep_open() -> None:
    """Hold a connection for as long as this process lives. Not before it forks: a lock is not inherited."""
    if not settings.IS_SQLITE or _kept:
        return
    address = Path(settings.DATABASES["default"]["NAME"]).absolute().as_uri()
    try:
        kept = sqlite3.connect(
            f"{address}?mode=rw", uri=True, check_same_thread=False, timeout=15, isolation_level=None
        )
        # Opened, but not locked, before it was read.
        kept.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        log.warning("database_not_kept_open", error=str(error))
        return
    _kept.append(kept)


def deleted_files() -> dict[int, str]:
    """Files of the SQLite database that this process has open and that are not there any more, by inode. Only Linux tells."""
    if not settings.IS_SQLITE:
        return {}
    database = str(settings.DATABASES["default"]["NAME"])
    ours = {f"{database}{end}{_DELETED}" for end in ("", "-wal", "-shm")}
    found = {}
    try:
        for entry in Path("/proc/self/fd").iterdir():
            try:
                if (target := str(entry.readlink())) in ours:
                    found[entry.stat().st_ino] = target.removesuffix(_DELETED)
            except OSError:
                continue  # closed meanwhile
    except OSError:
        return {}
    return found


def end_if_orphaned() -> None:
    """End this process where its database is another one than that of all others."""
    if not (before := deleted_files()):
        return
    # Whoever closes the database as the last one has the deleted files open for a moment.
    time.sleep(MOMENT_S)
    if still := [name for inode, name in deleted_files().items() if inode in before]:
        log.critical("database_files_taken_away", files=sorted(Path(name).name for name in still), pid=os.getpid())
        os._exit(1)
