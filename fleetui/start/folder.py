"""The data folder: made private, checked, and held by one `up` at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from fleetui.core.errors import StartError

LOCK_NAME = "up.lock"
#: Any of these says that FleetUI made the folder.
OURS = (LOCK_NAME, "keys", "db.sqlite3", "static", "broker", "simfleet")


def ensure_data_dir(folder: Path) -> None:
    """Make the folder with mode 0700, or tighten our own; refuse one that cannot be written or holds other things."""
    elsewhere = "Choose another folder with FLEETUI_DATA_DIR, or mend its owner and rights."
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = os.listdir(folder)  # noqa: PTH208 - a plain list of names is what is needed
        if names and not set(names) & set(OURS):
            raise StartError(
                f"The data folder {folder} holds other things ({sorted(names)[0]} ...). "
                "Give FleetUI a folder of its own with FLEETUI_DATA_DIR."
            )
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        # Only a real write tells: root passes every permission check, yet a read-only mount refuses it.
        probe = folder / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except (FileExistsError, NotADirectoryError):
        raise StartError(f"The data folder {folder} is not a folder. {elsewhere}") from None
    except OSError as error:
        raise StartError(f"The data folder {folder} cannot be written: {error.strerror}. {elsewhere}") from error


@contextlib.contextmanager
def held(folder: Path, url: str) -> Iterator[None]:
    """Hold the folder for this process; a second `up` on it is told where the first one runs."""
    path = folder / LOCK_NAME
    with contextlib.ExitStack() as stack:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(_already_running(folder, os.pread(descriptor, 4096, 0))) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)
        yield


def _already_running(folder: Path, content: bytes) -> str:
    try:
        holder = json.loads(content)
        where = f" at {holder['url']} (process {holder['pid']})"
    except (ValueError, KeyError, TypeError):
        where = ""
    return f"FleetUI already runs on the data folder {folder}{where}. Stop it first, or choose another folder with FLEETUI_DATA_DIR."
