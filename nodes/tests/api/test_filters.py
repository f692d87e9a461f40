"""Every filter of nodes finds what it names, and only that."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from fleetui.core import clock
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_cluster, make_credential, make_node, make_pool

pytestmark = pytest.mark.both_databases


@pytest.fixture
def api(cast: Cast) -> Api:
    east = make_pool("east", cluster=make_cluster("k8s"), credential=make_credential("pool-key"))
    make_node("a", pool=east, labels={"rack": "r1", "a__b": "x,y"}, health="degraded", health_reason="failed_units")
    make_node(
        "b",
        labels={"rack": "r2"},
        os_family="flatcar",
        os_stream="beta",
        booted_version="4.2",
        credential=make_credential("own"),
    )
    make_node(
        "c", reachability="unreachable", reachability_reason="timed_out", last_seen_at=clock.now(), facts_at=clock.now()
    )
    make_node("d", lifecycle="maintenance", health="degraded", unread_sections=2, booted_at=NOW - timedelta(days=9))
    make_node("e", update_state="rolled_back", update_state_reason="fallback", arch="aarch64", address="fd00::7")
    return Api(cast.owner)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("pool=east", "a"),
        ("pool=east,web", "a web-1"),
        ("pool=east&pool=db", "a db-1"),
        ("has_pool=false&health=degraded", "d"),
        ("cluster=k8s", "a"),
        ("os=flatcar", "b"),
        ("version=4.2", "b"),
        ("stream=beta", "b"),
        ("arch=aarch64", "e"),
        ("reachability=unreachable", "c"),
        ("health=degraded", "a d"),
        ("update_state=rolled_back,staged", "e"),
        ("reason=timed_out,fallback", "c e"),
        ("lifecycle=maintenance", "d"),
        ("label=rack:r1", "a"),
        ("label=rack=r1", "a"),
        ("label=rack%3Dr2", "b"),
        ("label=rack", "a b"),
        ("label=a__b:x,y", "a"),
        ("label=rack:r1&label=nope", ""),
        ("label=rack__contains:r", ""),
        ("credential=pool-key", "a"),
        ("credential=own", "b"),
        ("needs_attention=true", "a c e"),
        ("needs_attention=false", "b d db-1 loose-1 web-1"),
        ("has_unread=true", "d"),
        ("unseen_for=1m&os=flatcar", "b"),
        ("facts_older_than=2m&reachability=unreachable", ""),
        ("booted_before=2026-11-20", "d"),
        ("booted_after=2026-11-20&lifecycle=maintenance", ""),
        ("q=fd00", "e"),
        ("q=east+a", "a"),
        ("q=EAST", "a"),
    ],
)
def test_filter(api: Api, query: str, names: str) -> None:
    assert api.names(f"nodes/?{query}") == names.split()


@pytest.mark.parametrize("value", ["50%", "%s", "%(mend)s"])
@pytest.mark.parametrize(
    "name", ["health", "ip", "mac", "has_pool", "facts_older_than", "booted_after", "cpus_min", "fact"]
)
def test_a_percent_sign_is_told_as_it_was_sent(api: Api, name: str, value: str) -> None:
    answer = api.get(f"nodes/?{urlencode({name: value})}")
    assert answer.status_code == 400, answer.content
    assert answer.json()["field"] == name
    assert value in answer.json()["detail"]
