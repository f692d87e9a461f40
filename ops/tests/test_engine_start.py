"""What may start and when: limits, fairness between pools, control planes, Stop all; and what a tick reads for it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Cluster, Node, Pool
from nodes.tests.make import make_facts, make_node, make_pool, make_user, principal
from ops.engine import claim_due, start_queued
from ops.frame import operations_tool
from ops.models import Limit, LogLine, Operation, OperationRequest
from ops.services import control
from ops.services.expire import expire_untouched
from ops.services.limits import limits_seen_by
from ops.services.whereabouts import at_work
from ops.wording import result_sentence, wait_sentence

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
FINISHED = 4000


def queued(pool: Pool, count: int, at: datetime, **over: Any) -> list[Operation]:
    """Operations that were asked for at that time, on nodes of their own."""
    cluster = pool.cluster
    request = OperationRequest.objects.create(kind="reboot", requester="user:anna", requested_at=at)
    rows = []
    for number in range(count):
        node = make_node(f"{pool.name}-{request.pk.hex[:4]}-{number}", pool=pool)
        told = {"kind": "reboot", "is_disruptive": True, "step": "preflight", "attempt": 1, **over}
        rows.append(
            Operation(
                request=request,
                number=number,
                subject=f"node:{node.pk}",
                node=node,
                node_name=node.name,
                pool=pool,
                pool_name=pool.name,
                cluster_name=cluster.name if cluster else "",
                state="queued",
                created_at=at,
                deadline=at + timedelta(hours=4),
                **told,
            )
        )
    return Operation.objects.bulk_create(rows)


def running() -> Counter[str]:
    return Counter(Operation.objects.filter(state="running").values_list("pool_name", flat=True))


def limit(scope: str, name: str, at_once: int) -> None:
    Limit.objects.create(scope=scope, name=name, at_once=at_once, set_by="user:anna", reason="test")


def test_pools_take_turns_so_that_a_large_request_holds_up_no_other() -> None:
    now = clock.now()
    large, small = make_pool("large"), make_pool("small")
    limit("overall", "", 4)
    limit("pool", "large", 10)
    limit("pool", "small", 10)
    queued(large, 12, now - timedelta(minutes=5))
    queued(small, 3, now - timedelta(minutes=1))
    assert start_queued(now) == 4
    assert running() == {"large": 2, "small": 2}
    Operation.objects.filter(state="running").update(state="succeeded")
    assert start_queued(now) == 4
    assert running() == {"large": 3, "small": 1}


def test_what_was_asked_for_after_the_tick_began_did_not_start_before_that() -> None:
    now = clock.now()
    (one,) = queued(make_pool("web"), 1, now + timedelta(milliseconds=80))
    assert start_queued(now) == 1
    one.refresh_from_db()
    assert one.started_at == one.state_since == one.created_at
    assert LogLine.objects.get(operation=one).at == one.created_at


def test_without_limits_one_disruptive_operation_runs_in_a_pool_and_calm_ones_beside_it() -> None:
    now = clock.now()
    web = make_pool("web")
    queued(web, 3, now - timedelta(minutes=5))
    queued(web, 2, now, is_disruptive=False, kind="pin")
    assert start_queued(now) == 3
    assert sorted(Operation.objects.filter(state="running").values_list("kind", flat=True)) == ["pin", "pin", "reboot"]
    assert start_queued(now) == 0


def test_a_cluster_has_a_limit_of_its_own_and_two_control_planes_never_run() -> None:
    now = clock.now()
    cluster = Cluster.objects.create(name="prod")
    planes, workers = (make_pool(name, cluster=cluster) for name in ("planes", "workers"))
    for name in ("planes", "workers"):
        limit("pool", name, 10)
    limit("cluster", "prod", 4)
    queued(planes, 3, now - timedelta(minutes=5), is_control_plane=True)
    queued(workers, 6, now)
    assert start_queued(now) == 4
    assert running() == {"planes": 1, "workers": 3}
    limit("overall", "", 100)
    Limit.objects.filter(scope="cluster").update(at_once=100)
    start_queued(now)
    assert running() == {"planes": 1, "workers": 6}, "no limit lets two control planes run"


def test_stop_all_halts_every_start_and_nothing_that_runs() -> None:
    now = clock.now()
    limit("pool", "web", 5)
    (first, *_others) = queued(make_pool("web"), 2, now)
    Operation.objects.filter(pk=first.pk).update(state="running", due_at=now)
    control.stop_all(actor=SYSTEM, now=now, reason="incident")
    assert start_queued(now) == 0
    assert [pk for pk, _lease in claim_due(now)] == [first.pk]
    control.lift_stop(actor=SYSTEM)
    assert start_queued(now) == 1


def test_what_is_queued_says_whether_the_limits_hold_it_or_who_stopped_all() -> None:
    now = clock.now()
    (first, _second) = queued(make_pool("web"), 2, now)

    def said() -> set[str]:
        rows = Operation.objects.filter(state="queued").values_list("wait_reason", "wait_params")
        return {wait_sentence(*row) for row in rows}

    Operation.objects.update(wait_reason="turn")
    start_queued(now)
    by = f"Now it is used by {first.node_name}."
    assert said() == {f"Waits for its turn: the limit of the pool web lets 1 operation run at once. {by}"}
    Limit.objects.create(scope="overall", name="", at_once=1, set_by="user:anna", set_at=now)
    start_queued(now)
    assert said() == {"Waits for its turn: the limit of the whole installation lets 1 operation run at once."}
    Limit.objects.all().delete()
    control.stop_all(actor=principal(make_user("anna", "admin")), now=now, reason="storm")
    stopped = "Waits: all starts are stopped by anna (storm). It has its turn when that is lifted."
    assert said() == {stopped}
    queued(make_pool("db"), 1, now, wait_reason="turn")
    start_queued(now)
    assert said() == {stopped}, "also what was asked for since"
    expire_untouched(now + timedelta(hours=5))
    late = Operation.objects.filter(state="timed_out").first()
    assert late is not None
    assert stopped in result_sentence(late.result, late.result_params)
    queued(make_pool("edge"), 2, now, wait_reason="turn")
    start_queued(now)
    control.lift_stop(actor=SYSTEM)
    assert said() == {"Waits for its turn: the limits let no more run now."}


def test_a_claim_is_one_persons_alone_and_counts_the_same_for_many() -> None:
    now = clock.now()
    rows = queued(make_pool("web"), 30, now)
    Operation.objects.filter(pk__in=[row.pk for row in rows]).update(state="running", due_at=now)
    with CaptureQueriesContext(connection) as seen:
        claimed = claim_due(now)
    assert len(claimed) == 30
    assert len(seen) <= 5
    assert claim_due(now) == []
    # When its worker has died, somebody else has it after the lease.
    assert len(claim_due(now + timedelta(seconds=61))) == 30


def finished(web: Pool, now: datetime) -> None:
    """Many operations that have ended, and what the database knows of how many there are."""
    node = make_node("past", pool=web)
    make_facts(node)
    request = OperationRequest.objects.create(kind="reboot", requester="user:anna", requested_at=now)
    Operation.objects.bulk_create(
        (
            Operation(
                request=request,
                number=number,
                kind="reboot",
                subject=f"node:{node.pk}",
                node=Node(pk=node.pk),
                node_name="past",
                pool=web,
                pool_name="web",
                state="succeeded",
                is_disruptive=True,
                deadline=now,
                created_at=now - timedelta(minutes=number),
                ended_at=now,
            )
            for number in range(FINISHED)
        ),
        batch_size=500,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_a_tick_does_not_read_what_has_ended() -> None:
    """Beside a million finished operations, reading all of them would be the whole cost of a tick."""
    now = clock.now()
    web = make_pool("web")
    queued(web, 3, now)
    finished(web, now)
    with CaptureQueriesContext(connection) as seen:
        expire_untouched(now)
        start_queued(now)
        claim_due(now)
    assert _read_what_is_open_only(seen) >= 5


def test_no_page_reads_what_has_ended() -> None:
    """The menu of operations is on every page; an edit of many nodes asks for what runs on them."""
    now = clock.now()
    web = make_pool("web")
    rows = queued(web, 3, now)
    finished(web, now)
    with CaptureQueriesContext(connection) as seen:
        operations_tool(SimpleNamespace(principal=SYSTEM))  # type: ignore[arg-type]  # what it asks of a request
        limits_seen_by(SYSTEM)
        at_work([row.node_id for row in rows if row.node_id])
    assert _read_what_is_open_only(seen) == 3


def _read_what_is_open_only(seen: CaptureQueriesContext) -> int:
    """How many queries read operations; none of them reads all."""
    asked = [
        one["sql"] for one in seen if one["sql"].startswith("SELECT") and re.search(r"ops_operation\b", one["sql"])
    ]
    for sql in asked:
        plan = _plan_of(sql).replace("SCAN ops_operation USING INDEX operation_open", "what is open")
        # A search for every id there may be is a scan by another name.
        assert not re.search(r"(SCAN|Seq Scan on) ops_operation\b|ops_operation USING INDEX \w+ \(\w+>\?\)", plan), (
            sql,
            plan,
        )
    return len(asked)


def _plan_of(sql: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}".replace("%", "%%"), ())
        return "\n".join(str(row) for row in cursor.fetchall())
