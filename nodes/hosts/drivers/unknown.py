"""A plain Linux host, or one whose driver is not there yet: common facts, and no way to change it."""

from dataclasses import replace
from datetime import datetime

from nodes.hosts.drivers.base import Capability, Command, CommandRefused, Driver, Fence, ProbeReading
from nodes.hosts.drivers.linux import look_at, read_linux
from nodes.hosts.drivers.ostree_commands import CAPABILITIES
from nodes.hosts.drivers.sections import linux_sections
from nodes.hosts.probe import ProbeOutput, Section


class UnknownDriver(Driver):
    """Only looks."""

    fence = Fence("none", "This driver does not change hosts, so it needs no fence.")

    def __init__(self, family: str, name: str) -> None:
        self.family = family
        self.name = name
        self._reason = f"FleetUI reads {name} hosts but cannot change them."
        self.capabilities = {kind: Capability(supported=False, reason=self._reason) for kind in CAPABILITIES}

    def probe(self) -> tuple[Section, ...]:
        return linux_sections()

    def parse(self, output: ProbeOutput, now: datetime) -> ProbeReading:
        look = look_at(output, now)
        facts, measurement = read_linux(look)
        return ProbeReading(replace(facts, unread=tuple(look.unread)), measurement)

    def command(self, kind: str, **params: object) -> Command:
        raise CommandRefused(self._reason)
