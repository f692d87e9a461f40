"""Units, network, kernel arguments, and everything else."""

from collections import Counter

from nodes.ignition.effect.model import Effect, Effects, Weight, paired
from nodes.ignition.network import Interface
from nodes.ignition.sections.model import Sections, Unit


def effects(before: Sections, after: Sections) -> list[Effect]:
    """Differences of what runs, and how it is reached."""
    units, network, kernel, rest = Effects("units"), Effects("network"), Effects("kernel"), Effects("rest")
    for old, new in paired(before.units, after.units, lambda unit: unit.name):
        _unit(units, old, new)
    for first, second in paired(before.network.interfaces, after.network.interfaces, lambda one: one.name):
        _interface(network, first, second)
    _kernel(kernel, before, after)
    _rest(rest, before, after)
    return [*units.found, *network.found, *kernel.found, *rest.found]


def _unit(found: Effects, old: Unit | None, new: Unit | None) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "unit_left_out", old.at, None, unit=old.name)
        return
    if old is None:
        code = {"masked": "unit_masked", "disabled": "unit_disabled"}.get(new.state)
        code = code or ("unit_added" if new.contents else "unit_enabled" if new.is_enabled else "unit_extended")
        found.add(Weight.NOTABLE, code, None, new.at, unit=new.name)
        return
    if (old.contents or "") != (new.contents or ""):
        found.add(Weight.NOTABLE, "unit_changed", old.at, new.at, unit=new.name)
    if old.state != new.state:
        found.add(Weight.NOTABLE, f"unit_now_{new.state}", old.at, new.at, unit=new.name)
    for first, second in paired(old.dropins, new.dropins, lambda dropin: dropin.name):
        if second is None:
            if first is not None:
                found.add(Weight.NOTABLE, "dropin_left_out", first.at, new.at, unit=new.name, dropin=first.name)
        elif first is None:
            found.add(Weight.NOTABLE, "dropin_added", old.at, second.at, unit=new.name, dropin=second.name)
        elif first.contents != second.contents:
            found.add(Weight.NOTABLE, "dropin_changed", first.at, second.at, unit=new.name, dropin=second.name)


def _interface(found: Effects, old: Interface | None, new: Interface | None) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "interface_left_out", old.spot.at, None, interface=old.name)
        return
    if old is None:
        found.add(
            Weight.NOTABLE,
            *("interface_added", None, new.spot.at),
            interface=new.name,
            addresses=tuple(address.text for address in new.addresses) or None,
        )
        return
    places = (old.spot.at, new.spot.at)
    before, after = ({address.text for address in one.addresses} for one in (old, new))
    for text in sorted(after - before):
        found.add(Weight.NOTABLE, "address_added", *places, interface=new.name, address=text)
    for text in sorted(before - after):
        found.add(Weight.NOTABLE, "address_left_out", *places, interface=new.name, address=text)
    if _ways(old) != _ways(new):
        found.add(Weight.NOTABLE, "interface_changed", *places, interface=new.name)


def _ways(interface: Interface) -> tuple[object, ...]:
    return (
        *(interface.kind, interface.ipv4, interface.ipv6, interface.search, interface.controller, interface.parent),
        *(interface.vlan_id, interface.mtu, interface.mac),
        tuple(gateway.text for gateway in interface.gateways),
        tuple(server.text for server in interface.name_servers),
        tuple((route.destination, route.gateway, route.metric) for route in interface.routes),
    )


def _kernel(found: Effects, before: Sections, after: Sections) -> None:
    old = {(one.is_wanted, one.text): one for one in before.kernel.arguments}
    new = {(one.is_wanted, one.text): one for one in after.kernel.arguments}
    for key, argument in new.items():
        if key not in old:
            code = "argument_added" if argument.is_wanted else "argument_removed"
            found.add(Weight.NOTABLE, code, None, argument.at, argument=argument.text)
    for key, argument in old.items():
        if key not in new:
            code = "argument_left_out" if argument.is_wanted else "argument_kept"
            found.add(Weight.NOTABLE, code, argument.at, None, argument=argument.text)


def _rest(found: Effects, before: Sections, after: Sections) -> None:
    old = Counter((one.kind, one.content.identity) for one in before.rest.fetched)
    new = Counter((one.kind, one.content.identity) for one in after.rest.fetched)
    for one in after.rest.fetched:
        if (one.kind, one.content.identity) not in old:
            weight = Weight.DISRUPTIVE if one.kind == "replace" else Weight.NOTABLE
            found.add(weight, f"{one.kind}_added", None, one.at, url=one.content.url)
    for one in before.rest.fetched:
        if (one.kind, one.content.identity) not in new:
            found.add(Weight.NOTABLE, f"{one.kind}_left_out", one.at, None, url=one.content.url)
    if [line for line in before.rest.lines if _is_setting(line.code)] != [
        line for line in after.rest.lines if _is_setting(line.code)
    ]:
        found.add(Weight.PLAIN, "fetching_changed")
    if before.version != after.version:
        found.add(Weight.PLAIN, "version_changed", old=before.version, new=after.version)


def _is_setting(code: str) -> bool:
    return code in ("proxy", "no_proxy", "timeout_total", "timeout_headers")
