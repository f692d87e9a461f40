"""Enrolled nodes that stay away: retired when their absence is proved, never because FleetUI or the network was away."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from nodes.hosts.errors import ConnectionRefused
from nodes.models import Node, Pool, TimelineEvent
from nodes.services.enrolment import absence, holds, retire_absent
from nodes.services.groups import edit_pool
from nodes.services.lifecycle import retired_for_absence
from nodes.services.nodes import set_lifecycle
from nodes.services.polling import Outcome, store
from nodes.services.polling.due import back_off_s
from nodes.tests.make import NOW, make_host_key, make_node, make_pool, make_user
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
AFTER_S = 900
INTERVAL_S = 60


@pytest.fixture
def pool(db: None) -> Pool:
    """Ten enrolled nodes that answer."""
    pool = make_pool("workers", retire_absent_after_s=AFTER_S, poll_interval_s=INTERVAL_S)
    for number in range(10):
        before = NOW - timedelta(days=1)
        make_node(f"worker-{number}", pool=pool, enrolled_at=before, lifecycle_since=before)
    return pool


def fail(names: list[str], *, since_s: int, tried_s: int = 5, **over: Any) -> None:
    """The nodes failed for `since_s` seconds until NOW, with the last contact `tried_s` seconds ago."""
    failures = 8
    due = NOW - timedelta(seconds=tried_s) + timedelta(seconds=back_off_s(INTERVAL_S, failures))
    columns = {
        "reachability": "unreachable",
        "failures": failures,
        "failing_since": NOW - timedelta(seconds=since_s),
        "poll_due_at": due,
        "last_seen_at": NOW - timedelta(seconds=since_s + INTERVAL_S),
        **over,
    }
    Node.objects.filter(name__in=names).update(**columns)


def retired() -> list[str]:
    return sorted(Node.objects.filter(lifecycle="retired").values_list("name", flat=True))


def test_a_node_that_stays_away_is_retired(pool: Pool) -> None:
    fail(["worker-1"], since_s=AFTER_S + 100)
    assert retire_absent(NOW) == 1
    node = Node.objects.get(name="worker-1")
    assert retired() == ["worker-1"]
    assert retired_for_absence(node)
    assert [one.kind for one in TimelineEvent.objects.filter(node=node)] == ["retired_absent"]
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.subject) == (str(SYSTEM), "nodes.set_lifecycle", "node:worker-1")
    assert event.reason == node.lifecycle_reason
    assert "no contact since" in event.reason
    assert retire_absent(NOW) == 0


@pytest.mark.parametrize(
    "over",
    [
        {"failing_since": NOW - timedelta(seconds=AFTER_S - 1)},
        {"failures": 1},
        {"lifecycle": "maintenance"},
        {"enrolled_at": None},
        {"poll_lease": uuid.uuid4()},
        {"poll_requested_at": NOW},
    ],
    ids=["too soon", "one failure", "maintenance", "added by people", "under way", "asked for"],
)
def test_who_is_not_retired(pool: Pool, over: dict[str, Any]) -> None:
    fail(["worker-1"], since_s=AFTER_S + 700, **over)
    assert retire_absent(NOW) == 0
    assert retired() == []


def test_a_pool_that_does_not_ask_for_it_retires_nobody(pool: Pool) -> None:
    fail(["worker-1"], since_s=AFTER_S * 100)
    edit_pool(pool=pool, changes={"retire_absent_after_s": None}, actor=SYSTEM, now=NOW)
    assert retire_absent(NOW) == 0


def test_what_was_not_tried_after_the_time_was_over_is_tried_once_more(pool: Pool) -> None:
    """The worker stood still for an hour: the failure before it proves nothing."""
    fail(["worker-1"], since_s=3700, tried_s=3600)
    node = Node.objects.get(name="worker-1")
    assert node.poll_due_at < NOW
    assert retire_absent(NOW) == 0
    fail(["worker-1"], since_s=AFTER_S + 300, tried_s=400)
    assert retire_absent(NOW) == 0
    node.refresh_from_db()
    assert node.poll_due_at == NOW
    _poll(node, NOW + timedelta(seconds=10))
    assert retire_absent(NOW + timedelta(seconds=11)) == 1


def _poll(node: Node, at: datetime) -> None:
    """A contact that fails, as the worker stores it."""
    lease = uuid.uuid4()
    Node.objects.filter(pk=node.pk).update(poll_lease=lease, poll_lease_until=at + timedelta(minutes=1))
    outcome = Outcome(node.pk, error=ConnectionRefused("10.0.0.1", 22), revision=node.revision, began_at=at)
    assert store([outcome], lease=lease, now=at) == 1


@pytest.mark.parametrize("failures", [2, 3, 5, 9])
def test_the_last_contact_is_never_taken_for_later_than_it_was(pool: Pool, failures: int) -> None:
    """The time of the last contact is read from when the next is due: jitter must not make it later."""
    node = Node.objects.get(name="worker-1")
    for number in range(20):
        Node.objects.filter(pk=node.pk).update(
            failures=failures - 1, failing_since=NOW, lifecycle="active", revision=node.revision
        )
        tried = NOW + timedelta(seconds=AFTER_S - 1)
        _poll(node, tried)
        assert retire_absent(tried + timedelta(seconds=2)) == 0, number


def test_more_than_half_at_once_is_held_and_said(pool: Pool) -> None:
    names = [f"worker-{number}" for number in range(6)]
    fail(names, since_s=AFTER_S + 100)
    assert retire_absent(NOW) == 0
    (hold,) = holds(NOW)
    assert (hold.pool, hold.absent, hold.failing, hold.nodes, hold.reason) == ("workers", 6, 6, 10, "half")
    client = signed_in(make_user("viewer", "viewer"))
    page = client.get("/nodes/").content.decode()
    assert "6 of 10 nodes of the pool workers do not answer" in page
    assert "6 nodes are due to be retired for absence, and are held" in client.get("/pools/workers/").content.decode()
    assert "6 of 10" not in signed_in(make_user("other", ("viewer", make_pool("web")))).get("/nodes/").content.decode()


def test_those_that_fail_but_are_not_due_yet_count_for_the_half(pool: Pool) -> None:
    """Else a pool whose network is away would go bit by bit."""
    fail([f"worker-{number}" for number in range(2, 8)], since_s=AFTER_S - 60)
    fail(["worker-1"], since_s=AFTER_S + 100)
    assert retire_absent(NOW) == 0


def test_half_of_a_pool_may_go(pool: Pool) -> None:
    fail([f"worker-{number}" for number in range(5)], since_s=AFTER_S + 100)
    assert retire_absent(NOW) == 5
    assert holds(NOW) == []


def test_nothing_is_retired_while_nothing_answers(pool: Pool) -> None:
    fail(["worker-1"], since_s=AFTER_S + 100)
    Node.objects.exclude(name="worker-1").update(last_seen_at=NOW - timedelta(hours=1))
    assert retire_absent(NOW) == 0
    assert [hold.reason for hold in holds(NOW)] == ["nothing_answers"]


def test_a_contact_meanwhile_saves_it(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(["worker-1"], since_s=AFTER_S + 100)
    real = absence.something_answers

    def late(now: datetime) -> bool:
        Node.objects.filter(name="worker-1").update(failures=0, failing_since=None, reachability="reachable")
        return real(now)

    monkeypatch.setattr(absence, "something_answers", late)
    assert retire_absent(NOW) == 0
    assert AuditEvent.objects.count() == 0


def test_a_node_whose_address_another_one_took_is_retired(pool: Pool) -> None:
    """Addresses are given again: the key that answers there is that of a newer node."""
    old, new = Node.objects.get(name="worker-1"), Node.objects.get(name="worker-2")
    pinned = make_host_key(new, "pinned")
    fail(["worker-1"], since_s=AFTER_S + 100, reachability="key_mismatch", poll_due_at=NOW - timedelta(hours=1))
    assert retire_absent(NOW) == 0
    offer = make_host_key(old, "offered", fingerprint="SHA256:of-a-stranger")
    assert retire_absent(NOW) == 0
    offer.delete()
    make_host_key(old, "offered", fingerprint=pinned.fingerprint)
    Node.objects.filter(pk=new.pk).update(last_seen_at=NOW - timedelta(seconds=AFTER_S))
    assert retire_absent(NOW) == 0
    Node.objects.filter(pk=new.pk).update(last_seen_at=NOW)
    assert retire_absent(NOW) == 1
    assert retired() == ["worker-1"]


def test_a_person_may_bring_it_back(pool: Pool) -> None:
    fail(["worker-1"], since_s=AFTER_S + 100)
    retire_absent(NOW)
    node = Node.objects.get(name="worker-1")
    set_lifecycle(node=node, lifecycle="active", reason="it is back", actor=SYSTEM, now=NOW)
    node.refresh_from_db()
    assert not retired_for_absence(node)
    later = NOW + timedelta(seconds=AFTER_S)
    _poll(node, later - timedelta(seconds=1))
    assert retire_absent(later) == 0
    later += timedelta(seconds=200)
    _poll(node, later)
    Node.objects.filter(name="worker-2").update(last_seen_at=later)
    assert retire_absent(later + timedelta(seconds=2)) == 1


def test_the_page_of_the_node_says_why(pool: Pool) -> None:
    fail(["worker-1"], since_s=AFTER_S + 100)
    retire_absent(NOW)
    page = signed_in(make_user("viewer", "viewer")).get("/nodes/worker-1/?tab=timeline").content.decode()
    assert "Retired for absence: no contact since 2026-11-22 09:43 UTC, for more than 900 s." in page
    assert "Retired: no contact for 900 s, and the pool workers keeps absent nodes no longer" in page
