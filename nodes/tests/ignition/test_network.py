"""Network from keyfiles, networkd files and kernel arguments, and what cannot work in it."""

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.ignition.network import Interface, Network, NetworkFile, read_network
from nodes.ignition.network.checks import PROBLEMS

NM = "/etc/NetworkManager/system-connections/"
NETWORKD = "/etc/systemd/network/"


def file(path: str, text: str | None, *, mode: int | None = None, owner: str = "root") -> NetworkFile:
    default = 0o600 if path.startswith(NM) else 0o644
    body = dedent(text) if text is not None else None
    at = ("storage", "files", 0)
    return NetworkFile(path, body, default if mode is None else mode, owner, "root", at, (*at, "contents"))


def network(*files: NetworkFile, arguments: tuple[str, ...] = ()) -> Network:
    return read_network(files, [(text, ("kernelArguments", "shouldExist", n)) for n, text in enumerate(arguments)])


def problems(*files: NetworkFile, arguments: tuple[str, ...] = ()) -> list[tuple[str, int | None]]:
    return [(problem.code, problem.spot.line) for problem in network(*files, arguments=arguments).problems]


def shown(interface: Interface) -> tuple[str, str, str, str, list[str], list[str], list[str]]:
    return (
        interface.name,
        interface.kind,
        interface.ipv4,
        interface.ipv6,
        [one.text for one in interface.addresses],
        [one.text for one in interface.gateways],
        [one.text for one in interface.name_servers],
    )


def test_keyfile() -> None:
    found = network(
        file(
            NM + "eth0.nmconnection",
            """
            [connection]
            id=lan
            type=ethernet
            interface-name=eth0
            [ethernet]
            mtu=9000
            [ipv4]
            method=manual
            address1=192.0.2.10/24,192.0.2.1
            address2=192.0.2.11/24
            dns=192.0.2.53;192.0.2.54;
            dns-search=example.test;
            route1=198.51.100.0/24,192.0.2.2,100
            [ipv6]
            method=disabled
            """,
        )
    )
    (eth0,) = found.interfaces
    assert shown(eth0) == (
        *("eth0", "ethernet", "static", "disabled"),
        ["192.0.2.10/24", "192.0.2.11/24"],
        ["192.0.2.1"],
        ["192.0.2.53", "192.0.2.54"],
    )
    assert [line.code.removeprefix("interface_") for line in eth0.lines] == [
        *("addresses", "disabled", "gateways", "name_servers", "search", "route", "mtu"),
    ]
    assert (eth0.mtu, eth0.search) == (9000, ("example.test",))
    assert [(route.destination, route.gateway, route.metric) for route in eth0.routes] == [
        ("198.51.100.0/24", "192.0.2.2", 100)
    ]
    assert found.problems == ()


BOND = """
    [connection]
    id=bond0
    type=bond
    interface-name=bond0
    uuid=11111111-1111-1111-1111-111111111111
    [ipv4]
    method=auto
"""
MEMBER = """
    [connection]
    id=eth1
    type=ethernet
    interface-name=eth1
    controller=11111111-1111-1111-1111-111111111111
    port-type=bond
"""
VLAN = """
    [connection]
    id=bond0.100
    type=vlan
    interface-name=bond0.100
    [vlan]
    id=100
    parent=bond0
"""


def test_bond_and_vlan_of_keyfiles() -> None:
    found = network(
        file(NM + "bond0.nmconnection", BOND),
        file(NM + "eth1.nmconnection", MEMBER),
        file(NM + "bond0.100.nmconnection", VLAN),
    )
    bond, member, vlan = found.interfaces
    assert found.problems == ()
    assert [one.name for one in found.members(bond)] == ["eth1"]
    assert (member.controller, vlan.parent, vlan.vlan_id) == ("bond0", "bond0", 100)
    assert bond.uses_dhcp
    assert [(line.code, line.params.get("members")) for line in bond.lines] == [
        ("interface_bond", ("eth1",)),
        ("interface_dhcp", None),
    ]
    assert [line.code for line in vlan.lines] == ["interface_vlan"]
    assert [line.code for line in member.lines] == ["interface_member"]


def test_networkd() -> None:
    found = network(
        file(NETWORKD + "10-bond0.netdev", "[NetDev]\nName=bond0\nKind=bond\n"),
        file(NETWORKD + "10-vlan.netdev", "[NetDev]\nName=vlan7\nKind=vlan\n[VLAN]\nId=7\n"),
        file(NETWORKD + "20-member.network", "[Match]\nName=eth0\n[Network]\nBond=bond0\n"),
        file(
            NETWORKD + "30-bond0.network",
            """
            [Match]
            Name=bond0
            [Network]
            VLAN=vlan7
            DNS=192.0.2.53 [2001:db8::53]:53
            Domains=a.test b.test
            [Address]
            Address=192.0.2.10/24
            [Address]
            Address=2001:db8::10/64
            [Route]
            Gateway=192.0.2.1
            [Route]
            Destination=198.51.100.0/24
            Gateway=192.0.2.2
            Metric=50
            """,
        ),
        file(NETWORKD + "40-vlan.network", "[Match]\nName=vlan7\n[Network]\nDHCP=ipv4\n"),
    )
    bond, vlan, member = found.interfaces
    assert found.problems == ()
    assert shown(bond) == (
        *("bond0", "bond", "static", "static"),
        ["192.0.2.10/24", "2001:db8::10/64"],
        ["192.0.2.1"],
        ["192.0.2.53", "2001:db8::53"],
    )
    assert [(route.destination, route.metric) for route in bond.routes] == [("198.51.100.0/24", 50)]
    assert (vlan.parent, vlan.vlan_id, vlan.ipv4, member.controller) == ("bond0", 7, "dhcp", "bond0")


def test_kernel_arguments() -> None:
    found = network(
        arguments=(
            "ip=192.0.2.5::192.0.2.1:255.255.255.0:host:eth0:none:192.0.2.53",
            "ip=eth1:dhcp:9000",
            "nameserver=[2001:db8::53]",
            "vlan=vlan9:eth1",
            "bond=bond0:eth2,eth3:mode=802.3ad",
            "quiet",
        )
    )
    by_name = {one.name: one for one in found.interfaces}
    assert shown(by_name["eth0"]) == (
        *("eth0", "ethernet", "static", "unset", ["192.0.2.5/24"], ["192.0.2.1"]),
        ["192.0.2.53", "2001:db8::53"],
    )
    assert (by_name["eth1"].ipv4, by_name["eth1"].mtu) == ("dhcp", 9000)
    assert (by_name["vlan9"].parent, by_name["vlan9"].vlan_id) == ("eth1", 9)
    assert [one.name for one in found.members(by_name["bond0"])] == ["eth2", "eth3"]
    assert found.problems == ()
    assert network(arguments=("ip=dhcp",)).interfaces[0].ipv4 == "dhcp"


def keyfile(ipv4: str, *, name: str = "eth0") -> str:
    return f"[connection]\ninterface-name={name}\n[ipv4]\nmethod=manual\n{ipv4}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (keyfile("address1=192.0.2.300/24"), [("address_invalid", 5)]),
        (keyfile("address1=192.0.2.3"), [("address_invalid", 5)]),
        (keyfile("address1=192.0.2.0/24"), [("address_not_usable", 5)]),
        (keyfile("address1=192.0.2.255/24"), [("address_not_usable", 5)]),
        (keyfile("address1=192.0.2.0/31"), []),
        (keyfile("address1=192.0.2.5/24,198.51.100.1"), [("gateway_outside", 5)]),
        (keyfile("address1=192.0.2.5/24\ngateway=router"), [("gateway_invalid", 6)]),
        (keyfile("address1=192.0.2.5/32\ngateway=198.51.100.1"), []),
        (keyfile("address1=192.0.2.5/24\ndns=one.test"), [("name_server_invalid", 6)]),
        (keyfile("address1=192.0.2.5/24\nroute1=198.51.100.9/24,192.0.2.1"), [("route_invalid", 6)]),
        (keyfile("address1=192.0.2.5/24\nroute1=198.51.100.0/24,203.0.113.1"), [("route_gateway_outside", 6)]),
        (keyfile("address1=192.0.2.5/24\naddress2=192.0.2.5/25"), [("address_twice", 6)]),
        (keyfile(""), [("static_without_address", 4)]),
        ("[ipv4]\nmethod=auto\n", [("no_connection_section", None)]),
        (
            "[connection]\ntype=vlan\nid=v\n[vlan]\nid=5000\n",
            [("vlan_without_parent", None), ("vlan_without_id", None)],
        ),
        ("[connection]\ntype=bond\nid=b\n", [("members_missing", None)]),
        ("[connection]\nid=e\nmaster=bond9\n", [("controller_missing", None)]),
    ],
)
def test_problems_of_keyfiles(text: str, expected: list[tuple[str, int | None]]) -> None:
    assert problems(file(NM + "a.nmconnection", text)) == expected


def test_problems_of_files() -> None:
    assert problems(file(NM + "a.nmconnection", keyfile("address1=192.0.2.5/24"), mode=0o644)) == [
        ("keyfile_mode", None)
    ]
    assert problems(file(NM + "a", keyfile("address1=192.0.2.5/24"))) == [("keyfile_name", None)]
    assert problems(file(NM + "a.nmconnection", None, owner="core")) == [("keyfile_owner", None)]
    assert problems(file(NETWORKD + "a.network", "[Match]\nName=a\n", mode=0o600)) == [("networkd_unreadable", None)]
    assert problems(file(NETWORKD + "a.network", "[Network]\nDHCP=yes\n")) == [("network_without_match", None)]
    assert problems(file(NETWORKD + "a.netdev", "[NetDev]\nName=a\n")) == [("netdev_incomplete", None)]
    assert problems(file("/etc/other.network", "[Network]")) == []


def test_an_address_on_two_interfaces() -> None:
    found = network(
        file(NM + "a.nmconnection", keyfile("address1=192.0.2.5/24", name="a")),
        file(NETWORKD + "b.network", "[Match]\nName=b\n[Network]\nAddress=192.0.2.5/24\n"),
    )
    assert [(one.code, one.params["other"]) for one in found.problems] == [("address_twice", "a")]


WORDS = st.lists(
    st.sampled_from(
        [
            *("ip=", "vlan=", "bond=", "bridge=", "rd.route=", "nameserver=", "dhcp", "none", ":", "::", "[", "]", ","),
            *("eth0", "bond0", "192.0.2.1", "255.255.255.0", "255.0.255.0", "2001:db8::1", "64", "9", "é", " "),
        ]
    ),
    max_size=14,
)


@given(texts=st.lists(WORDS.map("".join), max_size=4))
def test_any_arguments_are_read(texts: list[str]) -> None:
    found = network(arguments=tuple(texts))
    assert {problem.code for problem in found.problems} <= set(PROBLEMS)


@given(text=st.lists(st.sampled_from([*BOND.split("\n"), *MEMBER.split("\n"), *VLAN.split("\n")]), max_size=20))
def test_any_lines_of_keyfiles_are_read(text: list[str]) -> None:
    found = network(file(NM + "a.nmconnection", "\n".join(line.strip() for line in text)))
    assert len(found.interfaces) <= 1
    assert {problem.code for problem in found.problems} <= set(PROBLEMS)
