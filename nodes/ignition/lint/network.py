"""Network: what cannot work, what is not read, and addresses that may change."""

from collections.abc import Iterator

from nodes.ignition.lint.model import FCOS, FLATCAR, Found, Rule, Severity, Subject, file_example
from nodes.ignition.network import Problem
from nodes.ignition.network.keyfiles import DIRECTORY as KEYFILES
from nodes.ignition.network.networkd import DIRECTORY as NETWORKD
from nodes.ignition.sections.model import Unit

# Which rule tells which problem of `network.checks`.
_ADDRESS = ("address_invalid", "address_not_usable", "static_without_address", "name_server_invalid", "route_invalid")
_GATEWAY = ("gateway_invalid", "gateway_outside", "gateway_own", "route_gateway_outside")
_LAYER = ("vlan_without_parent", "vlan_without_id", "members_missing", "controller_missing")
_FILE = (
    *("keyfile_name", "keyfile_owner", "no_connection_section", "networkd_unreadable"),
    *("netdev_incomplete", "network_without_match", "networkd_name", "network_shadowed"),
)
_SETTING = (
    *("method_unknown", "mtu_invalid", "mtu_above_parent", "bond_mode_unknown", "name_too_long", "member_with_address"),
)
_TWICE = ("address_twice",)
_MODE = ("keyfile_mode",)


def _problems(subject: Subject, codes: tuple[str, ...]) -> Iterator[Found]:
    for problem in subject.sections.network.problems:
        if problem.code in codes:
            yield Found(problem.spot.at, _params(problem), problem.spot.line)


def _params(problem: Problem) -> dict[str, str | int | tuple[str, ...]]:
    return {**problem.params, "problem": problem.code}


def _address(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _ADDRESS)


def _gateway(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _GATEWAY)


def _twice(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _TWICE)


def _layers(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _LAYER)


def _mode(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _MODE)


def _file(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _FILE)


def _setting(subject: Subject) -> Iterator[Found]:
    return _problems(subject, _SETTING)


def _dhcp(subject: Subject) -> Iterator[Found]:
    """Addresses that come from elsewhere may change, and then nothing finds the host."""
    network = subject.sections.network
    if network.has_static_addresses or network.other_files or not subject.is_whole:
        return
    by_dhcp = [interface for interface in network.interfaces if interface.uses_dhcp]
    for interface in by_dhcp:
        yield Found(interface.spot.at, {"interface": interface.name})
    if not network.interfaces:
        yield Found()


def _other_system(subject: Subject) -> Iterator[Found]:
    """Fedora CoreOS runs NetworkManager, Flatcar systemd-networkd: files of the other are not read."""
    units = {unit.name: unit for unit in subject.sections.units}
    for node in subject.sections.files:
        is_networkd = node.path.startswith(NETWORKD) and not node.path.endswith(".link")
        if subject.variant == FCOS and is_networkd and not _is_on(units.get("systemd-networkd.service")):
            yield Found((*node.at, "path"), {"path": node.path, "reader": "NetworkManager"})
        if subject.variant == FLATCAR and node.path.startswith(KEYFILES):
            yield Found((*node.at, "path"), {"path": node.path, "reader": "systemd-networkd"})


def _is_on(unit: Unit | None) -> bool:
    return unit is not None and bool(unit.is_enabled)


def _keyfile(text: str, *, name: str = "eth0", mode: str = "0600") -> str:
    return file_example(f"{KEYFILES}{name}.nmconnection", text, mode=mode)


_HEAD = "[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n\n[ipv4]\n"
_STATIC = _HEAD + "method=manual\naddress1=192.0.2.10/24,192.0.2.1\ndns=192.0.2.53"
_VLAN = "[connection]\nid=vlan100\ntype=vlan\ninterface-name=vlan100\n\n[vlan]\nid=100\nparent=eth0"
RULES = (
    Rule(
        "network-address",
        Severity.ERROR,
        _address,
        _keyfile(_STATIC),
        _keyfile(_STATIC.replace("192.0.2.10/24", "192.0.2.300/24")),
    ),
    Rule(
        "network-gateway",
        Severity.ERROR,
        _gateway,
        _keyfile(_STATIC),
        _keyfile(_STATIC.replace(",192.0.2.1", ",198.51.100.1")),
    ),
    Rule(
        "network-address-twice",
        Severity.ERROR,
        _twice,
        _keyfile(_STATIC),
        _keyfile(_STATIC.replace("dns=", "address2=192.0.2.10/24\ndns=")),
    ),
    Rule(
        "network-layers",
        Severity.ERROR,
        _layers,
        _keyfile(_VLAN, name="vlan100"),
        _keyfile(_VLAN.replace("\nparent=eth0", ""), name="vlan100"),
    ),
    Rule("keyfile-mode", Severity.ERROR, _mode, _keyfile(_STATIC), _keyfile(_STATIC, mode="0644")),
    Rule(
        "network-file",
        Severity.ERROR,
        _file,
        _keyfile(_STATIC),
        file_example(f"{KEYFILES}eth0", _STATIC, mode="0600"),
    ),
    Rule(
        "network-setting",
        Severity.ERROR,
        _setting,
        _keyfile(_STATIC),
        _keyfile(_STATIC.replace("method=manual", "method=static")),
    ),
    Rule("network-dhcp", Severity.ADVICE, _dhcp, _keyfile(_STATIC), _keyfile(_HEAD + "method=auto")),
    Rule(
        "network-other-system",
        Severity.WARNING,
        _other_system,
        _keyfile(_STATIC),
        file_example(f"{NETWORKD}10-eth0.network", "[Match]\nName=eth0\n\n[Network]\nAddress=192.0.2.10/24"),
    ),
)
