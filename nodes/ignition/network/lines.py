"""What the configuration of an interface does, as sentences."""

from nodes.ignition.network.model import Interface
from nodes.ignition.said import Said, said

_BY_KIND = ("vlan", "bond", "bridge", "team", "wireguard")
_METHODS = ("dhcp", "auto", "link_local", "shared", "disabled")


def interface_lines(interface: Interface, members: tuple[str, ...]) -> tuple[Said, ...]:
    """What it is, where its addresses come from, and where it leads."""
    name = interface.name
    lines: list[Said] = []
    if interface.kind == "vlan":
        lines.append(said("interface_vlan", interface=name, number=interface.vlan_id, parent=interface.parent))
    elif interface.kind in _BY_KIND:
        lines.append(said(f"interface_{interface.kind}", interface=name, members=members or None))
    if interface.controller:
        lines.append(said("interface_member", interface=name, controller=interface.controller))
    if interface.addresses:
        addresses = tuple(address.text for address in interface.addresses)
        lines.append(said("interface_addresses", interface=name, addresses=addresses))
    for family, method in (("IPv4", interface.ipv4), ("IPv6", interface.ipv6)):
        if method in _METHODS:
            lines.append(said(f"interface_{method}", interface=name, family=family))
    if interface.gateways:
        gateways = tuple(gateway.text for gateway in interface.gateways)
        lines.append(said("interface_gateways", interface=name, gateways=gateways))
    if interface.name_servers:
        servers = tuple(server.text for server in interface.name_servers)
        lines.append(said("interface_name_servers", interface=name, name_servers=servers))
    if interface.search:
        lines.append(said("interface_search", interface=name, domains=interface.search))
    for route in interface.routes:
        lines.append(said("interface_route", interface=name, route=route.destination, gateway=route.gateway))
    if interface.mtu is not None:
        lines.append(said("interface_mtu", interface=name, mtu=interface.mtu))
    return tuple(lines)
