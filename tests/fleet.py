"""A simulated fleet in a process of its own, for tests and benchmarks of polling."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simfleet.control import send

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 120.0
Manifest = dict[str, Any]


@contextmanager
def simulated_fleet(
    folder: Path, nodes: int, *, seed: int = 7, net: str = "127.60", options: Sequence[str] = ()
) -> Iterator[Manifest]:
    """Run a fleet; gives its manifest. The folder must not be that of another one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [sys.executable, str(ROOT / "manage.py"), "simfleet", "--nodes", str(nodes), "--seed", str(seed)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "fleetui.settings", "FLEETUI_DATA_DIR": str(folder)}
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *argv, "--dir", str(folder), "--net", net, *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        manifest = folder / "manifest.json"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not manifest.exists():
            assert process.poll() is None, "The simulated fleet did not start."
            assert time.monotonic() < deadline, "The simulated fleet takes too long."
            time.sleep(0.05)
        yield json.loads(manifest.read_text())
    finally:
        process.terminate()
        process.wait(20)


def fault(folder: Path, names: list[str], kind: str, *, on: bool) -> None:
    """Switch a fault of the named hosts on or off."""
    for name in names:
        send(folder, {"action": "fault", "name": name, "kind": kind, "on": on})
