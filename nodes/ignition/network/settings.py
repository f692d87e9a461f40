"""Values of settings that are refused or passed over, whichever file they stand in."""

from collections.abc import Iterator

from nodes.ignition.network.model import Problem, Spot
from nodes.ignition.options import Option

# IFNAMSIZ of the kernel, without the NUL.
_MOST_NAME_BYTES = 15
# The least that IPv4 allows, and what a frame of any link can have.
_MTU = range(68, 65_536 + 1)
_BOND_MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


def check_name(name: Option | None, spot: Spot) -> Iterator[Problem]:
    """Names that the kernel gives to no interface."""
    if name is not None and len(name.value.encode()) > _MOST_NAME_BYTES and not _is_open(name.value):
        yield Problem("name_too_long", spot, {"interface": name.value, "limit": _MOST_NAME_BYTES})


def check_mtu(mtu: Option | None, spot: Spot, interface: str) -> Iterator[Problem]:
    """0 means that it is not set, as `auto` does."""
    if mtu is None or mtu.value in ("0", "auto") or _is_open(mtu.value):
        return
    size = bytes_of(mtu)
    if size is None or size not in _MTU:
        yield Problem("mtu_invalid", spot, {"interface": interface, "mtu": mtu.value})


def check_bond_mode(mode: Option | None, spot: Spot, interface: str) -> Iterator[Problem]:
    """Modes have names, and numbers from 0."""
    if mode is None or mode.value in _BOND_MODES or _is_open(mode.value):
        return
    if mode.value not in map(str, range(len(_BOND_MODES))):
        yield Problem("bond_mode_unknown", spot, {"interface": interface, "mode": mode.value})


def bytes_of(option: Option | None) -> int | None:
    """`9000`, and `9K` as systemd takes it."""
    if option is None or not option.value.isascii():
        return None
    number, unit = (option.value[:-1], option.value[-1:]) if option.value[-1:] in _UNITS else (option.value, "")
    return int(number) * _UNITS.get(unit, 1) if number.isdigit() and len(number) < 10 else None


def _is_open(value: str) -> bool:
    """Whether it is a variable."""
    return "${" in value
