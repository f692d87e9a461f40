"""A folder for what has to lie on the disk of the machine of the worker for a while. It goes in every ending.

What a worker left that was killed is taken away by the next one that makes such a folder.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleetui.core.owner import give_to_owner_of_folder

#: A process whose number lies in a folder under this name works in it, and ends with it.
PID = "process.pid"
_LOCK = "lock"


class ScratchFailed(Exception):
    """There is no such folder, or too little room; `code` is worded where it is shown."""

    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


@contextmanager
def folder(scratch: Path) -> Iterator[Path]:
    """A folder of one's own, which goes; and with it those whose worker is gone. Raises ScratchFailed."""
    try:
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        give_to_owner_of_folder(scratch)
        with (scratch / _LOCK).open("w") as gate:
            give_to_owner_of_folder(scratch / _LOCK)
            # Else the sweep of another could come between making the folder and locking it.
            fcntl.flock(gate, fcntl.LOCK_EX)
            sweep(scratch)
            place = scratch / secrets.token_hex(8)
            place.mkdir(mode=0o700)
            give_to_owner_of_folder(place)
            lock = (place / _LOCK).open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise ScratchFailed("no_folder", path=str(scratch), said=error.strerror or str(error)) from error
    with lock:
        try:
            yield place
        finally:
            _remove(place)


def require_room(place: Path, needed_bytes: int) -> None:
    """Raises ScratchFailed."""
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise ScratchFailed("no_room", path=str(place.parent), free_bytes=free, needed_bytes=needed_bytes)


def sweep(scratch: Path) -> int:
    """Take away what killed workers left; a folder whose lock is held belongs to somebody who goes on."""
    count = 0
    for place in scratch.iterdir() if scratch.is_dir() else ():
        if not place.is_dir():
            continue
        with suppress(FileNotFoundError), (place / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(place)
            count += 1
    return count


def _remove(place: Path) -> None:
    with suppress(OSError, ValueError):
        pid = int((place / PID).read_text())
        # By its working directory, so that nothing else is ended which has this number now.
        if Path(f"/proc/{pid}/cwd").resolve() == place.resolve():
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(place, ignore_errors=True)
