"""Commands on the machine of FleetUI that outlive the worker that started them. Each name is started once.

A folder per job holds what it is given and what it prints. Who starts it holds a lock of the folder and hands it on to the
command, so that everybody can see whether it still runs, whatever became of its starter.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

RUNNER = Path(__file__).with_name("runner.py")
#: The id of the operation, with which the name of each of its jobs begins.
_OWNER = re.compile(r"[0-9a-f]{32}")
MOST_READ = 256 * 1024
#: absent: nobody started it here. broken: it was started, does not run, and did not end.
State: TypeAlias = Literal["absent", "runs", "ended", "broken"]


@dataclass(frozen=True)
class Job:
    """`status` is its exit status once it has ended."""

    state: State
    status: int = 0


class Jobs:
    """The jobs below one folder, which is made when it is needed. `env` is what every command gets."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder, self.env = folder, env

    def place(self) -> str:
        """Which folder this is, of whatever machine: jobs of another one are not seen from here."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = self.folder / "place"
        if not told.exists():
            part = self.folder / f"place.{uuid.uuid4().hex}"
            part.write_text(uuid.uuid4().hex)
            with suppress(FileExistsError):
                os.link(part, told)
            part.unlink()
        return told.read_text()

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        cwd: str,
        limit_s: float,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start a command apart from this process. What was started before under this name is left alone."""
        self.place()
        at = self.folder / name
        try:
            at.mkdir(mode=0o700)
        except FileExistsError:
            return
        lock = os.open(at / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (at / "in").write_bytes(stdin)
            (at / "in").chmod(0o600)
            (at / "job.json").write_text(json.dumps({"argv": list(argv), "cwd": cwd, "limit_s": limit_s}))
            subprocess.Popen(
                [sys.executable, "-I", "-S", str(RUNNER), str(at), str(lock)],
                env={**self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(lock,),
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(lock)

    def look(self, name: str) -> Job:
        """How a job stands."""
        at = self.folder / name
        if not at.is_dir():
            return Job("absent")
        if (ended := _status(at)) is not None:
            return ended
        try:
            lock = os.open(at / "lock", os.O_RDWR)
        except FileNotFoundError:
            # Its starter died, or is between the two.
            return Job("broken")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Job("runs")
        finally:
            os.close(lock)
        # It may have ended between the two looks.
        return _status(at) or Job("broken")

    def printed(self, name: str, stream: Literal["out", "err"], since: int = 0, most: int = MOST_READ) -> bytes:
        """What it has printed since that byte, up to `most` bytes."""
        try:
            with (self.folder / name / stream).open("rb") as found:
                found.seek(since)
                return found.read(most)
        except FileNotFoundError:
            return b""

    def forget(self, start: str) -> None:
        """Take away the folders of all jobs whose names begin so."""
        for one in self.folder.glob(f"{start}*"):
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)

    def sweep(self, going: Callable[[Collection[str]], Collection[str]]) -> None:
        """Take away what belongs to no operation that goes on: one whose last step never ran leaves its folders.

        `going` is asked after the folders were listed: each is younger than its operation.
        """
        if not self.folder.is_dir():
            return
        found = [(one.name.partition("-")[0], one) for one in self.folder.iterdir() if one.is_dir()]
        owners = {owner for owner, _one in found if _OWNER.fullmatch(owner)}
        for owner in owners - set(going(owners)) if owners else ():
            self.forget(f"{owner}-")


def _status(at: Path) -> Job | None:
    try:
        return Job("ended", int((at / "status").read_text()))
    except FileNotFoundError:
        return None


def whole_lines(raw: bytes, *, is_over: bool) -> tuple[list[str], int]:
    """The lines that are complete, and how many bytes they take; at the end the last one too."""
    end = len(raw) if is_over else raw.rfind(b"\n") + 1
    return raw[:end].decode("utf-8", "replace").splitlines(), end
