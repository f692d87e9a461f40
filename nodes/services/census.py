"""The fleet counted by everything that metrics tell apart: two passes over the nodes, whatever their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q, Sum

from fleetui.access.principals import Principal
from nodes.axes import Lifecycle
from nodes.models import Node, Pool
from nodes.querysets import NodeQuerySet
from nodes.services.stats import AXES

#: So many pools and versions have series of their own; what is smaller is counted together as "other".
MOST_POOLS, MOST_VERSIONS = 100, 200
OTHER = "other"

PoolName = tuple[str, str]
Version = tuple[str, str, str]


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
    attention: int = 0
    unread_nodes: int = 0
    unread_sections: int = 0
    polls_due: int = 0
    polls_running: int = 0
    oldest_due_at: datetime | None = None


def census(principal: Principal, now: datetime) -> Census:
    """Three queries. Zeroes are filled in, so that no series comes and goes with its last node.

    Versions are counted apart: together with pools and states there would be as many combinations as nodes.
    """
    free = Q(poll_lease_until=None) | Q(poll_lease_until__lte=now)
    stopped = Q(reachability="key_mismatch", poll_requested_at=None)
    due = Q(poll_due_at__lte=now) & free & ~stopped
    trouble = Q(reachability__in=["unreachable", "key_mismatch"]) | Q(reachability="never_seen", failures__gt=0)
    trouble |= Q(health="degraded") | Q(update_state="rolled_back")
    visible: NodeQuerySet = Node.objects.visible_to(principal).order_by()
    rows = visible.values("lifecycle", *AXES, "pool_id", "last_error_kind").annotate(
        nodes=Count("pk"),
        attention=Count("pk", filter=trouble & Q(lifecycle="active")),
        failing=Count("pk", filter=Q(failures__gt=0)),
        unread=Count("pk", filter=Q(unread_sections__gt=0)),
        sections=Sum("unread_sections", default=0),
        due=Count("pk", filter=due),
        running=Count("pk", filter=Q(poll_lease_until__gt=now)),
        oldest=Min("poll_due_at", filter=due),
    )
    found = Census(lifecycle=Counter({member.value: 0 for member in Lifecycle}))
    found.axes.update({(axis, member.value): 0 for axis, values in AXES.items() for member in values})
    names = {pk: (name, cluster or "") for pk, name, cluster in Pool.objects.values_list("pk", "name", "cluster__name")}
    for row in rows.iterator():
        _add(found, row, names.get(row["pool_id"], ("", "")))
    versions = visible.counted().values("os_family", "os_stream", "booted_version").annotate(nodes=Count("pk"))
    for one in versions:
        found.versions[one["os_family"], one["os_stream"], one["booted_version"]] = one["nodes"]
    return _bounded(found)


def _add(found: Census, row: Mapping[str, Any], pool: PoolName) -> None:
    nodes = row["nodes"]
    found.lifecycle[row["lifecycle"]] += nodes
    if row["lifecycle"] == "retired":
        return
    found.pools[pool] += nodes
    found.pool_attention[pool] += row["attention"]
    for axis in AXES:
        found.axes[axis, row[axis]] += nodes
        found.pool_axes[pool, axis, row[axis]] += nodes
    if row["failing"]:
        found.failing[row["last_error_kind"] or "unknown"] += row["failing"]
    found.attention += row["attention"]
    found.unread_nodes += row["unread"]
    found.unread_sections += row["sections"]
    found.polls_due += row["due"]
    found.polls_running += row["running"]
    if row["oldest"] and (found.oldest_due_at is None or row["oldest"] < found.oldest_due_at):
        found.oldest_due_at = row["oldest"]


def _bounded(found: Census) -> Census:
    """Keep the largest pools and versions by themselves, and the rest in one."""
    kept = {pool for pool, _ in sorted(found.pools.items(), key=lambda item: (-item[1], item[0]))[:MOST_POOLS]}
    other = (OTHER, "")

    def place(pool: PoolName) -> PoolName:
        return pool if pool in kept else other

    pools: Counter[PoolName] = Counter()
    attention: Counter[PoolName] = Counter()
    for pool, nodes in found.pools.items():
        pools[place(pool)] += nodes
        attention[place(pool)] += found.pool_attention[pool]
    pool_axes: Counter[tuple[PoolName, str, str]] = Counter(
        {(pool, axis, member.value): 0 for pool in pools for axis, values in AXES.items() for member in values}
    )
    for (pool, axis, value), nodes in found.pool_axes.items():
        pool_axes[place(pool), axis, value] += nodes
    found.pools, found.pool_attention, found.pool_axes = pools, attention, pool_axes
    largest = sorted(found.versions.items(), key=lambda item: (-item[1], item[0]))
    versions: Counter[Version] = Counter(dict(largest[:MOST_VERSIONS]))
    if rest := sum(nodes for _, nodes in largest[MOST_VERSIONS:]):
        versions[OTHER, OTHER, OTHER] += rest
    found.versions = versions
    return found
