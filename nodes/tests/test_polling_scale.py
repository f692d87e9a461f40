"""A tick over many nodes: every question it asks is answered from an index, and their number does not grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nodes.models import Node
from nodes.services.polling import claim_due
from nodes.services.polling.claim import Lane

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NODES = 3000


@pytest.fixture
def many() -> None:
    """Three in ten are dead and long due; of the others a few are due."""
    rows = [
        Node(
            name=f"n{number}",
            address="192.0.2.1",
            failures=3 if number % 10 < 3 else 0,
            poll_due_at=NOW - timedelta(seconds=900) if number % 10 < 3 else NOW + timedelta(seconds=number % 60 - 9),
        )
        for number in range(NODES)
    ]
    Node.objects.bulk_create(rows, batch_size=200)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE nodes_node")


def claim(lane: Lane) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert claim_due(lane=lane, now=NOW)
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("lane", ["live", "slow"])
def test_a_claim_reads_indexes_only(lane: Lane) -> None:
    reads = [sql for sql in claim(lane) if sql.startswith("SELECT")]
    assert len(reads) == 4
    for sql in reads:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                # A few thousand rows are read faster in a row; the question is whether an index can answer.
                cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            plan = "\n".join(str(row) for row in cursor.fetchall())
        # PostgreSQL may take another index for the question whether anything is due at all.
        wanted = ("node_due", "node_leased", "node_asked") if connection.vendor == "sqlite" else ("Index",)
        assert any(name in plan for name in wanted), plan
        assert "Seq Scan" not in plan
        assert "SCAN" not in plan


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("lane", ["live", "slow"])
def test_a_claim_asks_the_same_number_of_questions_however_many_are_due(lane: Lane) -> None:
    many_due = len(claim(lane))
    Node.objects.update(poll_lease=None, poll_lease_until=None)
    mine = Node.objects.filter(failures__gt=0) if lane == "slow" else Node.objects.filter(failures=0)
    Node.objects.filter(pk__in=mine.values_list("pk", flat=True)[3:]).update(lifecycle="retired")
    Node.objects.update(poll_due_at=NOW)
    assert len(claim(lane)) == many_due


@pytest.mark.usefixtures("many")
def test_the_least_tried_come_first_in_the_slow_lane() -> None:
    just_failed = Node.objects.create(name="just-failed", address="192.0.2.1", failures=1, poll_due_at=NOW)
    lease = claim_due(lane="slow", now=NOW)
    just_failed.refresh_from_db()
    assert just_failed.poll_lease == lease
