"""The paths of facts: every one that a document can have, and those whose values are kept as terms. Pure."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

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
MAX_PER_PATH = 60
_LARGEST = 2**63 - 1


@cache
def known_paths() -> dict[str, bool]:
    """Every path of a facts document, in its order; True where anything may follow (settings, labels)."""
    return dict(_paths(Facts, ""))


def _paths(kind: Any, prefix: str) -> Iterator[tuple[str, bool]]:
    for name, hint in typing.get_type_hints(kind).items():
        path = f"{prefix}{name}"
        inner = _inner(hint)
        if is_dataclass(inner):
            yield from _paths(inner, f"{path}.")
        else:
            yield path, inner is dict


def _inner(hint: Any) -> Any:
    """What a field holds, without its None and its tuple."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union, tuple):
        return _inner(next(one for one in typing.get_args(hint) if one is not type(None)))
    return origin or hint


def is_known(path: str) -> bool:
    paths = known_paths()
    if path in paths:
        return True
    parts = path.split(".")
    return any(paths.get(".".join(parts[:length])) for length in range(1, len(parts)))


def near(path: str) -> list[str]:
    """Paths that may have been meant: those that end alike, then those spelt alike."""
    tail = path.rpartition(".")[2]
    ending = [known for known in known_paths() if tail and known.rpartition(".")[2] == tail]
    return list(dict.fromkeys([*ending, *get_close_matches(path, known_paths(), n=3, cutoff=0.5)]))[:3]


def values_at(document: Any, path: str) -> list[Any]:
    """The values at a path, through every list on the way, in their order; never null or empty text."""
    found = [document]
    for name in path.split("."):
        found = [one[name] for one in _flat(found) if isinstance(one, Mapping) and name in one]
    return [one for one in _flat(found) if one is not None and one != ""]


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
