"""One host without a network, for tests of its answers."""

from __future__ import annotations

import asyncio
import shlex
import tempfile
import time
from pathlib import Path

from simfleet import transitions
from simfleet.answers import Answer, Call
from simfleet.answers.shell import run_script
from simfleet.model import Host, HostPlan
from simfleet.releases import Catalog


class OneHost:
    """A world of one host, whose reboots happen at once."""

    def __init__(self, plan: HostPlan | None = None) -> None:
        self.catalog = Catalog()
        self.born_dir = Path(tempfile.gettempdir()) / "no-host-was-born"
        self.transaction_s = 0.01
        self.created_at = time.time()
        self.saves = 0
        self.host: Host = transitions.first_state(
            3, plan or HostPlan("web-01", "web", versions_behind=1), self.catalog, "127.0.0.1", 1, self.created_at
        )

    def now(self) -> float:
        return time.time()

    def changed(self, host: Host) -> None:
        self.saves += 1

    def beside(self, host: Host) -> list[Host]:
        return [self.host]

    def newest(self, host: Host) -> str:
        return self.catalog.tip(host.booted.stream).version

    def reboot(self, host: Host) -> None:
        transitions.boot(host, self.catalog, self.now())

    async def run(self, command: str, stdin: bytes = b"") -> Answer:
        return await run_script(Call(self.host, self, ("sh", "-c", command), stdin=stdin), command)

    def ask(self, *argv: str, stdin: bytes = b"") -> Answer:
        command = argv[0] if len(argv) == 1 else shlex.join(argv)
        return asyncio.run(self.run(command, stdin))
