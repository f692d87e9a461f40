"""What is said of FleetUI itself about operations that wait for a worker."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest

from fleetui.core import clock
from fleetui.core.vitals import Line, lines
from nodes.services.backlog import backlog
from nodes.tests.make import make_node
from ops.models import Operation, OperationRequest

pytestmark = pytest.mark.django_db


def make_due(name: str, at: datetime | None) -> Operation:
    node = make_node(name)
    return Operation.objects.create(
        request=OperationRequest.objects.create(kind="reboot", requester="user:anna"),
        kind="reboot",
        subject=f"node:{node.pk}",
        node=node,
        node_name=name,
        state="queued",
        due_at=at,
        deadline=clock.now() + timedelta(hours=1),
    )


def waiting() -> Line:
    return next(one for one in lines() if one.key == "queue:operations")


def test_operations_that_are_due_and_that_nobody_takes_are_told() -> None:
    now = clock.now()
    assert (waiting().level, waiting().text) == ("ok", "Nothing waits.")
    make_due("later", now + timedelta(hours=1))
    make_due("asked-a-person", None)
    assert waiting().text == "Nothing waits."
    old = make_due("old", now - timedelta(minutes=10))
    assert (waiting().level, waiting().text) == ("bad", "1 waits, for 10\xa0minutes.")
    assert "queue ops" in waiting().mend
    (found,) = [one for one in backlog(now) if one.kind == "operations"]
    assert (found.count, found.age_s(now)) == (1, 600)
    Operation.objects.filter(pk=old.pk).update(lease_id=uuid.uuid4(), lease_until=now + timedelta(minutes=1))
    assert waiting().text == "Nothing waits."
