"""The folder of a fleet: lock, state, manifest."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

STATE = "state.json"
MANIFEST = "manifest.json"
LOCK = "lock"
#: Configs with which hosts were born, as NAME.ign; whoever takes the fleet in may write them.
BORN = "born"


class FleetError(Exception):
    """Why a fleet cannot run, in one sentence."""


def prepare(directory: Path) -> None:
    """Make the folder, for its owner only."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / BORN).mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise FleetError(
            f"The folder {directory} cannot be made: {error.strerror}. Choose another one with --dir."
        ) from None
    if not os.access(directory, os.W_OK):
        raise FleetError(f"The folder {directory} cannot be written to. Choose another one with --dir.")


class Lock:
    """Held while a fleet runs; it ends with the process, so a stale one cannot be left."""

    def __init__(self, directory: Path) -> None:
        self._handle = (directory / LOCK).open("a+")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._handle.seek(0)
            holder = self._handle.read().strip() or "unknown"
            self._handle.close()
            raise FleetError(
                f"A simulated fleet already runs in {directory} (process {holder}). Stop it, or choose another folder with --dir."
            ) from None
        self._handle.truncate(0)
        self._handle.write(f"{os.getpid()}\n")
        self._handle.flush()

    def release(self) -> None:
        """Let go."""
        self._handle.close()


def write_json(path: Path, document: object) -> None:
    """Replace a file in one step, readable by its owner only."""
    write_text(path, json.dumps(document))


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)


def read_state(directory: Path) -> dict[str, Any] | None:
    """The state of an earlier run."""
    path = directory / STATE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        state: dict[str, Any] = json.loads(text)
    except ValueError:
        raise FleetError(f"The state file {path} cannot be read: remove it to start with a new fleet.") from None
    return state
