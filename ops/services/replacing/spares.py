"""Whether other nodes of a pool carry its load while the machine of one is away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from nodes.models import Node
from ops.preflight import Check

#: A node with nothing but these carries its load all the same: a time server that is dead would otherwise hold up every
#: replacement, and an update that was not finished leaves what ran before.
CARRIES_ON = frozenset({"clock_not_synchronized", "finalize_failed"})
#: Full, and it matters to the next update only.
_UPDATES_ONLY = "/boot"
MOST_NAMED = 3


@dataclass(frozen=True)
class Spare:
    """A node in service. `axis` with `reason` says why it does not count; empty when it does."""

    name: str
    axis: str = ""
    value: str = ""
    reason: str = ""
    params: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Spare:
        name = row["name"]
        if row["reachability"] != "reachable":
            return cls(
                name, "reachability", row["reachability"], row["reachability_reason"], row["reachability_params"]
            )
        if row["health"] != "degraded":
            return cls(name)
        params = dict(row["health_params"] or {})
        found = [(row["health_reason"], params), *((one["reason"], one["params"]) for one in params.pop("also", ()))]
        for reason, told in found:
            if reason not in CARRIES_ON and told.get("mount") != _UPDATES_ONLY:
                return cls(name, "health", "degraded", reason, told)
        return cls(name)

    @property
    def works(self) -> bool:
        return not self.axis

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "axis": self.axis, "value": self.value, "reason": self.reason, "params": self.params}


@dataclass(frozen=True)
class Spares:
    """A pool: how many nodes are in service, and those of them that do not count."""

    whole: int = 0
    ill: Sequence[Spare] = ()


def spares_of(pools: Collection[Any]) -> dict[Any, Spares]:
    """Two queries, whatever the pools."""
    rows = Node.objects.filter(pool__in=pools, lifecycle="active").order_by()
    whole = dict(rows.values_list("pool").annotate(whole=Count("pk")))
    reachability = ("reachability", "reachability_reason", "reachability_params")
    wanted = ("pool", "name", *reachability, "health", "health_reason", "health_params")
    ill: dict[Any, list[Spare]] = defaultdict(list)
    looked_at = rows.exclude(Q(reachability="reachable") & ~Q(health="degraded")).order_by("name")
    for row in looked_at.values(*wanted):
        if not (one := Spare.of(row)).works:
            ill[row["pool"]].append(one)
    return {pool: Spares(count, ill[pool]) for pool, count in whole.items()}


def spare_capacity(node: Node, spares: Spares, *, ignore: bool) -> Check:
    """What the pool has besides this node; with `ignore` none of it need work."""
    others = spares.whole - (node.lifecycle == "active")
    if others <= 0:
        return Check("pool_alone", "warn")
    # No more than are named, and this one.
    named = [one for one in spares.ill[: MOST_NAMED + 1] if one.name != node.name][:MOST_NAMED]
    is_ill = node.lifecycle == "active" and any(one.name == node.name for one in spares.ill)
    ill = len(spares.ill) - is_ill
    if ill <= 0:
        return Check("pool_whole", params={"good": others})
    told: dict[str, Any] = {"others": others, "ill": [one.as_json() for one in named]}
    if ill >= others:
        return Check("pool_none_left", "warn" if ignore else "block", told)
    return Check("pool_short", "warn", {"good": others - ill, **told})
