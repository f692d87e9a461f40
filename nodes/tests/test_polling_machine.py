"""Claim, begin, hold, store and release under kills, repeated and reordered messages and edits, held to what must never be."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from fleetui.access.principals import SYSTEM
from nodes.hosts.errors import ConnectionRefused
from nodes.models import Node
from nodes.services.nodes import request_poll, set_lifecycle
from nodes.services.polling import Outcome, begin, claim_due, hold, release, store
from nodes.services.polling.claim import MAX_BATCHES, Lane, lease_time
from nodes.tests.test_polling import seen

NODES = 6
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LANES: tuple[Lane, ...] = ("live", "slow")


class Polling(RuleBasedStateMachine):
    """The model: which lease holds which node, since when each node waits, and when it was retired."""

    messages: Bundle[uuid.UUID] = Bundle("messages")
    working: Bundle[uuid.UUID] = Bundle("working")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.until: dict[uuid.UUID, datetime] = {}
        self.begun: set[uuid.UUID] = set()
        self.holder: dict[uuid.UUID, uuid.UUID] = {}

    @initialize()
    def nodes_are_there(self) -> None:
        Node.objects.all().delete()
        self.ids = [
            Node.objects.create(name=f"n{number}", address="127.0.0.1", poll_due_at=self.now).pk
            for number in range(NODES)
        ]

    def leased(self, lease: uuid.UUID) -> set[uuid.UUID]:
        return set(Node.objects.filter(poll_lease=lease).values_list("pk", flat=True))

    @rule(target=messages, lane=st.sampled_from(LANES), lost=st.booleans())
    def tick(self, lane: Lane, lost: bool) -> uuid.UUID | MultipleResults[uuid.UUID]:
        due = set(Node.objects.due(self.now).values_list("pk", flat=True))
        lease = claim_due(lane=lane, now=self.now)
        if lease is None:
            return multiple()
        mine = self.leased(lease)
        assert mine
        assert mine <= due
        assert not Node.objects.filter(pk__in=mine, lifecycle="retired").exists()
        for node in mine:
            old = self.holder.get(node)
            assert old is None or self.until[old] <= self.now, "claimed while another lease still held it"
            self.holder[node] = lease
        self.until[lease] = self.now + lease_time()
        return multiple() if lost else lease

    @rule(target=working, message=messages)
    def message_arrives(self, message: uuid.UUID) -> uuid.UUID | MultipleResults[uuid.UUID]:
        """The message stays in its bundle: it may arrive again, at any time later."""
        before = self.leased(message)
        own = begin(lease=message, now=self.now)
        if own is None:
            return multiple()
        assert message not in self.begun, "begun twice"
        assert self.until[message] > self.now
        self.begun.add(message)
        assert self.leased(own) == before
        for node in before:
            self.holder[node] = own
        self.until[own] = self.now + lease_time()
        return own

    @rule(lease=working)
    def renewed(self, lease: uuid.UUID) -> None:
        alive = self.until[lease] > self.now and bool(self.leased(lease))
        assert hold(lease=lease, now=self.now) == alive
        if alive:
            self.until[lease] = self.now + lease_time()

    @rule(lease=working, which=st.sets(st.integers(0, NODES - 1), min_size=1), answered=st.booleans())
    def stored(self, lease: uuid.UUID, which: set[int], answered: bool) -> None:
        """A worker, perhaps one that was thought dead, writes what it found of some nodes."""
        chosen = [Node.objects.get(pk=self.ids[index]) for index in which]
        mine = {node.pk for node in chosen if self.holder.get(node.pk) == lease}
        before = {node.pk: (node.last_seen_at, node.failures, node.poll_due_at) for node in chosen}
        self.now += timedelta(milliseconds=1)
        refused = ConnectionRefused("127.0.0.1", 22)
        outcomes = [seen(node) if answered else Outcome(node.pk, error=refused) for node in chosen]
        assert store(outcomes, lease=lease, now=self.now) == len(mine)
        for node in Node.objects.filter(pk__in=before):
            after = (node.last_seen_at, node.failures, node.poll_due_at)
            assert (after != before[node.pk]) == (node.pk in mine), "stored by a lease that does not hold it"
            if node.pk in mine:
                assert node.poll_lease is None
                assert node.poll_due_at > self.now
                del self.holder[node.pk]

    @rule(lease=consumes(working))
    def given_back(self, lease: uuid.UUID) -> None:
        mine = self.leased(lease)
        release(lease=lease, nodes=self.ids)
        for node in mine:
            del self.holder[node]

    @rule(lease=consumes(working))
    def killed(self, lease: uuid.UUID) -> None:
        """Nothing is written; only time frees what it held."""

    @rule(seconds=st.sampled_from([1, 30, 89, 91, 700]))
    def time_goes_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(index=st.integers(0, NODES - 1), retired=st.booleans())
    def lifecycle_changes(self, index: int, retired: bool) -> None:
        node = Node.objects.get(pk=self.ids[index])
        wanted = "retired" if retired else "active"
        if node.lifecycle != wanted:
            set_lifecycle(node=node, lifecycle=wanted, reason="", actor=SYSTEM, now=self.now)
            self.holder.pop(node.pk, None)

    @rule()
    def everything_is_asked_for(self) -> None:
        request_poll(nodes=Node.objects.all(), actor=SYSTEM, now=self.now)

    @invariant()
    def leases_are_what_the_model_says(self) -> None:
        rows = Node.objects.exclude(poll_lease=None).values_list("pk", "poll_lease", "poll_lease_until")
        assert {pk: lease for pk, lease, _ in rows} == self.holder
        assert all(until == self.until[lease] for _, lease, until in rows)

    def teardown(self) -> None:
        """Whatever happened: once time has passed, every node that is not retired is claimed, and no other."""
        self.now += timedelta(days=1)
        claimed: set[uuid.UUID] = set()
        for lane in LANES:
            for _ in range(MAX_BATCHES[lane]):
                if lease := claim_due(lane=lane, now=self.now):
                    claimed |= self.leased(lease)
        wanted = Node.objects.exclude(lifecycle="retired").values_list("pk", flat=True)
        assert claimed == set(wanted)
        Node.objects.all().delete()


LIMITS = settings(max_examples=6, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.django_db
def test_no_order_of_events_breaks_polling() -> None:
    run_state_machine_as_test(Polling, settings=LIMITS)
