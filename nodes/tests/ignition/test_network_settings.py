"""Values of network settings that are refused, passed over, or right although they look wrong."""

from __future__ import annotations

import pytest

from nodes.tests.ignition.test_network import NETWORKD, NM, file, network, problems

ETHERNET = "[connection]\nid={0}\ntype=ethernet\ninterface-name={0}\n"
STATIC = "[ipv4]\nmethod=manual\naddress1=192.0.2.10/24\n"
BOND = "[connection]\nid=bond0\ntype=bond\ninterface-name=bond0\n"


def keyfile_problems(text: str, name: str = "eth0") -> list[tuple[str, int | None]]:
    return problems(file(f"{NM}{name}.nmconnection", text))


def networkd_problems(text: str, name: str = "10-eth0.network") -> list[tuple[str, int | None]]:
    return problems(file(NETWORKD + name, text))


@pytest.mark.parametrize(
    ("section", "method", "is_known"),
    [
        *(
            ("ipv4", method, True)
            for method in ("auto", "manual", "link-local", "shared", "disabled", "${fleetui:how}")
        ),
        *(
            ("ipv6", method, True)
            for method in ("auto", "dhcp", "manual", "ignore", "link-local", "shared", "disabled")
        ),
        *(("ipv4", method, False) for method in ("static", "dhcp", "ignore", "none")),
        ("ipv6", "static", False),
    ],
)
def test_methods(section: str, method: str, is_known: bool) -> None:
    address = "address1=192.0.2.10/24" if section == "ipv4" else "address1=2001:db8::10/64"
    found = keyfile_problems(f"{ETHERNET.format('eth0')}[{section}]\nmethod={method}\n{address}\n")
    assert found == ([] if is_known else [("method_unknown", 6)])


def test_a_mask_is_no_prefix() -> None:
    text = (
        ETHERNET.format("eth0")
        + "[ipv4]\nmethod=manual\naddress1=192.0.2.10/255.255.255.0\nroute1=198.51.100.0/255.255.255.0\n"
    )
    assert keyfile_problems(text) == [("address_invalid", 7), ("route_invalid", 8)]
    assert networkd_problems("[Match]\nName=eth0\n[Network]\nAddress=192.0.2.10/255.255.255.0\n") == [
        ("address_invalid", 4)
    ]


@pytest.mark.parametrize(
    ("mtu", "is_fine"),
    [
        ("9000", True),
        ("auto", True),
        ("0", True),
        ("68", True),
        ("67", False),
        ("65537", False),
        ("jumbo", False),
        ("-1", False),
    ],
)
def test_sizes_of_frames(mtu: str, is_fine: bool) -> None:
    found = keyfile_problems(f"{ETHERNET.format('eth0')}[ethernet]\nmtu={mtu}\n{STATIC}")
    assert found == ([] if is_fine else [("mtu_invalid", 6)])


def test_networkd_takes_sizes_with_a_unit() -> None:
    (eth0,) = network(file(NETWORKD + "10-eth0.network", "[Match]\nName=eth0\n[Link]\nMTUBytes=9K\n")).interfaces
    assert eth0.mtu == 9216
    assert networkd_problems("[Match]\nName=eth0\n[Link]\nMTUBytes=9X\n") == [("mtu_invalid", 4)]


def vlan_problems(parent_mtu: int, mtu: int) -> list[str]:
    below = file(NM + "eth0.nmconnection", ETHERNET.format("eth0") + f"[ethernet]\nmtu={parent_mtu}\n")
    text = "[connection]\nid=lan5\ntype=vlan\ninterface-name=lan5\n[vlan]\nid=5\nparent=eth0\n"
    return [code for code, _ in problems(below, file(NM + "lan5.nmconnection", f"{text}[ethernet]\nmtu={mtu}\n"))]


def test_a_vlan_carries_no_more_than_its_parent() -> None:
    assert vlan_problems(1500, 9000) == ["mtu_above_parent"]
    assert vlan_problems(9000, 9000) == []


@pytest.mark.parametrize(
    ("mode", "is_known"), [("802.3ad", True), ("active-backup", True), ("6", True), ("7", False), ("lacp", False)]
)
def test_bond_modes(mode: str, is_known: bool) -> None:
    member = file(NM + "eth0.nmconnection", ETHERNET.format("eth0") + "controller=bond0\nport-type=bond\n")
    bond = file(NM + "bond0.nmconnection", f"{BOND}[bond]\nmode={mode}\n")
    assert problems(bond, member) == ([] if is_known else [("bond_mode_unknown", 6)])


def test_addresses_belong_to_the_bond() -> None:
    member = file(NM + "eth0.nmconnection", ETHERNET.format("eth0") + "controller=bond0\nport-type=bond\n" + STATIC)
    assert problems(file(NM + "bond0.nmconnection", BOND), member) == [("member_with_address", 9)]


def test_names_of_interfaces_are_short() -> None:
    assert keyfile_problems(ETHERNET.format("a" * 15)) == []
    assert keyfile_problems(ETHERNET.format("a" * 16)) == [("name_too_long", 4)]
    assert networkd_problems(f"[NetDev]\nName={'a' * 16}\nKind=dummy\n", "a.netdev") == [("name_too_long", 2)]


def test_a_gateway_is_another_host() -> None:
    assert keyfile_problems(f"{ETHERNET.format('eth0')}{STATIC}gateway=192.0.2.10\n") == [("gateway_own", 8)]


@pytest.mark.parametrize(("on_link", "found"), [("yes", []), ("no", [("gateway_outside", 6)])])
def test_a_gateway_on_the_link_needs_no_network(on_link: str, found: list[tuple[str, int]]) -> None:
    text = f"[Match]\nName=eth0\n[Network]\nAddress=192.0.2.10/24\n[Route]\nGateway=198.51.100.1\nGatewayOnLink={on_link}\n"
    assert networkd_problems(text) == found


def test_a_route_on_the_link_of_a_keyfile() -> None:
    text = f"{ETHERNET.format('eth0')}{STATIC}route1=203.0.113.0/24,198.51.100.1\n"
    assert keyfile_problems(text) == [("route_gateway_outside", 8)]
    assert keyfile_problems(f"{text}route1_options=mtu=1400, onlink=true\n") == []


def test_networkd_may_choose_an_address() -> None:
    assert networkd_problems("[Match]\nName=eth0\n[Network]\nAddress=0.0.0.0/24\n") == []
    assert keyfile_problems(f"{ETHERNET.format('eth0')}[ipv4]\nmethod=manual\naddress1=0.0.0.0/24\n") == [
        ("address_not_usable", 7)
    ]


def test_names_that_networkd_reads() -> None:
    text = "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.10/24\n"
    assert networkd_problems(text, "eth0.netwrk") == [("networkd_name", None)]
    dropin = network(file(NETWORKD + "eth0.network.d/10-address.conf", text))
    assert (dropin.problems, dropin.other_files) == ((), (NETWORKD + "eth0.network.d/10-address.conf",))


def test_the_first_file_for_an_interface_is_the_one() -> None:
    second = file(NETWORKD + "20-eth0.network", "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.11/24\n")
    for match, found in (
        ("Name=eth0", [("network_shadowed", 2)]),
        ("Name=eth1 eth0", [("network_shadowed", 2)]),
        ("Name=eth0\nDriver=virtio", []),
        ("Name=eth1", []),
    ):
        text = f"[Match]\n{match}\n[Network]\nAddress=192.0.2.10/24\n"
        assert problems(second, file(NETWORKD + "10-all.network", text)) == found
