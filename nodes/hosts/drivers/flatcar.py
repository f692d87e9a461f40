"""Flatcar Container Linux: two USR partitions, update_engine, and locksmithd that reboots."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nodes.hosts.drivers import flatcar_commands, flatcar_slots, ostree_commands
from nodes.hosts.drivers.base import Command, CommandRefused, Driver, Look, ProbeReading
from nodes.hosts.drivers.documents import plain
from nodes.hosts.drivers.linux import look_at, read_linux
from nodes.hosts.drivers.sections import UPDATE_CONF_FILES, flatcar_sections, linux_sections
from nodes.hosts.drivers.systemd import parse_show, unit_of
from nodes.hosts.facts import Agent, Deployment, Facts, Unit, Update
from nodes.hosts.probe import ProbeOutput, Section

NAME = "Flatcar Container Linux"
_PREFIX = "UPDATE_STATUS_"
_NO_VERSION = re.compile(r"[0.]*|\(null\)")
_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}(?:[-+][0-9A-Za-z.+-]{1,60})?")
_USR_HASH = re.compile(r"(?:verity\.)?usrhash=([0-9a-f]{64})")
#: What update_engine is doing, in the words that all agents share.
_STATES = {
    "IDLE": "polling",
    "CHECKING_FOR_UPDATE": "polling",
    "UPDATE_AVAILABLE": "update_found",
    "DOWNLOADING": "staging",
    "VERIFYING": "staging",
    "FINALIZING": "staging",
    "UPDATED_NEED_REBOOT": "staged",
    "REPORTING_ERROR_EVENT": "polling",
}
_WORKING = {
    "DOWNLOADING": "downloading",
    "VERIFYING": "verifying",
    "FINALIZING": "finalizing",
    "REPORTING_ERROR_EVENT": "reporting an error",
}
_DENIED = ("rejected send message", "accessdenied", "access denied", "not allowed")
_RUNNING_UNITS = ("active", "activating", "reloading")


@dataclass(frozen=True)
class EngineStatus:
    """What `update_engine_client -status` says. `operation` is without its prefix; empty means it could not be read."""

    operation: str = ""
    new_version: str | None = None


class FlatcarDriver(Driver):
    """Reads and changes Flatcar hosts."""

    family = "flatcar"
    name = NAME
    fence = ostree_commands.FENCE
    has_ignition = True
    selinux_as_shipped = "permissive"
    #: What coreos-metadata, afterburn and cloudinit are given by the cloud; `authorized_keys` is gathered from all.
    platform_keys = frozenset({"afterburn", "coreos-cloudinit", "coreos-metadata", "oem"})
    agent_units = ("locksmithd.service", "update-engine.service")
    capabilities = flatcar_commands.CAPABILITIES

    def probe(self) -> tuple[Section, ...]:
        return (*linux_sections(), *flatcar_sections())

    def parse(self, output: ProbeOutput, now: datetime) -> ProbeReading:
        look = look_at(output, now)
        facts, measurement = read_linux(look)
        facts = _with_updates(facts, look)
        return ProbeReading(replace(facts, unread=tuple(look.unread)), measurement)

    def command(self, kind: str, **params: object) -> Command:
        capability = self.capabilities.get(kind)
        if capability is not None and not capability.supported:
            raise CommandRefused(capability.reason)
        return flatcar_commands.make(kind, params)

    def staging(self, target: Mapping[str, Any]) -> Command:
        """What the update server of the host offers; a version that was asked for from where Flatcar publishes it."""
        if target.get("is_asked"):
            return self.command("upgrade", version=target["version"])
        return self.command("upgrade")

    def going_back(self, deployment: Mapping[str, Any]) -> Command:
        slot = deployment.get("slot") or {}
        return self.command("rollback", device=slot.get("device"))

    def offered(self, facts: Facts, said: str) -> str | None:
        if facts.agent.status_text == f"{_PREFIX}CHECKING_FOR_UPDATE":
            return None
        return str((facts.update.cached_update or {}).get("version") or "")


def _with_updates(facts: Facts, look: Look) -> Facts:
    engine = _engine(look)
    config = look.read("update_conf", lambda text, _: parse_update_conf(text), {}, optional=True, good=(0, 1, 2))
    units = {
        unit.get("Id", ""): unit
        for unit in look.read("flatcar_units", lambda text, _: parse_show(text), [], optional=True)
    }
    partitions = look.read("usr_partitions", flatcar_slots.parse_partitions, (), optional=True)
    device = look.read("usr_device", lambda text, _: plain(text.strip()), "", optional=True)
    runs = flatcar_slots.running(partitions, device, facts.boot.arguments)
    if partitions and runs is None:
        found = look.output["usr_device"]
        look.note("usr_device", "not_understood", "None of the USR partitions is the one that runs.", found)
    stream = config.get("GROUP") or None
    hashes = (_USR_HASH.fullmatch(word) for word in facts.boot.arguments)
    booted = Deployment(
        index=0,
        id="running",
        osname="flatcar",
        version=facts.os.version,
        checksum=next((found[1] for found in hashes if found), None),
        origin=config.get("SERVER") or None,
        stream=stream,
    )
    waits = engine.operation == "UPDATED_NEED_REBOOT"
    staged = (engine.new_version or "") if waits else None
    deployments = flatcar_slots.deployments(partitions, runs, booted, staged, device)
    update = Update(
        manager="update_engine" if look.why_not(look.output["update_engine"]) is None else None,
        transaction=_WORKING.get(engine.operation),
        cached_update={"version": engine.new_version, "checksum": None} if engine.new_version else None,
        reboot_pending=waits,
    )
    lock: dict[str, Any] = look.read("locksmith", parse_locksmith, {}, optional=True)
    agent = _agent(engine, config, units, lock)
    os = replace(facts.os, stream=stream)
    return replace(facts, os=os, deployments=deployments, update=update, agent=agent)


def _engine(look: Look) -> EngineStatus:
    status: EngineStatus = look.read("update_engine", parse_status, EngineStatus())
    if status.operation == "(null)":
        # The client ends with status 0 although the bus refused it.
        found = look.output["update_engine"]
        said = (found.stdout + found.stderr).lower()
        if "error getting" in said and not any(word in said for word in _DENIED):
            look.note("update_engine", "failed", "update_engine does not answer on its bus.", found)
            return EngineStatus()
        message = "The user may not ask update_engine: its bus answers root and the user core only."
        look.note("update_engine", "permission", message, found)
        return EngineStatus()
    return status


def parse_status(text: str, problems: list[str]) -> EngineStatus:
    """The last block of KEY=VALUE lines; other lines are the log of the client."""
    values: dict[str, str] = {}
    for line in text.splitlines()[-1000:]:
        key, equals, value = line.strip().partition("=")
        if equals and key in ("CURRENT_OP", "NEW_VERSION"):
            values[key] = plain(value.strip())
    operation = values.get("CURRENT_OP", "").removeprefix(_PREFIX)
    if operation == "(null)":
        return EngineStatus(operation)
    if operation not in _STATES:
        problems.append(f"the operation {operation[:60]!r} is not known" if operation else "CURRENT_OP is missing")
    version = values.get("NEW_VERSION", "")
    if _NO_VERSION.fullmatch(version):
        return EngineStatus(operation)
    if not _VERSION.fullmatch(version):
        problems.append(f"NEW_VERSION {version[:60]!r} is not a version")
        return EngineStatus(operation)
    return EngineStatus(operation, version)


def parse_update_conf(text: str) -> dict[str, str]:
    """The settings in effect: lines `PATH:KEY=VALUE`, where the file in /etc goes before the one in /usr."""
    merged: dict[str, dict[str, str]] = {path: {} for path in UPDATE_CONF_FILES}
    for line in text.splitlines()[:500]:
        path, colon, setting = line.partition(":")
        key, equals, value = setting.strip().partition("=")
        if colon and equals and path in merged and key.replace("_", "").isalnum():
            merged[path][key] = plain(_unquoted(value))[:300]
    return {key: value for path in UPDATE_CONF_FILES for key, value in merged[path].items()}


def _unquoted(value: str) -> str:
    try:
        words = shlex.split(value, comments=True)
    except ValueError:
        return value.strip("\"'")
    # locksmith's own example is not quoted: `LOCKSMITHD_REBOOT_WINDOW_START=Thu 23:00`.
    return " ".join(words)


def parse_locksmith(text: str, problems: list[str]) -> dict[str, Any]:
    """`locksmithctl status`: how many may reboot at once, how many places are free, and the machine ids that hold one."""
    found: dict[str, Any] = {}
    for word in ("Available", "Max"):
        if row := re.search(rf"^{word}: *(-?\d{{1,9}})\s*$", text, re.MULTILINE):
            found[word.lower()] = int(row[1])
    if len(found) < 2:
        problems.append("the free and the allowed number of reboots are missing")
    _, heading, rest = text.partition("MACHINE ID")
    found["holders"] = [plain(word)[:80] for word in rest.split()[:100]] if heading else []
    return found


def _agent(
    engine: EngineStatus, config: Mapping[str, str], units: Mapping[str, dict[str, str]], lock: Mapping[str, Any]
) -> Agent:
    """update_engine fetches and locksmithd reboots: together they are what Zincati is on Fedora CoreOS."""
    unit, locksmith = unit_of(units.get("update-engine.service", {})), unit_of(units.get("locksmithd.service", {}))
    if not engine.operation and unit.load in (None, "not-found"):
        return Agent(unit=unit)
    strategy = config.get("REBOOT_STRATEGY") or "reboot"
    settings: dict[str, Any] = {
        "updates": {"enabled": config.get("SERVER") != "disabled", "strategy": strategy},
        "update_engine": {key: value for key, value in config.items() if key in ("GROUP", "SERVER", "MACHINE_ALIAS")},
        "locksmithd": {
            "unit": locksmith.active,
            **({"lock": dict(lock)} if lock else {}),
            **{key: value for key, value in config.items() if key.startswith("LOCKSMITHD_")},
        },
    }
    state, detail = _doing(engine, unit, locksmith, config, strategy)
    status = (_PREFIX + engine.operation) if engine.operation else None
    return Agent("update_engine", unit, status, state, detail, settings, UPDATE_CONF_FILES if config else ())


def _doing(
    engine: EngineStatus, unit: Unit, locksmith: Unit, config: Mapping[str, str], strategy: str
) -> tuple[str | None, dict[str, str]]:
    if unit.active == "failed":
        return "failed", {}
    if unit.active is not None and unit.active not in _RUNNING_UNITS:
        return "stopped", {}
    state = _STATES.get(engine.operation)
    detail = {"version": engine.new_version} if engine.new_version else {}
    if state != "staged":
        return state, detail
    if strategy == "off" or (locksmith.active is not None and locksmith.active not in _RUNNING_UNITS):
        return state, detail
    if strategy in ("etcd-lock", "best-effort") or config.get("LOCKSMITHD_REBOOT_WINDOW_START"):
        return state, {**detail, "waiting_for": "strategy"}
    return "waiting_for_reboot", detail
