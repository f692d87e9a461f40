"""Steering a running fleet over the unix socket in its folder: one line of JSON each way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simfleet.model import Fault, Host
from simfleet.storage import FleetError

if TYPE_CHECKING:
    from simfleet.fleet import Fleet

SOCKET = "control.sock"
MAX_LINE_BYTES = 64 * 1024
MAX_REPLY_BYTES = 32 * 1024 * 1024
Json = dict[str, Any]


@contextlib.contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    """Socket paths may have 108 bytes only; a folder may be deeper than that."""
    path = str(directory / SOCKET)
    if len(path.encode()) < 100 or not Path("/proc/self/fd").is_dir():
        yield path
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def send(directory: Path | str, command: Json, timeout_s: float = 10.0) -> Json:
    """Send one command to the fleet that runs in a folder. Raises FleetError with the reason of a refusal."""
    with _short_path(Path(directory)) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(path)
            client.sendall(json.dumps(command).encode() + b"\n")
            with client.makefile("rb") as stream:
                line = stream.readline(MAX_REPLY_BYTES)
        except (FileNotFoundError, ConnectionRefusedError):
            raise FleetError(
                f"No simulated fleet runs in {directory}. Name the folder of one that runs with --dir."
            ) from None
        except OSError as error:
            raise FleetError(f"The simulated fleet in {directory} does not answer: {error}.") from None
    if not line:
        raise FleetError(f"The simulated fleet in {directory} closed the connection.")
    reply: Json = json.loads(line)
    if not reply.pop("ok"):
        raise FleetError(str(reply.get("error", "The fleet refused.")))
    return reply


class ControlServer:
    """The fleet's end of the socket."""

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        self._fleet = fleet
        self._directory = directory
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left by a process that died is replaced: the folder's lock is ours."""
        (self._directory / SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short_path(self._directory) as path:
            before = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Close and remove the socket."""
        if self._server is not None:
            self._server.close()
        (self._directory / SOCKET).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(self._reply(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _reply(self, line: bytes) -> Json:
        try:
            command = json.loads(line)
            action = ACTIONS.get(command["action"])
            if action is None:
                return {"ok": False, "error": f"There is no action {command['action']}."}
            return {"ok": True, **action(self._fleet, command)}
        except (FleetError, ValueError) as error:
            return {"ok": False, "error": str(error)}
        except (KeyError, TypeError, AttributeError) as error:
            return {"ok": False, "error": f"The command is not complete: {error}."}


def _row(host: Host) -> Json:
    pending = host.pending
    return {
        "name": host.name,
        "pool": host.plan.pool,
        "address": host.address,
        "port": host.port,
        "version": host.booted.version,
        "pending": pending.version if pending else None,
        "staged": bool(pending and pending.staged),
        "boot_id": host.boot_id,
        "boot_count": host.boot_count,
        "generation": host.generation,
        "down": bool(host.down_until),
        "faults": sorted(host.faults),
        "story": host.plan.story,
        "units": sorted(host.units),
        "unit_starts": host.unit_starts,
        "written": sorted(host.written),
    }


def _list(fleet: Fleet, _: Json) -> Json:
    return {"hosts": [_row(host) for host in fleet.hosts.values()]}


def _show(fleet: Fleet, command: Json) -> Json:
    return {"host": _row(fleet.host(command["name"]))}


def _fault(fleet: Fleet, command: Json) -> Json:
    kind = str(command["kind"]).replace("-", "_")
    if kind not in set(Fault):
        known = ", ".join(fault.value for fault in Fault)
        raise FleetError(f"There is no fault {kind}; there are {known}.")
    value = command.get("value")
    fleet.set_fault(command["name"], Fault(kind), on=bool(command["on"]), value=None if value is None else float(value))
    return {"host": _row(fleet.host(command["name"]))}


def _reboot(fleet: Fleet, command: Json) -> Json:
    fleet.reboot(fleet.host(command["name"]))
    return {"message": f"{command['name']} reboots."}


def _recreate(fleet: Fleet, command: Json) -> Json:
    fleet.recreate(command["name"], str(command["config"]))
    return {"host": _row(fleet.host(command["name"]))}


def _file(fleet: Fleet, command: Json) -> Json:
    return {"text": fleet.host(command["name"]).written.get(command["path"])}


def _publish(fleet: Fleet, command: Json) -> Json:
    stream = fleet.publish(str(command["version"]), bad=bool(command.get("bad")))
    return {"message": f"{command['version']} is published in {stream}.", "stream": stream}


ACTIONS: dict[str, Callable[[Fleet, Json], Json]] = {
    "list": _list,
    "show": _show,
    "fault": _fault,
    "reboot": _reboot,
    "recreate": _recreate,
    "file": _file,
    "publish": _publish,
    "upgrade": lambda fleet, command: {"message": fleet.stage(command["name"], by_agent=False)},
    "stage": lambda fleet, command: {"message": fleet.stage(command["name"], by_agent=True)},
    "manifest": lambda fleet, _: {"manifest": fleet.manifest()},
}
