"""The demo's fleet, taken in through the same services as everybody's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.hosts.ssh import HostKey
from nodes.models import Cluster, Credential, Node, Pool
from nodes.services.credentials import add_credential
from nodes.services.demo_ignition import write_births, write_config
from nodes.services.demo_past import write_past
from nodes.services.groups import add_cluster, add_pool
from nodes.services.nodes import add_node
from nodes.services.releases import import_releases

DEMO_CREDENTIAL = "demo"
DEMO_POLL_INTERVAL_S = 15
#: The pool that the Ignition config of the demo is for.
DEMO_POOL = "web"


@dataclass
class SeedOutcome:
    """How many nodes were added, and how many stood there before."""

    added: int = 0
    kept: int = 0


def seed(manifest: Mapping[str, Any]) -> SeedOutcome:
    """Add what the manifest names and is not there yet; a second run changes nothing."""
    now = clock.now()
    outcome = SeedOutcome()
    credential = Credential.objects.filter(name=DEMO_CREDENTIAL).first()
    if credential is None:
        import_releases(text=json.dumps(manifest["releases"]), actor=SYSTEM, now=now)
        for family, releases in manifest.get("other_releases", {}).items():
            import_releases(text=json.dumps(releases), os_family=family, actor=SYSTEM, now=now)
        key = Path(manifest["key_file"]).read_text()
        username = manifest["hosts"][0]["username"]
        credential = add_credential(name=DEMO_CREDENTIAL, username=username, private_key=key, actor=SYSTEM, now=now)
    pools = {spec["name"]: _pool(spec, credential) for spec in manifest["pools"]}
    known = set(Node.objects.values_list("name", flat=True))
    for host in manifest["hosts"]:
        if host["name"] in known:
            outcome.kept += 1
            continue
        add_node(
            name=host["name"],
            address=host["address"],
            port=host["port"],
            pool=pools.get(host.get("pool")),
            labels=host.get("labels"),
            host_key=HostKey.parse(host["host_key"]),
            actor=SYSTEM,
            now=now,
        )
        outcome.added += 1
    if outcome.added and not outcome.kept:
        write_past(manifest, now=now)
        if DEMO_POOL in pools:
            write_config(pools[DEMO_POOL], now=now)
            if "born_dir" in manifest:
                write_births(pools[DEMO_POOL], Path(manifest["born_dir"]))
    return outcome


def _pool(spec: Mapping[str, Any], credential: Credential) -> Pool:
    pool: Pool | None = Pool.objects.filter(name=spec["name"]).first()
    if pool is not None:
        return pool
    cluster = None
    if spec.get("cluster"):
        cluster = Cluster.objects.filter(name=spec["cluster"]).first() or add_cluster(
            name=spec["cluster"], actor=SYSTEM, now=clock.now()
        )
    return add_pool(
        name=spec["name"],
        cluster=cluster,
        role=spec.get("role", ""),
        credential=credential,
        poll_interval_s=DEMO_POLL_INTERVAL_S,
        actor=SYSTEM,
        now=clock.now(),
    )
