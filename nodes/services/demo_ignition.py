"""The config of the demo: one version that a pool should have and most of its nodes were born with, another in review."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from fleetui.access.principals import SYSTEM
from nodes.models import IgnitionConfig, IgnitionVersion, Node, Pool
from nodes.services.ignition import review
from nodes.services.ignition.configs import add_config
from nodes.services.ignition.examples import DEMO_EARLIER_SOURCE, DEMO_NEXT_SOURCE, DEMO_SOURCE
from nodes.services.ignition.intent import intend, set_applied
from nodes.services.ignition.rendering import render
from nodes.services.ignition.versions import save_version

DEMO_CONFIG = "shop-front"
#: Each is noted by a transaction of its own.
MOST_BORN = 30
#: One of so many was born with the version before.
OLD_EVERY = 8
_AUTHOR, _OTHER = "Mira Chen <mira.chen@example.org>", "Jonas Okafor <jonas.okafor@example.org>"
_COMMITS = (
    "5e0c9d1f7b3a48d2b6c4e1f09a7d3352c8be6f14",
    "a94b7e02d6f1c35880e2b7d4490fc61e3d5a8b77",
    "0c6a5d2be18f4793a1d05c7be92f6a84d3c1e058",
)


def write_config(pool: Pool, *, now: datetime) -> IgnitionConfig | None:
    """Add the config for the pool; nothing where there are configs already."""
    if IgnitionConfig.objects.exists():
        return None
    begun = now - timedelta(days=21)
    config = add_config(
        name=DEMO_CONFIG,
        description="Machines of the shops: users, update window, the shop front in a container",
        pools=[pool],
        actor=SYSTEM,
        now=begun,
    )
    earlier = save_version(
        config=config,
        source=DEMO_EARLIER_SOURCE,
        message="Shop front 2.3",
        author=_OTHER,
        commit_id=_COMMITS[2],
        source_path="machines/shop-front.bu",
        actor=SYSTEM,
        now=begun - timedelta(days=40),
    )
    _approved(earlier, pool, begun - timedelta(days=40))
    first = save_version(
        config=config,
        source=DEMO_SOURCE,
        message="Shop front 2.4, updates on Saturday night",
        author=_AUTHOR,
        commit_id=_COMMITS[0],
        source_path="machines/shop-front.bu",
        actor=SYSTEM,
        now=begun,
    )
    _approved(first, pool, begun)
    for at, node in enumerate(Node.objects.filter(pool=pool).order_by("name")[1:MOST_BORN]):
        version = earlier if at % OLD_EVERY == 1 else first
        set_applied(node=node, version=version, how="by_hand", actor=SYSTEM, now=now)
    second = save_version(
        config=config,
        source=DEMO_NEXT_SOURCE,
        message="Containers on a disk of their own, the night shift may sign in, shop front 2.5",
        author=_OTHER,
        commit_id=_COMMITS[1],
        source_path="machines/shop-front.bu",
        actor=SYSTEM,
        now=now - timedelta(hours=5),
    )
    review.submit(version=second, actor=SYSTEM, now=now - timedelta(hours=5))
    return config


def _approved(version: IgnitionVersion, pool: Pool, now: datetime) -> None:
    """Reviewed and chosen for the pool within a few hours."""
    review.submit(version=version, actor=SYSTEM, now=now)
    review.approve(version=version, reason="Tried on the canary", actor=SYSTEM, now=now + timedelta(hours=3))
    intend(pool=pool, version=version, actor=SYSTEM, now=now + timedelta(hours=4))


def write_births(pool: Pool, folder: Path) -> None:
    """Let the simulated hosts have what their config made: each reads its own file."""
    nodes = Node.objects.filter(pool=pool, applied_version__isnull=False).select_related("applied_version", "pool")
    for node in nodes:
        if node.applied_version is not None:
            (folder / f"{node.name}.ign").write_text(render(node.applied_version, node=node).text)
