"""NetworkManager keyfiles (nm-settings-keyfile(5)): one connection each."""

import re
from collections.abc import Iterator

from nodes.ignition.network.model import Address, Host, Interface, NetworkFile, Problem, Route, Spot
from nodes.ignition.network.settings import check_bond_mode, check_mtu, check_name
from nodes.ignition.options import Option, Options, read_options

DIRECTORY = "/etc/NetworkManager/system-connections/"
_EXTENSION = ".nmconnection"
_PRIVATE_MODES = (0o600, 0o400)
_KINDS = {"802-3-ethernet": "ethernet", "802-11-wireless": "wifi"}
_METHODS = {
    "auto": {"ipv4": "dhcp", "ipv6": "auto"},
    "dhcp": {"ipv6": "dhcp"},
    "manual": {"ipv4": "static", "ipv6": "static"},
    "link-local": {"ipv4": "link_local", "ipv6": "link_local"},
    "shared": {"ipv4": "shared", "ipv6": "shared"},
    "disabled": {"ipv4": "disabled", "ipv6": "disabled"},
    "ignore": {"ipv6": "unset"},
}
_ADDRESS = re.compile(r"address(es)?(\d*)\Z")
_ROUTE = re.compile(r"routes?(\d*)\Z")
_SEPARATOR = re.compile(r"[;,]\s*")
_RENAMED = (("connection", "master", "controller"), ("connection", "slave-type", "port-type"))


def read_keyfile(file: NetworkFile) -> tuple[Interface | None, list[Problem]]:
    """The connection of a file, and why NetworkManager would not take it."""
    problems = list(_file_problems(file))
    if file.text is None:
        return None, problems
    options = read_options(file.text, continues=False)
    spot = Spot(file.content_at)
    if not options.has_section("connection"):
        return None, [*problems, Problem("no_connection_section", spot, {"path": file.path})]
    identity = options.value("connection", "id") or file.name.removesuffix(_EXTENSION)
    kind = options.value("connection", "type") or "ethernet"
    kind = _KINDS.get(kind, kind)
    vlan_id = _number(options.last("vlan", "id"))
    gateways: list[Host] = []
    routes: list[Route] = []
    addresses: list[Address] = []
    for section in ("ipv4", "ipv6"):
        found, ways = _addresses(options, section, file)
        addresses.extend(found)
        gateways.extend(ways)
        routes.extend(_routes(options, section, file))
    interface = Interface(
        options.value("connection", "interface-name") or identity,
        kind,
        file.path,
        spot,
        _method(options, "ipv4"),
        _method(options, "ipv6"),
        tuple(addresses),
        tuple(gateways),
        tuple(_name_servers(options, file)),
        tuple(word for section in ("ipv4", "ipv6") for word, _ in _listed(options, section, "dns-search")),
        tuple(routes),
        options.value("connection", "controller", "master"),
        options.value("vlan", "parent"),
        vlan_id,
        _number(options.last("ethernet", "mtu") or options.last("802-3-ethernet", "mtu")),
        options.value("ethernet", "mac-address") or options.value("802-3-ethernet", "mac-address"),
        options.value("connection", "uuid") or identity,
    )
    problems.extend(_setting_problems(interface.name, options, file))
    for section in ("ipv4", "ipv6"):
        method = options.last(section, "method")
        if method is not None and method.value == "manual" and not _has_family(interface, section):
            problems.append(
                Problem("static_without_address", _spot(file, method), {"interface": interface.name, "family": section})
            )
    return interface, problems


def _setting_problems(name: str, options: Options, file: NetworkFile) -> Iterator[Problem]:
    """Values for which NetworkManager refuses the file, or which it passes over."""
    for section in ("ipv4", "ipv6"):
        method = options.last(section, "method")
        if method is not None and section not in _METHODS.get(method.value, {}) and "${" not in method.value:
            told = {"interface": name, "family": section, "method": method.value}
            yield Problem("method_unknown", _spot(file, method), told)
    for option, check in (
        (options.last("ethernet", "mtu") or options.last("802-3-ethernet", "mtu"), check_mtu),
        (options.last("bond", "mode"), check_bond_mode),
    ):
        if option is not None:
            yield from check(option, _spot(file, option), name)
    own_name = options.last("connection", "interface-name")
    if own_name is not None:
        yield from check_name(own_name, _spot(file, own_name))


def renamed_options(file: NetworkFile) -> Iterator[tuple[str, str, int]]:
    """Options that NetworkManager has given another name: old, new, line."""
    options = read_options(file.text or "", continues=False)
    for section, old, new in _RENAMED:
        option = options.last(section, old)
        if option is not None:
            yield f"{section}.{old}", f"{section}.{new}", option.line


def _file_problems(file: NetworkFile) -> Iterator[Problem]:
    if not file.name.endswith(_EXTENSION):
        yield Problem("keyfile_name", Spot((*file.at, "path")), {"path": file.path})
    if file.mode not in _PRIVATE_MODES:
        yield Problem("keyfile_mode", Spot((*file.at, "mode")), {"path": file.path, "mode": f"{file.mode:04o}"})
    if file.owner not in ("root", "0"):
        yield Problem("keyfile_owner", Spot((*file.at, "user")), {"path": file.path, "owner": file.owner})


def _spot(file: NetworkFile, option: Option) -> Spot:
    return Spot(file.content_at, option.line)


def _number(option: Option | None) -> int | None:
    return int(option.value) if option is not None and option.value.isascii() and option.value.isdigit() else None


def _method(options: Options, section: str) -> str:
    method = options.value(section, "method")
    if method is None:
        return "unset"
    return _METHODS.get(method, {}).get(section, "unset")


def _has_family(interface: Interface, section: str) -> bool:
    version = 4 if section == "ipv4" else 6
    return any(one.value is None or one.value.version == version for one in interface.addresses)


def _addresses(options: Options, section: str, file: NetworkFile) -> tuple[list[Address], list[Host]]:
    """`address1=192.0.2.5/24,192.0.2.1` and `addresses=192.0.2.5/24;...`, with their gateways."""
    addresses: list[Address] = []
    gateways: list[Host] = []
    for option in options:
        match = _ADDRESS.match(option.name) if option.section == section else None
        if match is None or not option.value:
            continue
        spot = _spot(file, option)
        if match[1] and not match[2]:
            addresses.extend(Address(one, spot) for one in filter(None, _SEPARATOR.split(option.value)))
            continue
        address, _, gateway = option.value.partition(",")
        addresses.append(Address(address.strip(), spot))
        if gateway.strip():
            gateways.append(Host(gateway.strip(), spot))
    gateway_option = options.last(section, "gateway")
    if gateway_option is not None:
        gateways.append(Host(gateway_option.value, _spot(file, gateway_option)))
    return addresses, gateways


def _routes(options: Options, section: str, file: NetworkFile) -> Iterator[Route]:
    """`route1=198.51.100.0/24,192.0.2.1,100`."""
    for option in options:
        match = _ROUTE.match(option.name) if option.section == section else None
        if match is None:
            continue
        more = options.value(section, f"route{match[1]}_options") or ""
        destination, *rest = [part.strip() for part in option.value.split(",")]
        metric = rest[1] if len(rest) > 1 and rest[1].isdigit() else None
        yield Route(
            destination,
            _spot(file, option),
            (rest[0] if rest else "") or None,
            int(metric) if metric else None,
            "onlink=true" in more.replace(" ", "").split(","),
        )


def _name_servers(options: Options, file: NetworkFile) -> Iterator[Host]:
    for section in ("ipv4", "ipv6"):
        for word, line in _listed(options, section, "dns"):
            # NetworkManager takes dns+tls://ADDRESS#NAME and ADDRESS#NAME too.
            yield Host(word.rpartition("://")[2].partition("#")[0], Spot(file.content_at, line))


def _listed(options: Options, section: str, name: str) -> list[tuple[str, int]]:
    return [
        (word, option.line)
        for option in options.find(section, name)
        for word in filter(None, _SEPARATOR.split(option.value))
    ]
