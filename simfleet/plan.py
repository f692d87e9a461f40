"""What hosts a fleet of a given size holds."""

from __future__ import annotations

from simfleet import seeds
from simfleet.model import HostPlan

Pool = dict[str, str]
# name, cluster, role, share of the fleet, update strategy, operating system
POOLS = (
    ("web", "", "web", 0.30, "periodic", "fcos"),
    ("edge", "", "edge", 0.24, "immediate", "fcos"),
    ("db", "", "db", 0.11, "fleet_lock", "fcos"),
    ("k8s-control", "prod", "k8s-control", 0.03, "fleet_lock", "fcos"),
    ("ingress", "", "edge", 0.08, "etcd-lock", "flatcar"),
    ("k8s-workers", "prod", "k8s-worker", 0.24, "fleet_lock", "fcos"),
)
DEFAULT_STREAM = {"flatcar": "flatcar/stable"}
SITES = ("bkk", "fra", "iad", "sin")
STRATEGY = {row[0]: row[4] for row in POOLS}


def pools() -> list[Pool]:
    """The pools of the manifest."""
    return [{"name": name, "cluster": cluster, "role": role} for name, cluster, role, *_ in POOLS]


def site(seed: int, name: str) -> str:
    """Where a host stands."""
    return SITES[seeds.number(seed, name, "site") % len(SITES)]


def plans(count: int, seed: int) -> list[HostPlan]:
    """The hosts of a fleet of any size: healthy ones, on several releases."""
    rows: list[HostPlan] = []
    left = count
    for index, (pool, _, role, share, strategy, os) in enumerate(POOLS):
        size = left if index == len(POOLS) - 1 else min(left, round(count * share))
        left -= size
        rows.extend(_member(seed, pool, role, strategy, os, number) for number in range(1, size + 1))
    return rows


def _member(seed: int, pool: str, role: str, strategy: str, os: str, number: int) -> HostPlan:
    name = f"{pool}-{number:02d}"
    draw = seeds.fraction(seed, name, "release")
    behind = 0 if draw < 0.62 else 1 if draw < 0.84 else 2 if draw < 0.95 else 4
    canary = os == "fcos" and seeds.fraction(seed, name, "stream") < 0.06
    stream = "testing" if canary else DEFAULT_STREAM.get(os, "stable")
    native = os == "fcos" and seeds.fraction(seed, name, "origin") < 0.45
    return HostPlan(
        name=name,
        pool=pool,
        role=role,
        strategy=strategy,
        stream=stream,
        versions_behind=0 if canary else behind,
        os=os,
        container_native=native,
        labels={"site": site(seed, name)},
    )
