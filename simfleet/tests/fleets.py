"""A running fleet and a client in one event loop, for tests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from simfleet import Fleet, Settings
from simfleet.control import ControlServer

# Beside a demo, and beside the tests of other processes.
NET = f"127.{100 + os.getpid() % 120}"
CLIENT: dict[str, Any] = {
    "config": None,
    "agent_path": None,
    "gss_host": None,
    "login_timeout": 5,
    "connect_timeout": 5,
}


def settings(directory: Path, **given: Any) -> Settings:
    return Settings(**{"directory": directory, "nodes": 4, "net": NET, "reboot_s": 0.3, "transaction_s": 0.05, **given})


@asynccontextmanager
async def running(directory: Path, **given: Any) -> AsyncIterator[Fleet]:
    fleet = Fleet(settings(directory, **given))
    control = ControlServer(fleet, directory)
    fleet.start()
    await control.start()
    fleet.write_manifest()
    try:
        yield fleet
    finally:
        await control.stop()
        await fleet.stop()


@asynccontextmanager
async def client(fleet: Fleet, name: str, **given: Any) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A connection that trusts the key of the manifest only."""
    row = fleet.row(fleet.host(name))
    trusted: tuple[list[Any], list[Any], list[Any]] = ([asyncssh.import_public_key(row["host_key"])], [], [])
    wanted = {
        "username": row["username"],
        "client_keys": [fleet.key_file],
        "known_hosts": trusted,
        **CLIENT,
        **given,
    }
    async with asyncssh.connect(row["address"], row["port"], **wanted) as connection:
        yield connection


async def run(fleet: Fleet, name: str, command: str, stdin: str = "") -> asyncssh.SSHCompletedProcess:
    async with client(fleet, name) as connection:
        return await connection.run(command, input=stdin, encoding="utf-8", errors="replace")


async def until(check: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout_s):
        while not check():
            await asyncio.sleep(0.02)


def in_loop(work: Awaitable[None]) -> None:
    async def main() -> None:
        await work

    asyncio.run(main())
