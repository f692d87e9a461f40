"""The fleet counted by everything that metrics tell apart: a fixed number of queries, each over few rows or an index."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db.models import Count, Min, Q, Sum

from fleetui.access.principals import Principal
from nodes.axes import Lifecycle
from nodes.models import Node, Pool, Tally
from nodes.models.node import IgnitionState
from nodes.querysets import NodeQuerySet
from nodes.services.stats import AXES

#: So many pools and versions have series of their own; what is smaller is counted together as "other".
MOST_POOLS, MOST_VERSIONS = 100, 200
OTHER = "other"

PoolName = tuple[str, str]
Version = tuple[str, str, str]
Key = TypeVar("Key", bound=tuple[str, ...])
_NO_POOL: PoolName = ("", "")


@dataclass
class Census:
    """Counts of nodes in service; retired ones in `lifecycle` only. Pools are (name, cluster), versions (os, stream, version)."""

    lifecycle: Counter[str] = field(default_factory=Counter)
    axes: Counter[tuple[str, str]] = field(default_factory=Counter)
    pools: Counter[PoolName] = field(default_factory=Counter)
    pool_axes: Counter[tuple[PoolName, str, str]] = field(default_factory=Counter)
    pool_attention: Counter[PoolName] = field(default_factory=Counter)
    versions: Counter[Version] = field(default_factory=Counter)
    failing: Counter[str] = field(default_factory=Counter)
    ignition: Counter[str] = field(default_factory=Counter)
    attention: int = 0
    unread_nodes: int = 0
    unread_sections: int = 0
    polls_due: int = 0
    polls_running: int = 0
    oldest_due_at: datetime | None = None


def census(principal: Principal, now: datetime) -> Census:
    """Zeroes are filled in, so that no series comes and goes with its last node."""
    visible: NodeQuerySet = Node.objects.visible_to(principal).order_by()
    found = Census(lifecycle=Counter({member.value: 0 for member in Lifecycle}))
    names = {pk: (name, cluster or "") for pk, name, cluster in Pool.objects.values_list("pk", "name", "cluster__name")}
    found.axes.update({(axis, member.value): 0 for axis, values in AXES.items() for member in values})
    tally = Tally.objects.visible_to(principal).filter(kind__in=("lifecycle", *AXES)).order_by()
    rows = tally.values_list("pool_id", "kind", "value").annotate(total=Sum("nodes"))
    for pool_id, kind, value, nodes in rows:
        if not nodes:
            continue
        pool = names.get(pool_id, _NO_POOL)
        if kind == "lifecycle":
            found.lifecycle[value] += nodes
            if value != Lifecycle.RETIRED.value:
                found.pools[pool] += nodes
            continue
        found.axes[kind, value] += nodes
        found.pool_axes[pool, kind, value] += nodes
    counted = visible.counted()
    versions = counted.values_list("os_family", "os_stream", "booted_version").annotate(total=Count("pk"))
    found.versions.update({(family, stream, version): nodes for family, stream, version, nodes in versions})
    found.ignition.update({state.value: 0 for state in IgnitionState})
    states = counted.values_list("ignition_state").annotate(total=Count("pk"))
    found.ignition.update({state: nodes for state, nodes in states})
    for pool_id, nodes in visible.needing_attention().values_list("pool_id").annotate(total=Count("pk")):
        found.pool_attention[names.get(pool_id, _NO_POOL)] += nodes
    found.attention = sum(found.pool_attention.values())
    failing = counted.filter(failures__gt=0).values_list("last_error_kind").annotate(total=Count("pk"))
    found.failing.update({kind or "unknown": nodes for kind, nodes in failing})
    unread = counted.filter(unread_sections__gt=0).aggregate(nodes=Count("pk"), sections=Sum("unread_sections"))
    found.unread_nodes, found.unread_sections = unread["nodes"], unread["sections"] or 0
    due = visible.due(now).aggregate(nodes=Count("pk"), oldest=Min("poll_due_at"))
    found.polls_due, found.oldest_due_at = due["nodes"], due["oldest"]
    found.polls_running = counted.filter(Q(poll_lease_until__isnull=False), poll_lease_until__gt=now).count()
    _bound(found)
    return found


def _bound(found: Census) -> None:
    """Keep the largest pools and versions by themselves, and the rest in one."""
    kept = _largest(found.pools, MOST_POOLS)

    def place(pool: PoolName) -> PoolName:
        return pool if pool in kept else (OTHER, "")

    pools: Counter[PoolName] = Counter()
    for pool, nodes in found.pools.items():
        pools[place(pool)] += nodes
    attention: Counter[PoolName] = Counter(dict.fromkeys(pools, 0))
    for pool, nodes in found.pool_attention.items():
        attention[place(pool)] += nodes
    pool_axes: Counter[tuple[PoolName, str, str]] = Counter(
        {(pool, axis, member.value): 0 for pool in pools for axis, values in AXES.items() for member in values}
    )
    for (pool, axis, value), nodes in found.pool_axes.items():
        pool_axes[place(pool), axis, value] += nodes
    found.pools, found.pool_attention, found.pool_axes = pools, attention, pool_axes
    own = _largest(found.versions, MOST_VERSIONS)
    versions: Counter[Version] = Counter()
    for version, nodes in found.versions.items():
        versions[version if version in own else (OTHER, OTHER, OTHER)] += nodes
    found.versions = versions


def _largest(counts: Counter[Key], most: int) -> set[Key]:
    return {key for key, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]}
