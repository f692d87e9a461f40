"""Makes status documents of rpm-ostree by hand."""

import json
from typing import Any

from nodes.hosts.drivers.rpmostree import OsTreeState, parse_status
from nodes.tests.hosts.hostdoubles import CHECKSUM


def states(state: OsTreeState) -> list[tuple[str, str | None, str]]:
    names = ("booted", "staged", "rollback")
    return [
        (" ".join(name for name in names if getattr(one, name)), one.version, (one.checksum or "")[:8])
        for one in state.deployments
    ]


def deployment(letter: str, **changes: Any) -> dict[str, Any]:
    entry = {
        "id": f"fedora-coreos-{CHECKSUM[letter]}.0",
        "osname": "fedora-coreos",
        "serial": 0,
        "checksum": CHECKSUM[letter],
        "booted": False,
        "version": f"43.{letter}",
        "origin": "fedora:fedora/x86_64/coreos/stable",
        "base-commit-meta": {"fedora-coreos.stream": "stable"},
        "unlocked": "none",
        "timestamp": 1782000000,
    }
    return {key: value for key, value in (entry | changes).items() if value is not ...}


def status(*deployments: dict[str, Any], **top: Any) -> str:
    return json.dumps({"deployments": list(deployments), "transaction": None, "cached-update": None} | top)


def parse(*deployments: dict[str, Any], **top: Any) -> tuple[OsTreeState, list[str]]:
    problems: list[str] = []
    return parse_status(status(*deployments, **top), problems), problems
