"""What cannot work in a network, over all files together."""

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_network

from nodes.ignition.network.model import SWITCHED, Address, Interface, Network, Problem, Spot, has_prefix
from nodes.ignition.said import Params

_VLAN_IDS = range(1, 4095)
_DEFAULTS = ("0.0.0.0/0", "::/0", "default")
PROBLEMS = (
    *("address_invalid", "address_twice", "address_not_usable", "gateway_invalid", "gateway_outside"),
    *("name_server_invalid", "route_invalid", "route_gateway_outside"),
    *("vlan_without_parent", "vlan_without_id", "members_missing", "controller_missing", "static_without_address"),
    *("keyfile_mode", "keyfile_name", "keyfile_owner", "no_connection_section", "networkd_unreadable"),
    *("netdev_incomplete", "network_without_match", "networkd_name", "network_shadowed", "gateway_own"),
    *("method_unknown", "mtu_invalid", "mtu_above_parent", "bond_mode_unknown", "name_too_long", "member_with_address"),
)


def check_network(network: Network) -> Iterator[Problem]:
    """Problems in the order of interfaces."""
    names = {name for interface in network.interfaces for name in interface.names}
    controllers = {interface.controller for interface in network.interfaces}
    sizes = {name: interface.mtu for interface in network.interfaces for name in interface.names if interface.mtu}
    for interface in network.interfaces:
        yield from _addresses(interface)
        yield from _gateways(interface)
        yield from _servers(interface)
        yield from _routes(interface)
        yield from _layers(interface, controllers, names)
        yield from _frames(interface, sizes)
    yield from _twice(network)


def _addresses(interface: Interface) -> Iterator[Problem]:
    for address in interface.addresses:
        told = {"interface": interface.name, "address": address.text}
        value = address.value
        if value is None:
            yield Problem("address_invalid", address.spot, told)
        elif _is_not_usable(interface, address):
            yield Problem("address_not_usable", address.spot, told)


def _is_not_usable(interface: Interface, address: Address) -> bool:
    """The address of the network itself, or its broadcast address; small networks have neither."""
    value = address.value
    if value is None:
        return False
    network = value.network
    if value.ip.is_unspecified:
        # systemd-networkd then takes a free network of that size.
        return not interface.source.endswith((".network", ".netdev"))
    if value.ip.is_multicast:
        return True
    if network.version == 6 or network.prefixlen >= 31:
        return False
    return value.ip in (network.network_address, network.broadcast_address)


def _gateways(interface: Interface) -> Iterator[Problem]:
    for gateway in interface.gateways:
        told = {"interface": interface.name, "gateway": gateway.text}
        if gateway.value is None:
            yield Problem("gateway_invalid", gateway.spot, told)
        elif any(one.value is not None and one.value.ip == gateway.value for one in interface.addresses):
            yield Problem("gateway_own", gateway.spot, told)
        elif not gateway.on_link and _is_outside(interface, gateway.text):
            yield Problem("gateway_outside", gateway.spot, told)


def _is_outside(interface: Interface, gateway: str) -> bool:
    """Whether no static address of the interface can reach a gateway directly."""
    try:
        network = ip_network(gateway)
    except ValueError:
        return False
    values = [one.value for one in interface.addresses if one.value is not None]
    same = [value for value in values if value.version == network.version]
    if (
        not same
        or network.network_address.is_link_local
        or any(value.network.prefixlen == value.max_prefixlen for value in same)
    ):
        return False
    return all(network.network_address not in value.network for value in same)


def _servers(interface: Interface) -> Iterator[Problem]:
    for server in interface.name_servers:
        if server.value is None:
            yield Problem("name_server_invalid", server.spot, {"interface": interface.name, "name_server": server.text})


def _routes(interface: Interface) -> Iterator[Problem]:
    for route in interface.routes:
        told = {"interface": interface.name, "route": route.destination}
        if route.destination not in _DEFAULTS and not _is_network(route.destination):
            yield Problem("route_invalid", route.spot, told)
        elif route.gateway and not route.on_link and _is_outside(interface, route.gateway):
            yield Problem("route_gateway_outside", route.spot, told | {"gateway": route.gateway})


def _is_network(text: str) -> bool:
    if "/" in text and not has_prefix(text):
        return False
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _layers(interface: Interface, controllers: set[str | None], names: set[str]) -> Iterator[Problem]:
    """VLANs have a parent and a number, bonds and bridges have members."""
    told = {"interface": interface.name}
    if interface.kind == "vlan":
        if not interface.parent:
            yield Problem("vlan_without_parent", interface.spot, told)
        if interface.vlan_id is None or interface.vlan_id not in _VLAN_IDS:
            yield Problem("vlan_without_id", interface.spot, told)
    # A bridge may be for containers or virtual machines, which join later.
    if interface.kind in SWITCHED and interface.kind != "bridge" and not controllers.intersection(interface.names):
        yield Problem("members_missing", interface.spot, told | {"kind": interface.kind})
    if interface.controller and interface.controller not in names:
        yield Problem("controller_missing", interface.spot, told | {"controller": interface.controller})

    if interface.controller and interface.addresses:
        told_of = {"controller": interface.controller}
        yield Problem("member_with_address", interface.addresses[0].spot, told | told_of)


def _frames(interface: Interface, sizes: dict[str, int]) -> Iterator[Problem]:
    """A VLAN cannot carry more than what it lies on."""
    parent_mtu = sizes.get(interface.parent or "")
    if interface.kind == "vlan" and interface.mtu and parent_mtu and interface.mtu > parent_mtu:
        told: Params = {
            "interface": interface.name,
            "mtu": interface.mtu,
            "parent": interface.parent or "",
            "parent_mtu": parent_mtu,
        }
        yield Problem("mtu_above_parent", interface.spot, told)


def _twice(network: Network) -> Iterator[Problem]:
    """The same address on two interfaces, or twice on one."""
    seen: defaultdict[str, list[tuple[str, Spot]]] = defaultdict(list)
    for interface in network.interfaces:
        for address in interface.addresses:
            if address.value is not None and not address.value.ip.is_link_local:
                seen[str(address.value.ip)].append((interface.name, address.spot))
    for text, uses in seen.items():
        for name, spot in uses[1:]:
            yield Problem("address_twice", spot, {"interface": name, "address": text, "other": uses[0][0]})
