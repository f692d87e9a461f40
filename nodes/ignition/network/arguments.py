"""Network by kernel arguments, as dracut.cmdline(7) reads them: ip=, nameserver=, rd.route=, vlan=, bond=, bridge=."""

import re
from ipaddress import IPv4Network

from nodes.ignition.network.model import Address, Host, Interface, Route, Spot
from nodes.ignition.paths import Path

_SOURCE = "kernel"
_FIELD = re.compile(r"\[([^\]]*)\]|([^:]*)")
_METHODS = {
    "dhcp": ("dhcp", "unset"),
    "on": ("dhcp", "unset"),
    "any": ("dhcp", "unset"),
    "single-dhcp": ("dhcp", "unset"),
    "dhcp6": ("unset", "dhcp"),
    "auto6": ("unset", "auto"),
    "link6": ("unset", "link_local"),
    "link-local": ("link_local", "unset"),
    "either6": ("unset", "auto"),
}


def read_arguments(arguments: list[tuple[str, Path]]) -> list[Interface]:
    """The interfaces that arguments describe."""
    interfaces: list[Interface] = []
    members: dict[str, str] = {}
    servers: list[Host] = []
    routes: list[Route] = []
    for text, at in arguments:
        name, equals, value = text.partition("=")
        fields = _fields(value)
        spot = Spot(at)
        if not equals:
            continue
        if name == "ip":
            interfaces.append(_interface(value, fields, spot))
        elif name == "nameserver":
            servers.append(Host(value.strip("[]"), spot))
        elif name == "rd.route" and len(fields) >= 2:
            routes.append(Route(fields[0], spot, fields[1] or None))
        elif name == "vlan" and len(fields) >= 2:
            number = re.search(r"(\d+)\Z", fields[0])
            interfaces.append(
                Interface(
                    fields[0], "vlan", _SOURCE, spot, parent=fields[1], vlan_id=int(number[1]) if number else None
                )
            )
        elif name in ("bond", "bridge") and len(fields) >= 2:
            interfaces.append(Interface(fields[0], name, _SOURCE, spot))
            for member in filter(None, fields[1].split(",")):
                members[member] = fields[0]
                interfaces.append(Interface(member, "ethernet", _SOURCE, spot, controller=fields[0]))
    return _joined(interfaces, servers, routes)


def _joined(interfaces: list[Interface], servers: list[Host], routes: list[Route]) -> list[Interface]:
    """One of each name; name servers and routes, which name no interface, go with the first that has addresses."""
    by_name: dict[str, Interface] = {}
    for one in interfaces:
        known = by_name.get(one.name)
        by_name[one.name] = _merged(known, one) if known else one
    if by_name and (servers or routes):
        first = next((name for name, one in by_name.items() if one.addresses), next(iter(by_name)))
        one = by_name[first]
        by_name[first] = Interface(
            **{**vars(one), "name_servers": (*one.name_servers, *servers), "routes": (*one.routes, *routes)}
        )
    return list(by_name.values())


def _merged(first: Interface, second: Interface) -> Interface:
    told = {
        name: value
        for name, value in vars(second).items()
        if value not in (None, (), "unset") and name not in ("kind", "spot", "source")
    }
    kind = second.kind if first.kind == "ethernet" else first.kind
    return Interface(**{**vars(first), **told, "kind": kind})


def _fields(value: str) -> list[str]:
    """The parts between colons; an IPv6 address stands in brackets."""
    fields: list[str] = []
    at = 0
    while at <= len(value):
        match = _FIELD.match(value, at)
        if match is None:
            break
        fields.append(match[1] if match[1] is not None else match[2])
        at = match.end() + 1
    return fields


def _interface(value: str, fields: list[str], spot: Spot) -> Interface:
    """`ip=dhcp`, `ip=eth0:dhcp:MTU:MAC`, `ip=CLIENT:PEER:GATEWAY:NETMASK:HOSTNAME:INTERFACE:METHOD:...`."""
    if len(fields) <= 1:
        ipv4, ipv6 = _METHODS.get(value, ("unset", "unset"))
        return Interface("*", "ethernet", _SOURCE, spot, ipv4, ipv6)
    if len(fields) < 6:
        ipv4, ipv6 = _methods(fields[1])
        return Interface(fields[0], "ethernet", _SOURCE, spot, ipv4, ipv6, mtu=_number(fields, 2))
    client, _, gateway, mask, _, name, *rest = fields
    ipv4, ipv6 = _METHODS.get(rest[0] if rest else "", ("unset", "unset"))
    addresses = (Address(f"{client}/{_prefix(mask)}", spot),) if client else ()
    servers = tuple(Host(one, spot) for one in rest[1:3] if one and (":" in one or "." in one))
    if addresses and addresses[0].value is not None:
        ipv4, ipv6 = ("static", ipv6) if addresses[0].value.version == 4 else (ipv4, "static")
    gateways = (Host(gateway, spot),) if gateway else ()
    return Interface(name or "*", "ethernet", _SOURCE, spot, ipv4, ipv6, addresses, gateways, servers)


def _methods(words: str) -> tuple[str, str]:
    """Several may be given: `dhcp,dhcp6`."""
    ipv4 = ipv6 = "unset"
    for word in words.split(","):
        four, six = _METHODS.get(word, ("unset", "unset"))
        ipv4, ipv6 = four if four != "unset" else ipv4, six if six != "unset" else ipv6
    return ipv4, ipv6


def _number(fields: list[str], at: int) -> int | None:
    return int(fields[at]) if len(fields) > at and fields[at].isascii() and fields[at].isdigit() else None


def _prefix(mask: str) -> str:
    """`24` and `255.255.255.0` to `24`; anything else as it is."""
    if mask.count(".") != 3:
        return mask
    try:
        return str(IPv4Network(f"0.0.0.0/{mask}").prefixlen)
    except ValueError:
        return mask
