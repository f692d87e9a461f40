"""The real test hosts: a thin face of the `rig` command, which FLEETUI_RIG names."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "rig" / "rig"
SETUP_TIMEOUT_S = 600
COMMAND_TIMEOUT_S = 180
#: Hosts of tests are named by it; those of a person who tries something on the same machine are left alone.
PREFIX = "t"
LOCK = Path(tempfile.gettempdir()) / "fleetui-rig-tests.lock"


class RigMissing(RuntimeError):
    """There is no rig here, or this user may not start hosts; the sentence says which."""


def rig_program() -> str:
    named = os.environ.get("FLEETUI_RIG")
    path = Path(named) if named else BESIDE
    if not os.access(path, os.X_OK):
        raise RigMissing("The real test hosts are not here. Set FLEETUI_RIG to the `rig` command.")
    if os.getuid() != 0:
        raise RigMissing("The real test hosts need root.")
    return str(path)


@dataclass(frozen=True)
class Rig:
    """Run rig commands; a failure raises with what the command said. The hosts of each test process have a prefix of their own."""

    program: str
    prefix: str = PREFIX

    def __call__(self, *args: str, stdin: str | None = None, timeout_s: int = COMMAND_TIMEOUT_S) -> str:
        given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        done = subprocess.run(
            [self.program, *args], capture_output=True, text=True, timeout=timeout_s, check=False, **given
        )
        if done.returncode:
            raise AssertionError(
                f"rig {' '.join(args)} ended with {done.returncode}: {done.stderr.strip()}{_consoles(done.stderr)}"
            )
        return str(done.stdout)

    def up(self, count: int) -> list[dict[str, Any]]:
        hosts: list[dict[str, Any]] = json.loads(self("up", str(count), "--prefix", self.prefix, "--json"))
        return hosts

    def names(self) -> list[str]:
        return [str(host["name"]) for host in json.loads(self("list", "--json"))]

    def clear(self, *, all_tests: bool) -> None:
        """Remove the hosts of this process, or those of all tests: with the last host the network and its servers go too."""
        names = self.names()
        ours = [name for name in names if name.startswith(PREFIX if all_tests else self.prefix)]
        if all_tests and ours == names:
            self("down")
        elif ours:
            self("rm", *ours)

    def ssh(self, name: str, command: str, *, stdin: str | None = None) -> str:
        return self("ssh", name, command, stdin=stdin)


def _consoles(said: str) -> str:
    """The ends of the consoles that an error names: the hosts are gone when somebody reads it."""
    named = [Path(word) for word in said.split() if word.endswith("/console.log")]
    return "".join(f"\n{path}:\n{path.read_text(errors='replace')[-3000:]}" for path in named if path.exists())


@contextmanager
def rig_session(run: str, worker: str) -> Iterator[Rig]:
    """The rig for this test run alone: another run on the machine waits. No host is left at the end.

    The processes of one `run` share it, each as `worker` with hosts of its own.
    """
    rig = Rig(rig_program(), PREFIX + worker)
    with LOCK.open("a+") as held:
        if _enter(held, run):
            rig("setup", timeout_s=SETUP_TIMEOUT_S)
            rig.clear(all_tests=True)
            fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield rig
        finally:
            rig.clear(all_tests=False)
            if _is_last(held):
                rig.clear(all_tests=True)


def _enter(held: IO[str], run: str) -> bool:
    """Wait until no other run holds the rig; whether this process is the first of its own, and has it for itself."""
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            if held.read() == run:
                fcntl.flock(held, fcntl.LOCK_SH)
                return False
            time.sleep(1)
        else:
            held.truncate(0)
            held.write(run)
            held.flush()
            return True


def _is_last(held: IO[str]) -> bool:
    """Asked once, by a process that is done with the rig: whoever is not the last has given up its share by asking."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
