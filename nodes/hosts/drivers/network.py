"""Interfaces, addresses and routes from iproute2's JSON."""

from nodes.hosts.drivers.documents import Fields, load_json, plain
from nodes.hosts.facts import Address, Interface, Route

MAX_ROUTES = 200


def parse_interfaces(text: str, problems: list[str]) -> tuple[Interface, ...]:
    """`ip -j addr`. The host ends of containers' virtual cables come and go and have no address: left out."""
    found = []
    for entry in Fields({"addr": load_json(text)}, "", problems).parts("addr"):
        name = entry.text("ifname")
        addresses = entry.parts("addr_info")
        if not name or ("link_netnsid" in entry and all(one.text("scope") == "link" for one in addresses)):
            continue
        found.append(
            Interface(
                name=name,
                mac=entry.text("address"),
                state=(entry.text("operstate") or "").lower() or None,
                mtu=entry.number("mtu"),
                addresses=tuple(_address(one) for one in addresses if one.text("local")),
            )
        )
    return tuple(found)


def _address(one: Fields) -> Address:
    return Address(one.text("local") or "", one.number("prefixlen"), one.text("family"))


def parse_routes(text: str, problems: list[str]) -> tuple[Route, ...]:
    """`ip -j route` of the main table."""
    if not text.strip():
        return ()
    entries = Fields({"route": load_json(text)}, "", problems).parts("route")[:MAX_ROUTES]
    return tuple(
        Route(entry.text("dst") or "", entry.text("gateway"), entry.text("dev")) for entry in entries if "dst" in entry
    )


def parse_nic_drivers(text: str, _problems: list[str]) -> dict[str, str]:
    pairs = (line.split() for line in text.splitlines()[:1000])
    return {plain(pair[0]): plain(pair[1]) for pair in pairs if len(pair) == 2}
