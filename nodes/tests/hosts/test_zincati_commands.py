"""The commands that hold Zincati, run by a real shell with a systemctl of the test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nodes.hosts import drivers
from nodes.hosts.drivers.ostree_commands import PAUSE_FILE


@pytest.fixture
def systemctl(tmp_path: Path) -> Path:
    """One that fails to restart the agent; it says of it what stands in the file `state`."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nif [ "$1" = is-active ]; then cat {tmp_path}/state; exit 3; fi\nexit 1\n')
    program.chmod(0o755)
    return program


def run(kind: str, folder: Path, systemctl: Path) -> int:
    words = [word.replace("/run/zincati", str(folder)) for word in drivers.get("fcos").command(kind).argv[2:]]
    found = {**os.environ, "PATH": f"{systemctl.parent}:{os.environ['PATH']}"}
    return subprocess.run(words, env=found, check=False).returncode


@pytest.mark.parametrize(("state", "is_good"), [("activating", True), ("failed", True), ("active", False)])
def test_an_agent_that_cannot_start_neither_stops_a_hold_nor_its_end(
    tmp_path: Path, systemctl: Path, state: str, is_good: bool
) -> None:
    (tmp_path / "state").write_text(f"{state}\n")
    held = tmp_path / "config.d" / PAUSE_FILE
    assert (run("hold", tmp_path, systemctl) == 0) == is_good
    assert "enabled = false" in held.read_text()
    # One that still runs has not read that the hold is over.
    assert (run("release", tmp_path, systemctl) == 0) == is_good
    assert not held.exists()
