"""systemd-networkd's files: .netdev makes an interface, .network configures those that it matches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nodes.ignition.network.model import Address, Host, Interface, NetworkFile, Problem, Route, Spot
from nodes.ignition.network.settings import bytes_of, check_bond_mode, check_mtu, check_name
from nodes.ignition.options import Option, Options, read_options

DIRECTORY = "/etc/systemd/network/"
_DHCP = {"yes": (True, True), "true": (True, True), "on": (True, True), "1": (True, True), "both": (True, True)}
_DHCP |= {"ipv4": (True, False), "v4": (True, False), "ipv6": (False, True), "v6": (False, True)}
_YES = ("yes", "true", "on", "1")
_READABLE_BY_OTHERS = 0o004
# systemd-networkd runs as a user of its own, so files have to be readable by it.
_GROUPS = ("systemd-network",)


@dataclass(frozen=True)
class _Read:
    file: NetworkFile
    options: Options

    def spot(self, option: Option | None = None) -> Spot:
        return Spot(self.file.content_at, option.line if option else None)


def read_networkd(files: list[NetworkFile]) -> tuple[list[Interface], list[Problem]]:
    """The interfaces of all files together."""
    read = [_Read(file, read_options(file.text)) for file in files if file.text is not None]
    networks = [one for one in read if one.file.name.endswith(".network")]
    problems = [
        Problem("networkd_unreadable", Spot((*file.at, "mode")), {"path": file.path, "mode": f"{file.mode:04o}"})
        for file in files
        if not file.mode & _READABLE_BY_OTHERS and file.group not in _GROUPS
    ]
    parents = {
        name: _match(one)
        for one in networks
        for key in ("VLAN", "MACVLAN", "IPVLAN")
        for name, _ in one.options.words("Network", key)
    }
    problems.extend(problem for one in read for problem in _setting_problems(one))
    by_name: dict[str, list[_Read]] = {}
    for one in networks:
        for name in (one.options.value("Match", "Name") or "").split():
            by_name.setdefault(name, []).append(one)
    problems.extend(_shadowed(networks))
    interfaces: list[Interface] = []
    used: set[str] = set()
    for one in read:
        if not one.file.name.endswith(".netdev"):
            continue
        made = _netdev(one, parents)
        if made is None:
            problems.append(Problem("netdev_incomplete", one.spot(), {"path": one.file.path}))
            continue
        for network in by_name.get(made.name, []):
            made = _configured(made, network)
            used.add(network.file.path)
        interfaces.append(made)
    for one in networks:
        if one.file.path in used:
            continue
        kind = one.options.value("Match", "Type") or "ethernet"
        interfaces.append(_configured(Interface(_match(one), kind, one.file.path, one.spot()), one))
        if not one.options.has_section("Match"):
            problems.append(Problem("network_without_match", one.spot(), {"path": one.file.path}))
    return interfaces, problems


def _shadowed(networks: list[_Read]) -> Iterator[Problem]:
    """Of the files for one interface only the first by name is used. Those that match by more may be for others."""
    first: dict[str, _Read] = {}
    for one in sorted(networks, key=lambda one: one.file.name):
        if any(option.section == "Match" and option.name != "Name" for option in one.options):
            continue
        names = one.options.last("Match", "Name")
        for name in names.value.split() if names else ():
            other = first.setdefault(name, one)
            if other is not one:
                told = {"path": one.file.path, "other": other.file.path, "interface": name}
                yield Problem("network_shadowed", one.spot(names), told)


def _setting_problems(one: _Read) -> Iterator[Problem]:
    """Values that systemd-networkd passes over."""
    options = one.options
    name = options.last("NetDev", "Name")
    shown = name.value if name else _match(one)
    if name is not None:
        yield from check_name(name, one.spot(name))
    for mtu in (options.last("NetDev", "MTUBytes"), options.last("Link", "MTUBytes")):
        if mtu is not None:
            yield from check_mtu(mtu, one.spot(mtu), shown)
    mode = options.last("Bond", "Mode")
    if mode is not None:
        yield from check_bond_mode(mode, one.spot(mode), shown)


def _match(one: _Read) -> str:
    """What a .network is for, in short."""
    for key in ("Name", "MACAddress", "PermanentMACAddress", "Path", "Driver", "Type"):
        value = one.options.value("Match", key)
        if value:
            return value if key == "Name" else f"{key}={value}"
    return one.file.name


def _netdev(one: _Read, parents: dict[str, str]) -> Interface | None:
    name, kind = one.options.value("NetDev", "Name"), one.options.value("NetDev", "Kind")
    if not name or not kind:
        return None
    return Interface(
        name,
        kind,
        one.file.path,
        one.spot(),
        parent=parents.get(name),
        vlan_id=_number(one.options.value("VLAN", "Id")),
        mtu=bytes_of(one.options.last("NetDev", "MTUBytes")),
        mac=one.options.value("NetDev", "MACAddress"),
    )


def _configured(interface: Interface, one: _Read) -> Interface:
    options = one.options
    dhcp4, dhcp6 = _DHCP.get((options.value("Network", "DHCP") or "").lower(), (False, False))
    addresses = tuple(
        Address(option.value, one.spot(option))
        for section in ("Network", "Address")
        for option in options.find(section, "Address")
    )
    gateways, routes = _routes(one)
    versions = {address.value.version for address in addresses if address.value is not None}
    link_local = (options.value("Network", "LinkLocalAddressing") or "").lower()
    takes_adverts = (options.value("Network", "IPv6AcceptRA") or "").lower() in _YES
    return replace(
        interface,
        ipv4="dhcp"
        if dhcp4
        else "static"
        if 4 in versions
        else "link_local"
        if link_local in ("yes", "ipv4")
        else "unset",
        ipv6="dhcp" if dhcp6 else "static" if 6 in versions else "auto" if takes_adverts else "unset",
        addresses=(*interface.addresses, *addresses),
        gateways=(*interface.gateways, *gateways),
        name_servers=(
            *interface.name_servers,
            *(Host(_plain(word), Spot(one.file.content_at, line)) for word, line in options.words("Network", "DNS")),
        ),
        search=(*interface.search, *(word for word, _ in options.words("Network", "Domains"))),
        routes=(*interface.routes, *routes),
        controller=options.value("Network", "Bond") or options.value("Network", "Bridge") or interface.controller,
        mtu=bytes_of(options.last("Link", "MTUBytes")) or interface.mtu,
        mac=options.value("Link", "MACAddress") or interface.mac,
        identity=interface.identity,
    )


def _plain(word: str) -> str:
    """`ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, `ADDRESS#NAME` to the address."""
    word = word.partition("#")[0]
    if word.startswith("["):
        return word[1:].partition("]")[0]
    return word.partition(":")[0] if word.count(":") == 1 else word


def _routes(one: _Read) -> tuple[list[Host], list[Route]]:
    """Gateways of the default route, and all other routes."""
    gateways = [Host(option.value, one.spot(option)) for option in one.options.find("Network", "Gateway")]
    routes: list[Route] = []
    for block in one.options.blocks("Route"):
        gateway, destination = block.last("Route", "Gateway"), block.last("Route", "Destination")
        metric = _number(block.value("Route", "Metric"))
        on_link = (block.value("Route", "GatewayOnLink", "GatewayOnlink") or "").lower() in _YES
        if destination is None or destination.value in ("0.0.0.0/0", "::/0"):
            if gateway is not None:
                gateways.append(Host(gateway.value, one.spot(gateway), on_link))
            continue
        via = gateway.value if gateway else None
        routes.append(Route(destination.value, one.spot(destination), via, metric, on_link))
    # A gateway may also be told by its protocol.
    return [one for one in gateways if not one.text.startswith("_")], routes


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
