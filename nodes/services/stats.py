"""Counts over the fleet for pages and API: a constant number of queries whatever its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Min
from django.db.models.fields.json import KT

from fleetui.access.principals import Principal
from nodes.axes import Health, Reachability, UpdateState
from nodes.models import Cluster, Node, Release, Tally
from nodes.models.node import IgnitionState
from nodes.querysets import NodeQuerySet
from nodes.releases.support import end_of
from nodes.releases.versions import fcos_stream_number, version_date, version_key
from nodes.services.support import rules

AXES = {"reachability": Reachability, "health": Health, "update_state": UpdateState}
#: Values of an axis that somebody should look at, worst first.
TROUBLE = {
    "reachability": ("key_mismatch", "unreachable", "never_seen"),
    "health": ("degraded",),
    "update_state": ("rolled_back",),
}

FCOS_STREAMS = {"1": "next", "2": "testing", "3": "stable"}
_WORST_FIRST = ("key_mismatch", "unreachable", "rolled_back", "degraded", "never_seen")


@dataclass
class FleetCounts:
    """How many nodes stand where. Retired nodes are counted in `retired` only."""

    total: int = 0
    maintenance: int = 0
    retired: int = 0
    axes: dict[str, dict[str, int]] = field(default_factory=dict)
    last_seen_at: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """Nodes that need attention for one reason. `details` are the mounts it is about, where the reason is about mounts."""

    axis: str
    value: str
    reason: str
    count: int
    since: datetime
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attention:
    """How many nodes need attention, and why."""

    nodes: int
    troubles: list[Trouble]


@dataclass(frozen=True)
class PoolVersions:
    """How many nodes of a pool (None: nodes without one) run which version; "" is a version not known."""

    pool: str | None
    counts: dict[str, int]


@dataclass(frozen=True)
class VersionAge:
    """A version that runs somewhere, the day that it came out, and the first day without support, where known."""

    version: str
    released_at: datetime | None
    support_ends_on: date | None = None


def fleet_counts(principal: Principal) -> FleetCounts:
    """Two queries: one over the tally, one for the node that was seen last."""
    found = FleetCounts(axes={axis: {member.value: 0 for member in values} for axis, values in AXES.items()})
    tally = Tally.objects.visible_to(principal).filter(kind__in=("lifecycle", *AXES))
    for kind, value, count in tally.sums("kind", "value"):
        if kind != "lifecycle":
            found.axes[kind][value] = count
        elif value == "retired":
            found.retired = count
        else:
            found.total += count
            found.maintenance += count if value == "maintenance" else 0
    seen = Node.objects.visible_to(principal).counted().filter(last_seen_at__isnull=False)
    found.last_seen_at = seen.order_by("-last_seen_at").values_list("last_seen_at", flat=True).first()
    return found


def attention(principal: Principal, *, cluster: Cluster | None = None) -> Attention:
    """What needs attention, grouped by reason, worst and most first. A node may be in several groups. One query."""
    nodes: NodeQuerySet = Node.objects.visible_to(principal).needing_attention()
    if cluster is not None:
        nodes = nodes.filter(pool__cluster=cluster)
    columns = [f"{axis}{part}" for axis in TROUBLE for part in ("", "_reason")]
    ages = {f"{axis}_oldest": Min(f"{axis}_since") for axis in TROUBLE}
    rows = nodes.order_by().annotate(mount=KT("health_params__mount")).values(*columns, "mount")
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    total = 0
    for row in rows.annotate(count=Count("pk"), **ages):
        total += row["count"]
        for axis, values in TROUBLE.items():
            if row[axis] not in values:
                continue
            key = axis, row[axis], row[f"{axis}_reason"]
            group = groups.setdefault(key, {"count": 0, "since": row[f"{axis}_oldest"], "mounts": set()})
            group["count"] += row["count"]
            group["since"] = min(group["since"], row[f"{axis}_oldest"])
            if axis == "health" and row["mount"]:
                group["mounts"].add(row["mount"])
    found = [
        Trouble(axis, value, reason, group["count"], group["since"], tuple(sorted(group["mounts"])))
        for (axis, value, reason), group in groups.items()
    ]
    found.sort(key=lambda one: (_WORST_FIRST.index(one.value), -one.count, one.reason))
    return Attention(total, found)


def ignition_troubles(principal: Principal) -> list[tuple[str, int, datetime]]:
    """(state, nodes, since) of the active nodes that are not as they were born, worst first. One query over an index."""
    worst = (IgnitionState.NEEDS_REPLACEMENT.value, IgnitionState.DRIFTED.value)
    nodes = Node.objects.visible_to(principal).filter(ignition_state__in=worst, lifecycle="active").order_by()
    rows = nodes.values_list("ignition_state").annotate(count=Count("pk"), since=Min("ignition_state_since"))
    return sorted(rows, key=lambda row: worst.index(row[0]))


def trouble_names(principal: Principal, *, at_most: int) -> dict[tuple[str, str, str], list[str]]:
    """Names of nodes that need attention by (axis, value, reason), of at most so many nodes altogether. One query."""
    columns = [f"{axis}{part}" for axis in TROUBLE for part in ("", "_reason")]
    rows = Node.objects.visible_to(principal).needing_attention().order_by("name").values("name", *columns)
    names: dict[tuple[str, str, str], list[str]] = {}
    for row in rows[:at_most]:
        for axis, values in TROUBLE.items():
            if row[axis] in values:
                names.setdefault((axis, row[axis], row[f"{axis}_reason"]), []).append(row["name"])
    return names


def version_spread(principal: Principal) -> list[PoolVersions]:
    """Per pool, in the order of their names; nodes without a pool come last. One query."""
    tally = Tally.objects.visible_to(principal).filter(kind="version")
    pools: dict[str | None, dict[str, int]] = {}
    for name, version, count in tally.sums("pool__name", "value"):
        pools.setdefault(name, {})[version] = count
    return [PoolVersions(name, pools[name]) for name in sorted(pools, key=lambda name: (name is None, name or ""))]


def version_ages(principal: Principal, versions: Iterable[str]) -> list[VersionAge]:
    """The versions with release day and end of support, newest first; the unknown one last. Two queries."""
    wanted = {version for version in versions if version}
    rows: Sequence[tuple[str, datetime | None, str, str]] = list(
        Release.objects.visible_to(principal)
        .order_by()
        .filter(version__in=wanted)
        .values_list("version", "released_at", "stream__os_family", "stream__name")
    )
    known = {version: day for version, day, _family, _stream in rows if day}
    places = {version: (family, stream) for version, _day, family, stream in rows}
    ends = rules()
    dated = []
    for version in wanted:
        # A release that nobody imported: the number of its stream stands in the version of Fedora CoreOS.
        stream = FCOS_STREAMS.get(fcos_stream_number(version))
        place = places.get(version) or (("fcos", stream) if stream else None)
        ends_on = end_of(ends, *place, version) if place else None
        dated.append(VersionAge(version, known.get(version) or version_date(version), ends_on))
    dated.sort(
        key=lambda one: (one.released_at.timestamp() if one.released_at else 0.0, version_key(one.version)),
        reverse=True,
    )
    return [*dated, VersionAge("", None)] if "" in set(versions) else dated
