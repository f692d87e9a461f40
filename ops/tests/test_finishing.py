"""A request of several operations is told of once, when none of them is open any more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleetui.core import clock
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.models import Pool
from nodes.tests.make import make_node, make_pool
from ops.models import Operation, OperationRequest
from ops.services.finishing import finish
from ops.states import State

pytestmark = pytest.mark.django_db
NOW = clock.now()


def asked(*states: tuple[Pool, str]) -> OperationRequest:
    request = OperationRequest.objects.create(kind="upgrade", requester="user:anna")
    for number, (pool, state) in enumerate(states):
        node = make_node(pool=pool)
        row = Operation(request=request, number=number, kind="upgrade", subject=f"node:{node.pk}", node=node)
        row.node_name, row.pool, row.pool_name, row.state = node.name, pool, pool.name, state
        row.deadline = NOW + timedelta(hours=1)
        row.ended_at = None if state in (State.RUNNING, State.NEEDS_ATTENTION) else NOW
        row.save()
    return request


def test_it_is_told_once_by_pool_with_the_counts() -> None:
    Rule.objects.create(channel=Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a"))
    web, db = make_pool("web"), make_pool("db")
    request = asked((web, "succeeded"), (web, "succeeded"), (web, "failed"), (db, "cancelled"), (db, "needs_attention"))
    assert finish(NOW) == 0
    Operation.objects.filter(state=State.NEEDS_ATTENTION).update(state=State.SUCCEEDED, ended_at=NOW)
    assert [finish(NOW), finish(NOW)] == [1, 0]
    rows = {row.document["pool"]: row for row in Delivery.objects.all()}
    assert {pool: (row.event, row.severity) for pool, row in rows.items()} == {
        "web": ("request.finished", "warning"),
        "db": ("request.finished", "info"),
    }
    document = rows["web"].document
    assert document["text"] == "Upgrade in web has ended: succeeded 2, failed 1"
    assert document["details"]["states"] == {"succeeded": 2, "failed": 1}
    assert (document["path"], document["details"]["request"]) == (
        f"/operations/requests/{request.pk}/",
        str(request.pk),
    )


def test_one_operation_has_an_end_of_its_own_and_is_closed_silently() -> None:
    Rule.objects.create(channel=Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a"))
    web = make_pool("web")
    request, empty, running = asked((web, "succeeded")), asked(), asked((web, "running"), (web, "succeeded"))
    assert finish(NOW) == 2
    assert not Delivery.objects.exists()
    left = OperationRequest.objects.filter(finished_at=None)
    assert list(left) == [running]
    assert {request.pk, empty.pk} & set(left.values_list("pk", flat=True)) == set()
