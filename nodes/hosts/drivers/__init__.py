"""The drivers by family of operating system, and the choice of one from os-release."""

from collections.abc import Mapping

from nodes.hosts.drivers.base import Detection, Driver
from nodes.hosts.drivers.fcos import RpmOstreeDriver
from nodes.hosts.drivers.flatcar import FlatcarDriver
from nodes.hosts.drivers.os_release import FEDORA_COREOS, detect
from nodes.hosts.drivers.unknown import UnknownDriver
from nodes.hosts.probe import ProbeOutput, Section

__all__ = ["Detection", "Driver", "UnknownFamily", "detect", "detect_output", "families", "get", "undetected_sections"]

_DRIVERS: Mapping[str, Driver] = {
    driver.family: driver
    for driver in (
        RpmOstreeDriver("fcos", FEDORA_COREOS),
        RpmOstreeDriver("rhcos", "Red Hat Enterprise Linux CoreOS"),
        RpmOstreeDriver("scos", "CentOS Stream CoreOS"),
        RpmOstreeDriver("silverblue", "Fedora Atomic Desktop"),
        RpmOstreeDriver("iot", "Fedora IoT"),
        RpmOstreeDriver("rpmostree", "rpm-ostree or bootc host"),
        FlatcarDriver(),
        UnknownDriver("bottlerocket", "Bottlerocket"),
        UnknownDriver("talos", "Talos Linux"),
        UnknownDriver("nixos", "NixOS"),
        UnknownDriver("unknown", "Linux"),
    )
}


class UnknownFamily(ValueError):
    """No driver has this family name."""

    def __init__(self, family: str) -> None:
        super().__init__(f"There is no driver for {family[:40]!r}; the families are {', '.join(_DRIVERS)}.")


def families() -> tuple[str, ...]:
    return tuple(_DRIVERS)


def get(family: str) -> Driver:
    """The driver of a family, or UnknownFamily."""
    try:
        return _DRIVERS[family]
    except KeyError:
        raise UnknownFamily(family) from None


def undetected_sections() -> tuple[Section, ...]:
    """One look at a host of unknown family: what any driver of today reads, so that one exec is enough."""
    sections = (section for family in ("fcos", "flatcar") for section in _DRIVERS[family].probe())
    return tuple({section.name: section for section in sections}.values())


def detect_output(output: ProbeOutput) -> Detection:
    """The family of the host that answered a probe, from either os-release."""
    first = output["os_release"]
    return detect(first.stdout if first.ok else output["usr_os_release"].stdout)
