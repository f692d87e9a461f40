"""Whoever writes several operations takes them in one order, and an operation starts where its node is known to be."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict
from nodes.models import Node, Pool
from nodes.services.groups import edit_pool
from nodes.services.nodes import edit_node
from nodes.tests.make import NOW, make_node, make_pool, make_user, principal
from nodes.tests.waiting import until_it_waits
from ops.engine import start_queued
from ops.models import Operation, OperationRequest
from ops.services import control
from ops.services.approve import decide
from ops.services.expire import expire_untouched

pytestmark = pytest.mark.django_db(transaction=True)
FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture(autouse=True)
def only_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")


def operation(pk: uuid.UUID, request: OperationRequest, pool: Pool, **over: Any) -> Operation:
    node = make_node(f"n-{pk.int}", pool=pool)
    told: dict[str, Any] = {
        "kind": "refresh",
        "subject": f"node:{node.pk}",
        "node": node,
        "node_name": node.name,
        "pool": pool,
        "pool_name": pool.name,
        "state": "queued",
        "wait_reason": "turn",
        "deadline": NOW + timedelta(hours=1),
        "created_at": NOW,
        **over,
    }
    return Operation.objects.create(pk=pk, request=request, **told)


def in_a_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    return threading.Thread(target=run), found


def _expire(_request: OperationRequest, _pool: Pool) -> object:
    return expire_untouched(NOW + timedelta(hours=2))


def _approve(request: OperationRequest, _pool: Pool) -> object:
    actor = principal(make_user("ben", "approver"))
    return decide(request=request, grant=True, actor=actor, now=NOW).is_granted


def _reject(request: OperationRequest, _pool: Pool) -> object:
    actor = principal(make_user("ben", "approver"))
    return decide(request=request, grant=False, actor=actor, now=NOW).is_granted


def _rename(_request: OperationRequest, pool: Pool) -> object:
    edit_pool(pool=pool, changes={"name": "front"}, actor=SYSTEM, now=NOW)
    return True


def _stop(_request: OperationRequest, _pool: Pool) -> object:
    return control.stop_all(actor=SYSTEM, now=NOW, reason="storm").reason


@pytest.mark.parametrize(
    ("write", "wanted"),
    [(_expire, 2), (_approve, True), (_reject, False), (_rename, True), (_stop, "storm")],
    ids=["expire", "approve", "reject", "rename", "stop"],
)
def test_two_writers_of_the_same_operations_end_both(
    write: Callable[[OperationRequest, Pool], object], wanted: object
) -> None:
    pool = make_pool("web")
    waits = "queued" if write in (_rename, _stop) else "awaiting_approval"
    request = OperationRequest.objects.create(kind="refresh", requester="user:owner", approvals_needed=1)
    # In the table and by its deadline the second one comes first.
    operation(SECOND, request, pool, state=waits, number=0, deadline=NOW + timedelta(minutes=1))
    operation(FIRST, request, pool, state=waits, number=1)
    other, found = in_a_thread(lambda: write(request, pool))
    with transaction.atomic():
        Operation.objects.select_for_update().get(pk=FIRST)
        other.start()
        until_it_waits(other)
        Operation.objects.select_for_update().get(pk=SECOND)
    other.join()
    assert found == [wanted]


def test_an_operation_whose_address_is_being_changed_starts_after_the_change() -> None:
    pool = make_pool("web")
    one = operation(FIRST, OperationRequest.objects.create(kind="refresh", requester="user:owner"), pool)
    other, found = in_a_thread(lambda: start_queued(NOW))
    with transaction.atomic():
        edit_node(node=Node.objects.get(operations=one), changes={"address": "10.9.9.9"}, actor=SYSTEM, now=NOW)
        other.start()
        until_it_waits(other)
    other.join()
    assert found == [1]
    one.refresh_from_db()
    assert (one.state, one.node and one.node.address) == ("running", "10.9.9.9")


def test_an_address_is_not_changed_while_the_operation_is_being_started() -> None:
    pool = make_pool("web")
    one = operation(FIRST, OperationRequest.objects.create(kind="refresh", requester="user:owner"), pool)
    node = Node.objects.get(operations=one)
    other, found = in_a_thread(lambda: edit_node(node=node, changes={"address": "10.9.9.9"}, actor=SYSTEM, now=NOW))
    with transaction.atomic():
        assert start_queued(NOW) == 1
        other.start()
        until_it_waits(other)
    other.join()
    assert [type(one) for one in found] == [Conflict]
    assert Node.objects.get(operations=one).address != "10.9.9.9"
