"""A process whose SQLite files were taken away while it holds them: nothing that it does counts any more, so it ends.

Seen on a very busy machine: a worker had lost its locks of the file, another process took the write-ahead log for
nobody's and deleted it, and from then on every statement of the worker failed with "disk I/O error" until it was started
again. `up`, systemd and Podman start what has ended.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import structlog
from django.conf import settings

_DELETED = " (deleted)"
MOMENT_S = 2.0
log = structlog.get_logger(__name__)


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
