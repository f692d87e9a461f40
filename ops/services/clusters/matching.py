"""Which node of ours is which node of the cluster. Pure: rows in, pairs out.

A pair needs to be the only one of its kind on both sides; what several could be stays unmatched, and is shown as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodes.hosts.machine_id import MACHINE_ID, derived_id
from ops.kubernetes import ClusterNode

#: The label of a node of ours that holds the provider id of its cluster node.
PROVIDER_LABEL = "provider-id"


@dataclass(frozen=True)
class Ours:
    """What is known of a node of ours. `machine_id` is the derived one."""

    pk: Any
    name: str
    address: str
    machine_id: str
    hostname: str
    labels: Mapping[str, Any]


def pair(theirs: Sequence[ClusterNode], ours: Iterable[Ours]) -> dict[str, tuple[Any, str]]:
    """Cluster node -> (our node, by what), the surest kind first."""
    found: dict[str, tuple[Any, str]] = {}
    left_theirs, left_ours = list(theirs), list(ours)
    for how, of_theirs, of_ours in _KINDS:
        theirs_by, ours_by = _unique(left_theirs, of_theirs), _unique(left_ours, of_ours)
        for key, node in theirs_by.items():
            if key in ours_by:
                found.setdefault(node.name, (ours_by[key].pk, how))
        taken = {pk for pk, _how in found.values()}
        left_theirs = [one for one in left_theirs if one.name not in found]
        left_ours = [one for one in left_ours if one.pk not in taken]
    return found


def _unique(rows: Sequence[Any], keys: Callable[[Any], Iterable[str]]) -> dict[str, Any]:
    """By those keys that one row alone has."""
    pairs = [(key, row) for row in rows for key in {key.lower() for key in keys(row) if key}]
    counts = Counter(key for key, _row in pairs)
    return {key: row for key, row in pairs if counts[key] == 1}


def _machine(node: ClusterNode) -> Iterable[str]:
    return [derived_id(node.machine_id)] if MACHINE_ID.fullmatch(node.machine_id) else []


def _names(*names: str) -> list[str]:
    """Whole, and without their domain: the cluster often knows one, and the host says the other."""
    return [one for name in names if name for one in (name, name.partition(".")[0])]


_Keys = Callable[[Any], Iterable[str]]
_KINDS: tuple[tuple[str, _Keys, _Keys], ...] = (
    ("machine", _machine, lambda one: [one.machine_id]),
    ("provider", lambda node: [node.provider_id], lambda one: [str(one.labels.get(PROVIDER_LABEL, ""))]),
    ("name", lambda node: _names(node.name, node.hostname), lambda one: _names(one.name, one.hostname)),
    ("address", lambda node: node.addresses, lambda one: [one.address]),
)
