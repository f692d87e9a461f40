"""The real test hosts: a thin face of the `rig` command, which FLEETUI_RIG names."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "rig" / "rig"
SETUP_TIMEOUT_S = 600
COMMAND_TIMEOUT_S = 180
#: Hosts of tests are named by it; those of a person who tries something on the same machine are left alone.
PREFIX = "t"


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
    """Run rig commands; a failure raises with what the command said."""

    program: str

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

    def up(self, count: int, *, prefix: str = PREFIX) -> list[dict[str, Any]]:
        hosts: list[dict[str, Any]] = json.loads(self("up", str(count), "--prefix", prefix, "--json"))
        return hosts

    def names(self) -> list[str]:
        return [str(host["name"]) for host in json.loads(self("list", "--json"))]

    def clear(self) -> None:
        """Remove the hosts of tests; with the last host the network and its servers go too."""
        names = self.names()
        ours = [name for name in names if name.startswith(PREFIX)]
        if ours == names:
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
def rig_session() -> Iterator[Rig]:
    """The rig for this test run alone: another run on the machine waits. No host is left at the end."""
    rig = Rig(rig_program())
    lock = Path(tempfile.gettempdir()) / "fleetui-rig-tests.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        rig("setup", timeout_s=SETUP_TIMEOUT_S)
        rig.clear()
        try:
            yield rig
        finally:
            rig.clear()
