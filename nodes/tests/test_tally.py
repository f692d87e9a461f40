"""The tally of nodes: right after any write, whoever made it, and as small as it may be."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from django.db import connection

from fleetui.access.principals import SYSTEM
from nodes.models import Node, Tally
from nodes.services import stats, tally
from nodes.tests.cast import Cast
from nodes.tests.make import make_node, make_pool, principal
from nodes.views.facets import Facets

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def summed() -> Counter[tuple[object, ...]]:
    return Counter({row[:-1]: row[-1] for row in Tally.objects.all().sums("pool", "kind", "value")})


def counted() -> Counter[tuple[object, ...]]:
    """The same from the nodes themselves."""
    found: Counter[tuple[object, ...]] = Counter()
    for node in Node.objects.all():
        values = {("lifecycle", node.lifecycle)}
        if node.lifecycle != "retired":
            axes = ("reachability", "health", "update_state")
            values |= {(axis, getattr(node, axis)) for axis in axes}
            values |= {("reason", getattr(node, f"{axis}_reason")) for axis in axes if getattr(node, f"{axis}_reason")}
            values |= {("os", node.os_family), ("stream", node.os_stream), ("version", node.booted_version)}
        found.update((node.pool_id, *value) for value in values)
    return found


def test_it_is_right_after_any_write() -> None:
    draw = random.Random(7)
    pools = [None, make_pool("a"), make_pool("b")]
    for step in range(120):
        nodes = list(Node.objects.order_by("name"))
        some = Node.objects.filter(pk__in=[node.pk for node in nodes if draw.random() < 0.3])
        changes = {
            "pool": draw.choice(pools),
            "lifecycle": draw.choice(["active", "maintenance", "retired"]),
            "health": draw.choice(["healthy", "degraded"]),
            "health_reason": draw.choice(["", "disk_full", "timed_out"]),
            "reachability_reason": draw.choice(["", "timed_out"]),
            "booted_version": draw.choice(["", "44.1", "44.2"]),
        }
        match draw.randrange(4):
            case 0:
                make_node(f"n{step:03}", **changes)
            case 1:
                Node.objects.bulk_create(
                    [Node(name=f"b{step}-{number}", address="x", **changes) for number in range(3)]
                )
            case 2:
                some.update(**dict(draw.sample(sorted(changes.items()), 2)))
            case _:
                some[:2].model.objects.filter(pk__in=list(some.values_list("pk", flat=True)[:1])).delete()
        if step % 10 == 0:
            tally.fold()
    assert Node.objects.count() > 20
    assert summed() == counted()


def test_folding_changes_no_sum_and_leaves_one_row_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_LOOSE_ROWS", 0)
    for number in range(5):
        node = make_node(health="degraded" if number else "healthy")
        Node.objects.filter(pk=node.pk).update(health="unknown")
    before = summed()
    assert Tally.objects.count() > len(before)
    tally.fold()
    assert summed() == before
    assert Tally.objects.count() == len(before)


def test_few_loose_rows_are_left_alone() -> None:
    make_node()
    make_node()
    before = set(Tally.objects.values_list("pk", flat=True))
    tally.fold()
    assert set(Tally.objects.values_list("pk", flat=True)) == before


def test_what_polls_write_of_quiet_nodes_adds_no_row() -> None:
    node = make_node()
    before = Tally.objects.count()
    Node.objects.filter(pk=node.pk).update(last_seen_at=node.created_at, health=node.health)
    assert Tally.objects.count() == before


def test_triggers_that_were_dropped_come_back_with_right_counts() -> None:
    make_node()
    where = " ON nodes_node" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {tally._name('insert')}{where}")
    make_node()
    assert summed() != counted()
    assert tally.install()
    assert summed() == counted()
    make_node()
    assert summed() == counted()
    assert not tally.install()


def test_nodes_written_past_the_triggers_can_be_counted_anew() -> None:
    make_node()
    Tally.objects.all().delete()
    tally.recount()
    assert summed() == counted()


def test_a_principal_counts_what_it_may_see(cast: Cast) -> None:
    Node.objects.filter(pk=cast.db_node.pk).update(health="degraded", booted_version="1")
    viewer = principal(cast.viewer)
    assert stats.fleet_counts(viewer).total == 1
    assert stats.fleet_counts(viewer).axes["health"] == {"healthy": 1, "degraded": 0, "unknown": 0}
    assert [row.pool for row in stats.version_spread(viewer)] == ["web"]
    assert Facets(viewer).counts["version"] == {"44.20261101.3.0": 1}
    assert stats.fleet_counts(principal(cast.outsider)).total == 0
    assert [row.pool for row in stats.version_spread(SYSTEM)] == ["db", "web", None]
