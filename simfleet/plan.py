"""What hosts a fleet of a given size holds."""

from __future__ import annotations

from simfleet import seeds
from simfleet.model import HostPlan

Pool = dict[str, str]
# name, cluster, role, share of the fleet, update strategy
POOLS = (
    ("web", "", "web", 0.34, "periodic"),
    ("edge", "", "edge", 0.26, "immediate"),
    ("db", "", "db", 0.12, "fleet_lock"),
    ("k8s-control", "prod", "k8s-control", 0.03, "fleet_lock"),
    ("k8s-workers", "prod", "k8s-worker", 0.25, "fleet_lock"),
)
SITES = ("bkk", "fra", "iad", "sin")
STRATEGY = {row[0]: row[4] for row in POOLS}


def pools() -> list[Pool]:
    """The pools of the manifest."""
    return [{"name": name, "cluster": cluster, "role": role} for name, cluster, role, _, _ in POOLS]


def site(seed: int, name: str) -> str:
    """Where a host stands."""
    return SITES[seeds.number(seed, name, "site") % len(SITES)]


def plans(count: int, seed: int) -> list[HostPlan]:
    """The hosts of a fleet of any size: healthy ones, on several releases."""
    rows: list[HostPlan] = []
    left = count
    for index, (pool, _, role, share, strategy) in enumerate(POOLS):
        size = left if index == len(POOLS) - 1 else min(left, round(count * share))
        left -= size
        rows.extend(_member(seed, pool, role, strategy, number) for number in range(1, size + 1))
    return rows


def _member(seed: int, pool: str, role: str, strategy: str, number: int) -> HostPlan:
    name = f"{pool}-{number:02d}"
    draw = seeds.fraction(seed, name, "release")
    behind = 0 if draw < 0.62 else 1 if draw < 0.84 else 2 if draw < 0.95 else 4
    stream = "testing" if seeds.fraction(seed, name, "stream") < 0.06 else "stable"
    native = seeds.fraction(seed, name, "origin") < 0.45
    return HostPlan(
        name=name,
        pool=pool,
        role=role,
        strategy=strategy,
        stream=stream,
        versions_behind=0 if stream == "testing" else behind,
        container_native=native,
        labels={"site": site(seed, name)},
    )
