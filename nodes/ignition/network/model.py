"""The network of a host, whichever files describe it."""

from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from nodes.ignition.paths import Path
from nodes.ignition.said import Params, Said

Family = IPv4Interface | IPv6Interface
Bare = IPv4Address | IPv6Address
SWITCHED = ("bond", "bridge", "team")


@dataclass(frozen=True)
class Spot:
    """Where something stands: the path of the file's content in the document, and the line in that content."""

    at: Path
    line: int | None = None


@dataclass(frozen=True)
class NetworkFile:
    """A file that may describe network. `text` is None when its content is not known here."""

    path: str
    text: str | None = field(repr=False)
    mode: int
    owner: str
    group: str
    at: Path
    content_at: Path

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def has_prefix(text: str) -> bool:
    """Whether it ends in a prefix as in 192.0.2.0/24."""
    _, slash, prefix = text.rpartition("/")
    return bool(slash) and prefix.isascii() and prefix.isdigit()


@dataclass(frozen=True)
class Address:
    """An address with its prefix. `value` is None when it is none."""

    text: str
    spot: Spot

    @cached_property
    def value(self) -> Family | None:
        # A mask, as in /255.255.255.0, is taken by neither NetworkManager nor systemd-networkd.
        if not has_prefix(self.text):
            return None
        try:
            return ip_interface(self.text)
        except ValueError:
            return None


@dataclass(frozen=True)
class Host:
    """An address without prefix: a gateway or a name server. One that is `on_link` is reached whatever the addresses are."""

    text: str
    spot: Spot
    on_link: bool = False

    @cached_property
    def value(self) -> Bare | None:
        try:
            return ip_address(self.text.partition("%")[0])
        except ValueError:
            return None


@dataclass(frozen=True)
class Route:
    """A route. Without a gateway it leads out of the interface."""

    destination: str
    spot: Spot
    gateway: str | None = None
    metric: int | None = None
    on_link: bool = False


@dataclass(frozen=True)
class Interface:
    """One interface as it is configured.

    `ipv4` and `ipv6` are dhcp, auto (router advertisements), static, link_local, shared, disabled or unset.
    `controller` is the bond or bridge that it belongs to, `parent` what a VLAN lies on.
    """

    name: str
    kind: str
    source: str
    spot: Spot
    ipv4: str = "unset"
    ipv6: str = "unset"
    addresses: tuple[Address, ...] = ()
    gateways: tuple[Host, ...] = ()
    name_servers: tuple[Host, ...] = ()
    search: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    controller: str | None = None
    parent: str | None = None
    vlan_id: int | None = None
    mtu: int | None = None
    mac: str | None = None
    identity: str | None = None
    lines: tuple[Said, ...] = ()

    @property
    def is_static(self) -> bool:
        return bool(self.addresses)

    @property
    def uses_dhcp(self) -> bool:
        return self.ipv4 == "dhcp" or self.ipv6 == "dhcp"

    @property
    def names(self) -> tuple[str, ...]:
        """What other interfaces may call it."""
        return tuple(filter(None, (self.name, self.identity)))


@dataclass(frozen=True)
class Problem:
    """What cannot work. Codes are listed in `network.checks`."""

    code: str
    spot: Spot
    params: Params = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """All interfaces that are configured, and what is wrong with them."""

    interfaces: tuple[Interface, ...] = ()
    problems: tuple[Problem, ...] = ()
    other_files: tuple[str, ...] = ()

    def members(self, interface: Interface) -> tuple[Interface, ...]:
        """The interfaces that belong to a bond or bridge."""
        return tuple(one for one in self.interfaces if one.controller and one.controller in interface.names)

    @property
    def has_static_addresses(self) -> bool:
        return any(interface.is_static for interface in self.interfaces)
