"""A host that is lost, over real contacts: its replacement is due by what was tried, whatever the clock says meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Node, Pool
from nodes.services.polling.due import back_off_s
from nodes.tests.make import make_config, make_version
from ops.models import Operation
from ops.services.replacing.policies import set_policy
from ops.services.replacing.provisioners import set_provisioner
from ops.services.replacing.unhealthy import replace_unhealthy
from ops.tests.world import World

pytestmark = pytest.mark.django_db(transaction=True)
AFTER = 10


@pytest.fixture
def world(fleet: tuple[Path, dict[str, Any]]) -> World:
    return World.of(fleet)


def test_a_pause_of_fleetui_makes_nothing_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    pool = Pool.objects.get(name="web")
    pool.intended_version = make_version(make_config("edge", pool), state="approved")
    pool.poll_interval_s = 60
    pool.save()
    given: dict[str, Any] = {"name": "site", "kind": "manual", "settings": {}, "base_url": "https://fleet.example.org"}
    set_provisioner(**given, pools=[pool], actor=SYSTEM, now=now[0])
    set_policy(pool=pool, after_minutes=AFTER, actor=SYSTEM, now=now[0])
    name = pool.nodes.order_by("name").values_list("name", flat=True)[0]

    def poll(seconds: float) -> Node:
        now[0] += timedelta(seconds=seconds)
        world.poll()
        return world.node(name)

    world.fault(name, "unreachable")
    try:
        poll(60)
        found = poll(60)
        assert (found.reachability, found.failures, found.silent_s) == ("unreachable", 2, 60)
        # Stopped for a day, and started again: it was silent before and is silent now, and nobody knows of the time between.
        found = poll(86_400)
        assert found.silent_s < 60 + 140
        assert replace_unhealthy(now[0]) == 0
        while found.silent_s < AFTER * 60:
            assert replace_unhealthy(now[0]) == 0
            found = poll(back_off_s(60, found.failures))
        assert replace_unhealthy(now[0]) == 1
        assert Operation.objects.get().node_name == name
    finally:
        world.fault(name, "unreachable", on=False)
