"""How long a node is silent is counted by contacts: a time in which nobody tried counts for one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from nodes.hosts.errors import AuthenticationFailed, ConnectionRefused, HostError
from nodes.models import Node
from nodes.services.nodes import edit_node, set_lifecycle
from nodes.services.polling import Outcome, claim_due, store
from nodes.services.polling.due import JITTER, back_off_s
from nodes.tests.make import make_node

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REFUSED = ConnectionRefused("10.0.0.1", 22)


@pytest.fixture
def node() -> Node:
    return make_node("web-1", last_seen_at=NOW - timedelta(minutes=1))


def tried(node: Node, at: datetime, error: HostError = REFUSED) -> Node:
    Node.objects.filter(pk=node.pk).update(poll_due_at=at)
    lease = claim_due(lane="live", now=at) or claim_due(lane="slow", now=at)
    assert lease
    store([Outcome(node.pk, error=error)], lease=lease, now=at)
    return Node.objects.get(pk=node.pk)


def silent(node: Node, tries: int, at: datetime = NOW) -> tuple[Node, datetime]:
    """Tried so often, each time when it is due."""
    for number in range(tries):
        at += timedelta(seconds=back_off_s(60, number) if number else 0)
        node = tried(node, at)
    return node, at


def test_it_is_the_time_between_the_contacts(node: Node) -> None:
    found, at = silent(node, 5)
    assert (found.silent_s, found.silent_at, found.failing_since) == (60 + 120 + 240 + 480, at, NOW)


def test_a_pause_of_fleetui_counts_for_one_planned_wait(node: Node) -> None:
    found, at = silent(node, 3)
    before = found.silent_s
    later = tried(found, at + timedelta(days=2))
    assert later.silent_s - before == int(back_off_s(60, 3) * (1 + JITTER))
    assert later.failing_since == NOW


def test_who_asks_for_polls_again_and_again_makes_no_time_pass(node: Node) -> None:
    found, at = silent(node, 2)
    for number in range(20):
        found = tried(found, at + timedelta(seconds=number + 1))
    assert found.silent_s == 60 + 20


def test_what_answers_in_any_way_is_not_silent(node: Node) -> None:
    found, at = silent(node, 4)
    found = tried(found, at + timedelta(minutes=10), AuthenticationFailed("10.0.0.1", "core"))
    assert (found.silent_s, found.silent_at, found.failures) == (0, None, 5)
    found = tried(found, at + timedelta(minutes=20))
    assert (found.silent_s, found.silent_at) == (0, at + timedelta(minutes=20))


@pytest.mark.parametrize("change", ["address", "maintenance"])
def test_it_begins_anew_when_a_person_moves_it_or_takes_it_into_service(node: Node, change: str) -> None:
    found, at = silent(node, 4)
    told: dict[str, Any] = {"node": found, "actor": SYSTEM, "now": at}
    if change == "address":
        edit_node(changes={"address": "10.0.0.2"}, **told)
    else:
        set_lifecycle(lifecycle="maintenance", reason="", **told)
    found = Node.objects.get(pk=node.pk)
    assert (found.silent_s, found.silent_at) == (0, None)
    found = tried(found, at + timedelta(minutes=1))
    assert found.silent_s == 0
