"""The paths of facts: every one that a document can have, and those whose values are kept as terms. Pure."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal

from nodes.hosts.facts import Facts

#: path -> whether its values are numbers. What lists are searched by; anything else is read from the document.
INDEXED: Final[dict[str, bool]] = {
    "os.id": False,
    "os.version_id": False,
    "os.variant": False,
    "os.pretty_name": False,
    "hardware.model": False,
    "hardware.vendor": False,
    "hardware.cpu_model": False,
    "hardware.cpus": True,
    "hardware.memory_total_bytes": True,
    "hardware.virtualization": False,
    "network.hostname": False,
    "network.interfaces.name": False,
    "network.interfaces.driver": False,
    "network.interfaces.mac": False,
    "network.interfaces.mtu": True,
    "network.interfaces.addresses.address": False,
    "boot.kernel": False,
    "boot.arguments": False,
    "storage.disks.model": False,
    "storage.disks.type": False,
    "storage.filesystems.type": False,
    "deployments.origin": False,
    "deployments.image": False,
    "deployments.layered": False,
    "deployments.overrides": False,
    "containers.runtimes.name": False,
    "containers.runtimes.version": False,
    "containers.runtimes.images.names": False,
    "kubernetes.kubelet_version": False,
    "kubernetes.role": False,
    "security.selinux": False,
    "update.manager": False,
    "agent.name": False,
    "agent.state": False,
    "health.failed_units.name": False,
    "health.system_state": False,
    "time.zone": False,
}
MAX_VALUE_CHARS = 200
#: A host with thousands of images costs no more rows than this.
MAX_PER_PATH = 200
_LARGEST = 2**63 - 1

#: What stands at a path; "any": a tree of settings or labels, below which anything may follow.
Kind = Literal["text", "number", "flag", "any"]
_KINDS: Final[dict[Any, Kind]] = {str: "text", int: "number", float: "number", bool: "flag"}


@cache
def known_paths() -> dict[str, Kind]:
    """Every path of a facts document, in its order, with what stands there."""
    return dict(_paths(Facts, ""))


def _paths(kind: Any, prefix: str) -> Iterator[tuple[str, Kind]]:
    for name, hint in typing.get_type_hints(kind).items():
        path = f"{prefix}{name}"
        inner = _inner(hint)
        if is_dataclass(inner):
            yield from _paths(inner, f"{path}.")
        else:
            yield path, _KINDS.get(inner, "any")


def _inner(hint: Any) -> Any:
    """What a field holds, without its None and its tuple."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union, tuple):
        return _inner(next(one for one in typing.get_args(hint) if one is not type(None)))
    return origin or hint


def kind_of(path: str) -> Kind | None:
    """What stands at a path; None when facts have no such path."""
    paths = known_paths()
    return paths.get(path) or ("any" if _tree_of(path) else None)


def _tree_of(path: str) -> str:
    """The path of the settings or labels that `path` lies in; "" when it lies in none."""
    parts = path.split(".")
    starts = (".".join(parts[:length]) for length in range(1, len(parts)))
    return next((start for start in starts if known_paths().get(start) == "any"), "")


def readings(path: str) -> list[tuple[str, ...]]:
    """The names on the way to a path. In settings and labels a dot may belong to a name: `app.kubernetes.io/name`."""
    steps = [tuple(path.split("."))]
    if tree := _tree_of(path):
        rest = path.removeprefix(f"{tree}.")
        if "." in rest:
            steps.append((*tree.split("."), rest))
    return steps


def near(path: str) -> list[str]:
    """Paths that may have been meant: those that begin or end alike, then those spelt alike."""
    paths = known_paths()
    tail = path.rpartition(".")[2]
    below = [known for known in paths if known.startswith(f"{path}.")]
    ending = [known for known in paths if tail and known.rpartition(".")[2] == tail]
    return list(dict.fromkeys([*below, *ending, *get_close_matches(path, paths, n=3, cutoff=0.5)]))[:3]


def values_at(document: Any, path: str) -> list[Any]:
    """The values at a path, through every list on the way, in their order; never null, empty text or empty tree."""
    found = [value for steps in readings(path) for value in _walk(document, steps)]
    return [one for one in found if one is not None and one != "" and one != {}]


def _walk(document: Any, steps: tuple[str, ...]) -> list[Any]:
    found = [document]
    for name in steps:
        found = [one[name] for one in _flat(found) if isinstance(one, Mapping) and name in one]
    return list(_flat(found))


def _flat(values: list[Any]) -> Iterator[Any]:
    for one in values:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one


def text_of(value: Any) -> str:
    """A value as terms and questions hold it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:MAX_VALUE_CHARS]


def terms_of(document: Mapping[str, Any]) -> set[tuple[str, str, int | None]]:
    """(path, value, number) of every value that lists are searched by."""
    found: set[tuple[str, str, int | None]] = set()
    for path, is_number in INDEXED.items():
        for value in list(dict.fromkeys(map(_plain, values_at(document, path))))[:MAX_PER_PATH]:
            number = value if is_number and isinstance(value, int) and abs(value) <= _LARGEST else None
            found.add((path, text_of(value), number))
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)
