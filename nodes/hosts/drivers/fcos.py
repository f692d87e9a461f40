"""Fedora CoreOS and its relatives: hosts whose system is an ostree deployment."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from nodes.hosts.drivers import bootc, ostree_commands, rpmostree
from nodes.hosts.drivers.base import Capability, Command, CommandRefused, Driver, Look, ProbeReading
from nodes.hosts.drivers.documents import iso_time, number, plain
from nodes.hosts.drivers.linux import look_at, read_linux
from nodes.hosts.drivers.rpmostree import OsTreeState
from nodes.hosts.drivers.sections import linux_sections, rpm_ostree_sections
from nodes.hosts.drivers.systemd import parse_show
from nodes.hosts.drivers.zincati import read_agent
from nodes.hosts.facts import Facts, Update
from nodes.hosts.probe import ProbeOutput, Section

_ERROR = re.compile(r"(?:^|: )error: ([^\n]{1,1000})$", re.MULTILINE)
_NO_PREVIOUS_BOOT = ("specified boot", "no such boot", "boot id")
_ZINCATI_KINDS = ("zincati_pause", "zincati_resume", "zincati_restart", "hold")
_NO_ZINCATI = Capability(supported=False, reason="Zincati is part of Fedora CoreOS only.")
_BY_CLUSTER = Capability(
    supported=False,
    reason="The Machine Config Operator of the cluster updates this host; a change here would be undone.",
)
_ONLY_ON_OSTREE = (
    "upgrade",
    "deploy",
    "rebase",
    "finalize",
    "rollback",
    "kargs_set",
    "cleanup_pending",
    "cleanup_rollback",
    "cleanup_old",
)


def _capabilities(family: str) -> Mapping[str, Capability]:
    table = dict(ostree_commands.CAPABILITIES)
    if family != "fcos":
        table |= dict.fromkeys(_ZINCATI_KINDS, _NO_ZINCATI)
    if family in ("rhcos", "scos"):
        table |= dict.fromkeys(_ONLY_ON_OSTREE, _BY_CLUSTER)
    return table


class RpmOstreeDriver(Driver):
    """Reads and changes an rpm-ostree or bootc host of one family."""

    fence = ostree_commands.FENCE
    has_ignition = True
    platform_keys = frozenset({"afterburn"})

    def __init__(self, family: str, name: str) -> None:
        self.family = family
        self.name = name
        self.capabilities = _capabilities(family)
        self.agent_units = ("zincati.service",) if family == "fcos" else ()

    def probe(self) -> tuple[Section, ...]:
        return (*linux_sections(), *rpm_ostree_sections())

    def parse(self, output: ProbeOutput, now: datetime) -> ProbeReading:
        look = look_at(output, now)
        facts, measurement = read_linux(look)
        facts = _with_updates(facts, look)
        facts = replace(facts, agent=read_agent(look))
        return ProbeReading(replace(facts, unread=tuple(look.unread)), measurement)

    def command(self, kind: str, **params: object) -> Command:
        capability = self.capabilities.get(kind)
        if capability is not None and not capability.supported:
            raise CommandRefused(capability.reason)
        return ostree_commands.make(kind, params)

    def staging(self, target: Mapping[str, Any]) -> Command:
        """By image digest, by checksum, by version, or the newest of its stream."""
        if image := target.get("image"):
            digest = target.get("digest")
            return self.command("rebase", image=image, digest=digest) if digest else self.command("upgrade")
        if target.get("checksum"):
            return self.command("deploy", checksum=target["checksum"])
        if target.get("version"):
            return self.command("deploy", version=target["version"])
        return self.command("upgrade")

    def going_back(self, deployment: Mapping[str, Any]) -> Command:
        return self.command("rollback")

    def offered(self, facts: Facts, said: str) -> str | None:
        return rpmostree.parse_check(said)


def _with_updates(facts: Facts, look: Look) -> Facts:
    state = _state(look)
    deployments = state.deployments
    if "staged-deployment-locked" in _run_ostree(look):
        deployments = tuple(replace(one, locked=True) if one.staged else one for one in deployments)
    booted = next((one for one in deployments if one.booted), None)
    update = Update(
        manager=state.manager,
        transaction=state.transaction,
        cached_update=state.cached_update,
        driver=state.driver,
        pending_commit=state.pending_commit,
        finalize_failed=_finalize_failed(look),
        reboot_pending=rpmostree.reboot_changes(deployments),
        order_changed=_order_changed(look, facts.boot.booted_at),
    )
    stream = booted.stream if booted is not None else None
    return replace(facts, os=replace(facts.os, stream=stream), deployments=deployments, update=update)


def _state(look: Look) -> OsTreeState:
    """rpm-ostree's answer where it has one, else bootc's. A host with neither is missing rpm-ostree's."""
    has_bootc = look.why_not(look.output["bootc_status"]) is None
    absent = look.why_not(look.output["rpm_ostree_status"]) == "absent"
    state = look.read("rpm_ostree_status", rpmostree.parse_status, OsTreeState(), optional=absent and has_bootc)
    if state.read or not (has_bootc or absent):
        return state
    return look.read("bootc_status", bootc.parse_status, OsTreeState(), optional=True)


def _run_ostree(look: Look) -> frozenset[str]:
    names = look.read("run_ostree", lambda text, _: text.split(), [], optional=True)
    return frozenset(names)


def _order_changed(look: Look, booted_at: str | None) -> bool | None:
    """Whether the boot order was written in this boot. A staged deployment becomes first at shutdown, before the boot."""
    written_at = look.read("boot_order", _time_of_link, None, optional=True)
    if written_at is None or booted_at is None:
        return None
    return written_at > booted_at


def _time_of_link(text: str, problems: list[str]) -> str | None:
    found = iso_time(number(text.strip()))
    if found is None:
        problems.append("this is not a time")
    return found


def _finalize_failed(look: Look) -> str | None:
    """Why the deployment that was staged in the previous boot was not finished at shutdown."""
    found = look.output["finalize_journal"]
    no_previous = any(words in found.stderr.lower() for words in _NO_PREVIOUS_BOOT)
    if not no_previous:
        errors = look.read("finalize_journal", lambda text, _: _ERROR.findall(text), [], optional=True)
        if errors:
            return plain(errors[-1].strip())
    units = look.read("ostree_units", lambda text, _: parse_show(text), [], optional=True)
    failed = [unit for unit in units if unit.get("ActiveState") == "failed"]
    return f"{failed[0].get('Id', 'a unit of ostree')}: {failed[0].get('Result', 'failed')}" if failed else None
