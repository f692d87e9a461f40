"""Network as far as it can be understood from files and kernel arguments: read, joined and checked."""

from collections.abc import Iterable
from dataclasses import replace

from nodes.ignition.network import keyfiles, networkd
from nodes.ignition.network.arguments import read_arguments
from nodes.ignition.network.checks import check_network
from nodes.ignition.network.lines import interface_lines
from nodes.ignition.network.model import Interface, Network, NetworkFile, Problem, Spot
from nodes.ignition.paths import Path

_OTHERS = ("/etc/nmstate/", "/etc/NetworkManager/conf.d/", "/etc/sysconfig/network-scripts/")
_MOST = 256
_NETWORKD = (".network", ".netdev", ".link")
_DROPINS = tuple(f"{ending}.d" for ending in _NETWORKD)


def read_network(files: Iterable[NetworkFile], arguments: Iterable[tuple[str, Path]]) -> Network:
    """The network that files and arguments describe. Files that are not about network are passed over."""
    interfaces: list[Interface] = []
    problems: list[Problem] = []
    of_networkd: list[NetworkFile] = []
    others: list[str] = []
    for file in files:
        if file.path == keyfiles.DIRECTORY + file.name:
            interface, found = keyfiles.read_keyfile(file)
            problems.extend(found)
            interfaces.extend((interface,) if interface else ())
        elif file.path == networkd.DIRECTORY + file.name and file.name.endswith(_NETWORKD):
            of_networkd.append(file)
        elif file.path.startswith(networkd.DIRECTORY):
            # A drop-in adds to a file, which may be one of the system.
            if file.path.rpartition("/")[0].endswith(_DROPINS) and file.name.endswith(".conf"):
                others.append(file.path)
            else:
                problems.append(Problem("networkd_name", Spot((*file.at, "path")), {"path": file.path}))
        elif file.path.startswith(_OTHERS):
            others.append(file.path)
    read, found = networkd.read_networkd(of_networkd)
    interfaces = _with_parents([*interfaces, *read, *read_arguments(list(arguments))])
    members: dict[str, list[str]] = {}
    for one in interfaces:
        if one.controller:
            members.setdefault(one.controller, []).append(one.name)
    told = tuple(replace(one, lines=interface_lines(one, tuple(members.get(one.name, ())))) for one in interfaces)
    network = Network(told, (), tuple(others))
    return replace(network, problems=(*problems, *found, *check_network(network)))


def _with_parents(interfaces: list[Interface]) -> list[Interface]:
    """Names instead of the identities that keyfiles may use for controllers and parents.

    What goes beyond all reason in one interface is left out, because all of it is compared.
    """
    names = {one.identity: one.name for one in interfaces if one.identity}
    return [
        replace(
            one,
            addresses=one.addresses[:_MOST],
            gateways=one.gateways[:_MOST],
            routes=one.routes[:_MOST],
            controller=names.get(one.controller, one.controller) if one.controller else None,
            parent=names.get(one.parent, one.parent) if one.parent else None,
        )
        for one in interfaces
    ]


__all__ = ["Interface", "Network", "NetworkFile", "Problem", "read_network"]
