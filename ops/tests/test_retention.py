"""Logs of operations that ended long ago go; the operations and what runs stay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nodes.tests.make import NOW, make_node
from ops.models import LogLine, Operation, OperationRequest
from ops.services.retention import prune_logs

pytestmark = pytest.mark.django_db


def an_operation(name: str, days_ago: int | None) -> Operation:
    """One that ended so many days ago (None: it runs), with three lines of log."""
    node = make_node(name)
    ended = None if days_ago is None else NOW - timedelta(days=days_ago)
    request = OperationRequest.objects.create(kind="reboot", requester="user:anna")
    operation = Operation.objects.create(
        request=request,
        kind="reboot",
        subject=f"node:{node.pk}",
        node=node,
        node_name=name,
        state="running" if ended is None else "succeeded",
        deadline=NOW,
        created_at=NOW - timedelta(days=200),
        ended_at=ended,
        log_seq=3,
    )
    at = NOW - timedelta(days=200)
    LogLine.objects.bulk_create(
        LogLine(operation=operation, seq=seq, at=at, stream="out", text="x") for seq in range(1, 4)
    )
    return operation


def test_only_logs_of_what_ended_go() -> None:
    old, new, running = an_operation("a", 100), an_operation("b", 5), an_operation("c", None)
    before = NOW - timedelta(days=90)
    assert prune_logs(before, 2) == 2
    assert prune_logs(before, 2) == 1
    assert prune_logs(before, 2) == 0
    assert Operation.objects.count() == 3
    left = set(LogLine.objects.values_list("operation", flat=True))
    assert left == {new.pk, running.pk}
    assert old.pk not in left
