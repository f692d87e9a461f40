"""The hosts of the demo, with a few troubles, so that the first page tells a story."""

from __future__ import annotations

from typing import Any

from simfleet.model import Fault, HostPlan
from simfleet.plan import DEFAULT_STREAM, POOLS, site

SIZES = {"web": 20, "edge": 16, "db": 8, "k8s-control": 3, "k8s-workers": 13, "ingress": 6}
CANARIES = {"web-19", "web-20", "edge-15", "edge-16", "k8s-workers-13"}
ONE_BEHIND = {
    "web-04",
    "web-05",
    "web-06",
    "web-11",
    "edge-02",
    "edge-07",
    "edge-08",
    "db-03",
    "db-04",
    "k8s-workers-06",
}
TWO_BEHIND = {"web-12", "edge-11", "db-06", "k8s-workers-09"}
FOUR_BEHIND = {"edge-14", "db-08"}

STORIES: dict[str, dict[str, Any]] = {
    "edge-05": {"faults": {Fault.UNREACHABLE: 1.0}, "story": "Powered off"},
    "web-17": {"faults": {Fault.UNREACHABLE: 1.0}, "story": "Powered off"},
    "edge-09": {"faults": {Fault.WRONG_KEY: 1.0}, "story": "Shows another host key than the pinned one"},
    "db-05": {"faults": {Fault.FULL_DISK: 96.0}, "story": "/boot is 96 % full"},
    "web-08": {"faults": {Fault.FAILED_UNIT: 1.0}, "story": "A unit failed"},
    "k8s-workers-04": {"faults": {Fault.FAILED_UNIT: 1.0}, "story": "A unit failed"},
    "web-01": {"staged": True, "versions_behind": 1, "story": "Staged, waits for the window of its strategy"},
    "web-02": {"staged": True, "versions_behind": 1, "story": "Staged, waits for the window of its strategy"},
    "web-03": {"staged": True, "by_hand": True, "versions_behind": 1, "story": "Staged by hand, waits for a reboot"},
    "db-02": {"staged": True, "versions_behind": 1, "story": "Staged, waits for the reboot lock"},
    "k8s-workers-01": {"staged": True, "versions_behind": 1, "story": "Staged, waits for the reboot lock"},
    "k8s-workers-02": {
        "staged": True,
        "by_hand": True,
        "versions_behind": 1,
        "story": "Staged by hand, waits for a reboot",
    },
    "edge-03": {
        "staged": True,
        "versions_behind": 1,
        "faults": {Fault.SESSION: 1.0},
        "story": "Staged, held up by a user session",
    },
    "edge-12": {"rolled_back": True, "versions_behind": 1, "uptime_days": 1.4, "story": "Rolled back by hand"},
    "db-01": {"layered": ("tcpdump",), "pinned": True, "story": "One layered package and a pinned deployment"},
    "web-06": {"tampered": ("edited", "opened"), "story": "Somebody edited its update window"},
    "web-09": {"tampered": ("key",), "story": "Somebody added a key"},
    "web-13": {"tampered": ("disabled",), "story": "Somebody switched its service off"},
    "web-16": {"tampered": ("removed", "key"), "story": "Somebody removed its service"},
    "web-14": {"faults": {Fault.GARBAGE: 1.0}, "story": "Prints a status that cannot be read"},
    "k8s-workers-11": {"faults": {Fault.AUTH_REFUSED: 1.0}, "story": "Refuses the key"},
    "ingress-02": {"staged": True, "versions_behind": 1, "story": "Updated, waits for its reboot window"},
    "ingress-03": {
        "staged": True,
        "versions_behind": 1,
        "strategy": "off",
        "story": "Updated, waits for a reboot by hand",
    },
    "ingress-04": {"fell_back": True, "versions_behind": 1, "story": "Its update did not start"},
    "ingress-05": {"versions_behind": 2, "story": "Two releases behind"},
}


def _behind(name: str) -> int:
    return 1 if name in ONE_BEHIND else 2 if name in TWO_BEHIND else 4 if name in FOUR_BEHIND else 0


def demo_plans(seed: int) -> list[HostPlan]:
    """The hosts of the demo, always the same apart from their hardware."""
    rows = []
    for pool, _, role, _, strategy, os in POOLS:
        for number in range(1, SIZES[pool] + 1):
            name = f"{pool}-{number:02d}"
            canary = name in CANARIES
            settings: dict[str, Any] = {
                "name": name,
                "pool": pool,
                "role": role,
                "strategy": strategy,
                "stream": "testing" if canary else DEFAULT_STREAM.get(os, "stable"),
                "os": os,
                "versions_behind": 0 if canary else _behind(name),
                "container_native": number % 2 == 0 and pool != "db" and os == "fcos",
                "labels": {"site": site(seed, name), **({"canary": "yes"} if canary else {})},
            }
            story = STORIES.get(name, {})
            faults = {kind.value: value for kind, value in story.get("faults", {}).items()}
            rows.append(HostPlan(**{**settings, **story, "faults": faults}))
    return rows
