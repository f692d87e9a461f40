"""The config of the demo: one version that a pool should have and most of its nodes were born with, another in review."""

from __future__ import annotations

from datetime import datetime, timedelta

from fleetui.access.principals import SYSTEM
from nodes.models import IgnitionConfig, Node, Pool
from nodes.services.ignition import review
from nodes.services.ignition.configs import add_config
from nodes.services.ignition.examples import DEMO_NEXT_SOURCE, DEMO_SOURCE
from nodes.services.ignition.intent import intend, set_applied
from nodes.services.ignition.versions import save_version

DEMO_CONFIG = "shop-front"
#: Each is noted by a transaction of its own.
MOST_BORN = 30
_AUTHOR, _OTHER = "Mira Chen <mira.chen@example.org>", "Jonas Okafor <jonas.okafor@example.org>"
_COMMITS = ("5e0c9d1f7b3a48d2b6c4e1f09a7d3352c8be6f14", "a94b7e02d6f1c35880e2b7d4490fc61e3d5a8b77")


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
    review.submit(version=first, actor=SYSTEM, now=begun)
    review.approve(version=first, reason="Tried on the canary", actor=SYSTEM, now=begun + timedelta(hours=3))
    intend(pool=pool, version=first, actor=SYSTEM, now=begun + timedelta(hours=4))
    for node in Node.objects.filter(pool=pool).order_by("name")[1:MOST_BORN]:
        set_applied(node=node, version=first, how="by_hand", actor=SYSTEM, now=now)
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
