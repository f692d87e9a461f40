"""The config of the demo: made once, one version for the pool, another in review."""

from __future__ import annotations

import pytest

from nodes.models import IgnitionVersion, Node, Pool
from nodes.services.demo_ignition import DEMO_CONFIG, write_config
from nodes.services.ignition.rendering import render
from nodes.tests.make import NOW, make_node, make_pool

pytestmark = pytest.mark.django_db


def test_it_is_written_once() -> None:
    pool = make_pool("web")
    nodes = [make_node(f"web-{number}", pool=pool) for number in range(3)]
    config = write_config(pool, now=NOW)
    assert config is not None
    assert config.name == DEMO_CONFIG
    assert write_config(pool, now=NOW) is None
    states = dict(IgnitionVersion.objects.values_list("number", "state"))
    assert states == {1: "superseded", 2: "approved", 3: "in_review"}
    stored = Pool.objects.get(pk=pool.pk).intended_version
    assert stored == IgnitionVersion.objects.get(number=2)
    born = dict(Node.objects.values_list("name", "applied_version__number"))
    assert born == {"web-0": None, "web-1": 2, "web-2": 1}, "one node waits to be noted, one is behind"
    assert "data:,web-1" in render(stored, node=nodes[1]).text
