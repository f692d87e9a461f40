"""Run a fleet until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import asyncssh

from simfleet import inventory, keys, storage
from simfleet.control import ControlServer
from simfleet.fleet import Fleet, Settings

Report = Callable[[str], None]


async def serve(settings: Settings, stop: asyncio.Event, report: Report) -> None:
    """Run a fleet until the event is set."""
    storage.prepare(settings.directory)
    lock = storage.Lock(settings.directory)
    try:
        await _serve_locked(settings, stop, report)
    finally:
        lock.release()


async def _serve_locked(settings: Settings, stop: asyncio.Event, report: Report) -> None:
    fleet = Fleet(settings)
    control = ControlServer(fleet, settings.directory)
    try:
        fleet.start()
        await control.start()
        fleet.write_manifest()
        first = next(iter(fleet.hosts.values()), None)
        where = f", the first at {first.address}:{first.port}" if first else ""
        report(f"{len(fleet.hosts)} simulated hosts listen{where}; manifest {settings.directory / storage.MANIFEST}")
        if not settings.demo:  # whoever starts the demo's adds its hosts too
            report(_next_step(settings.directory))
        await stop.wait()
    finally:
        await control.stop()
        if fleet.started:
            await fleet.stop()


def _next_step(directory: Path) -> str:
    """What a person may do with the hosts."""
    hosts, known, key = (directory / name for name in (inventory.INVENTORY, inventory.KNOWN_HOSTS, keys.CLIENT_KEY))
    return (
        f"Import {hosts} with {known} on the page Import; they take the key {key} for the user core. Ctrl-C stops them."
    )


def run(settings: Settings, report: Report) -> None:
    """Run a fleet in this process until SIGTERM or SIGINT. Raises FleetError when it cannot start."""
    # Clients of a test fleet come and go rudely; none of that is news.
    asyncssh.set_log_level(logging.CRITICAL)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await serve(settings, stop, report)

    asyncio.run(main())
