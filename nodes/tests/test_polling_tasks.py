"""A batch at work: what is repeated, slow, broken, asked for or edited while its contacts are under way."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from fleetui.access.principals import SYSTEM
from fleetui.core import again
from nodes import tasks
from nodes.hosts.errors import HostError
from nodes.models import Facts, Node
from nodes.services.nodes import edit_node, request_poll
from nodes.services.polling import Outcome, batch, claim_due, store
from nodes.services.polling.contact import Target
from nodes.tests.test_polling import node, seen

pytestmark = pytest.mark.django_db(transaction=True)
During = Callable[[Target], object]


class Hosts:
    """Plays every host: counts contacts, and does what a test wants while one is under way."""

    def __init__(self) -> None:
        self.contacts: Counter[object] = Counter()
        self.under_way: Counter[object] = Counter()
        self.most_at_once = 0
        self.during: During = lambda target: None
        self._lock = threading.Lock()

    def __call__(self, target: Target, *, now: datetime, turn: object, shared: object, kept: object) -> Outcome:
        with self._lock:
            self.contacts[target.node_id] += 1
            self.under_way[target.node_id] += 1
            self.most_at_once = max(self.most_at_once, self.under_way[target.node_id])
        try:
            self.during(target)
        finally:
            with self._lock:
                self.under_way[target.node_id] -= 1
        found = seen(Node(pk=target.node_id))
        return Outcome(target.node_id, found.look, began_at=now, revision=target.revision)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    played = Hosts()
    monkeypatch.setattr(batch, "contact", played)
    monkeypatch.setattr(tasks, "STORE_EVERY_S", 0.1)
    monkeypatch.setattr(again, "TRY_AGAIN_AFTER_S", (0.01, 0.01))
    yield played
    tasks._stopping.clear()


def due_nodes(count: int) -> list[Node]:
    return [node(f"n{number}") for number in range(count)]


def claimed() -> str:
    lease = claim_due(lane="live", now=datetime.now(UTC))
    assert lease
    return str(lease)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_repeated_messages_contact_each_host_once(hosts: Hosts) -> None:
    due_nodes(8)
    hosts.during = lambda target: time.sleep(0.1)
    lease = claimed()
    for thread in [in_thread(lambda: tasks.poll_batch(lease)) for _ in range(5)]:
        thread.join()
    tasks.poll_batch(lease)
    assert set(hosts.contacts.values()) == {1}
    assert len(hosts.contacts) == 8
    assert hosts.most_at_once == 1
    assert not Node.objects.exclude(poll_lease=None).exists()


def test_one_host_that_hangs_holds_back_no_answer_of_the_others(hosts: Hosts) -> None:
    hanging, *others = due_nodes(5)
    goes_on = threading.Event()
    hosts.during = lambda target: target.node_id == hanging.pk and goes_on.wait(60)
    thread = in_thread(lambda: tasks.poll_batch(claimed()))
    wait_for(lambda: Node.objects.filter(pk__in=[one.pk for one in others], last_seen_at=None).count() == 0)
    assert Node.objects.get(pk=hanging.pk).poll_lease
    goes_on.set()
    thread.join()
    assert Node.objects.get(pk=hanging.pk).last_seen_at


def test_a_long_batch_keeps_its_lease(hosts: Hosts, settings: Any) -> None:
    settings.POLL_LEASE_S = 1
    due_nodes(1)
    goes_on = threading.Event()
    hosts.during = lambda target: goes_on.wait(60)
    thread = in_thread(lambda: tasks.poll_batch(claimed()))
    time.sleep(1.6)
    assert claim_due(lane="live", now=datetime.now(UTC)) is None
    goes_on.set()
    thread.join()
    assert Node.objects.get().last_seen_at


def test_a_database_that_fails_for_a_moment_costs_no_answer(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    due_nodes(3)
    failures = iter([OperationalError("database is locked"), OperationalError("the connection is lost")])

    def failing(*args: Any, **named: Any) -> int:
        for failure in failures:
            raise failure
        return store(*args, **named)

    monkeypatch.setattr(tasks, "store", failing)
    tasks.poll_batch(claimed())
    assert not Node.objects.filter(last_seen_at=None).exists()


def test_a_database_that_stays_away_ends_the_batch_and_its_lease_runs_out(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    due_nodes(3)

    def gone(*args: Any, **named: Any) -> int:
        raise OperationalError("the server is gone")

    monkeypatch.setattr(tasks, "store", gone)
    with pytest.raises(OperationalError):
        tasks.poll_batch(claimed())
    later = datetime.now(UTC) + timedelta(seconds=91)
    assert claim_due(lane="live", now=later)


def test_a_fault_of_ours_on_one_host_leaves_the_others_alone(hosts: Hosts) -> None:
    odd, *others = due_nodes(3)

    def fail(target: Target) -> None:
        if target.node_id == odd.pk:
            raise ZeroDivisionError

    hosts.during = fail
    tasks.poll_batch(claimed())
    odd.refresh_from_db()
    assert (odd.failures, odd.last_error_kind, odd.last_error_params["error"]) == (
        1,
        HostError.kind,
        "ZeroDivisionError",
    )
    assert Node.objects.filter(failures=0).exclude(last_seen_at=None).count() == len(others)


def test_poll_now_during_a_contact_polls_again_after_it(hosts: Hosts) -> None:
    target = due_nodes(1)[0]

    def ask(_: Target) -> None:
        request_poll(nodes=Node.objects.all(), actor=SYSTEM, now=datetime.now(UTC))
        connection.close()

    hosts.during = ask
    tasks.poll_batch(claimed())
    target.refresh_from_db()
    assert target.last_seen_at
    assert target.poll_requested_at
    hosts.during = lambda target: None
    tasks.poll_batch(claimed())
    after = Node.objects.get()
    assert after.poll_requested_at is None
    assert after.poll_due_at > datetime.now(UTC)


def test_the_answer_of_the_old_address_is_not_stored(hosts: Hosts) -> None:
    target = due_nodes(1)[0]

    def edit(_: Target) -> None:
        edit_node(node=target, changes={"address": "192.0.2.7"}, actor=SYSTEM, now=datetime.now(UTC))
        connection.close()

    hosts.during = edit
    tasks.poll_batch(claimed())
    target.refresh_from_db()
    assert not Facts.objects.exists()
    assert target.poll_lease is None
    hosts.during = lambda target: None
    tasks.poll_batch(claimed())
    target.refresh_from_db()
    assert target.facts


def test_a_worker_that_stops_gives_back_what_it_did_not_start(hosts: Hosts, settings: Any) -> None:
    count = settings.POLL_THREADS * batch.WAITING_PER_TURN + 5
    due_nodes(count)
    goes_on = threading.Event()
    hosts.during = lambda target: goes_on.wait(60)
    thread = in_thread(lambda: tasks.poll_batch(claimed()))
    wait_for(lambda: len(hosts.contacts) == count - 5)
    tasks._stop()
    wait_for(lambda: Node.objects.filter(poll_lease=None).count() == 5)
    goes_on.set()
    thread.join()
    assert Node.objects.exclude(last_seen_at=None).count() == count - 5
    assert len(hosts.contacts) == count - 5
