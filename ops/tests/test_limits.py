"""Limits: what they let start, who may raise them and with which reason, on the page and over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from nodes.models import Node, Pool
from nodes.services.groups import edit_pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_cluster, make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.engine import start_queued
from ops.models import ApprovalRule, Limit, Operation
from ops.services.request import request_operations

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def ask(pool: Pool, count: int, kind: str = "reboot") -> list[Operation]:
    """So many nodes of a pool, with an operation each that waits for its turn."""
    nodes = [make_node(pool=pool) for _ in range(count)]
    for node in nodes:
        make_facts(node)
    found = Node.objects.filter(pk__in=[node.pk for node in nodes]).select_related("pool__cluster")
    return list(request_operations(nodes=list(found), kind=kind, actor=SYSTEM, now=clock.now()).operations)


@pytest.fixture
def web() -> Pool:
    return make_pool("web", cluster=make_cluster("k8s"))


@pytest.fixture
def owner() -> Api:
    return Api(make_user("owner", "admin"))


def test_the_defaults_protect_and_a_raised_limit_lets_more_start(web: Pool, owner: Api) -> None:
    ask(web, 4)
    assert start_queued(clock.now()) == 1
    assert owner.put("limits/pool/web/", {"at_once": 3}).status_code == 400
    answer = owner.put("limits/pool/web/", {"at_once": 3, "reason": "CHG-1: night shift"})
    assert answer.status_code == 200, answer.content
    assert {name: answer.json()[name] for name in ("at_once", "default", "running", "queued", "set_by", "reason")} == {
        "at_once": 3,
        "default": 1,
        "running": 1,
        "queued": 3,
        "set_by": str(AuditEvent.objects.order_by("-seq")[0].actor),
        "reason": "CHG-1: night shift",
    }
    assert start_queued(clock.now()) == 2
    event = AuditEvent.objects.get(action="operations.set_limit")
    assert (event.subject, event.before, event.after) == ("limit:pool/web", '{"at_once":1}', '{"at_once":3}')


def test_a_limit_goes_back_to_its_default(owner: Api) -> None:
    owner.put("limits/overall/-/", {"at_once": 10})
    # Back to 50 raises it.
    assert owner.put("limits/overall/-/", {"at_once": None}).json()["field"] == "reason"
    answer = owner.put("limits/overall/-/", {"at_once": None, "reason": "over"}).json()
    assert (answer["at_once"], answer["is_default"], answer["set_by"]) == (50, True, None)
    assert not Limit.objects.exists()


@pytest.mark.parametrize("at_once", [0, -1, 10_001])
def test_what_cannot_be_a_limit_is_refused(owner: Api, at_once: int) -> None:
    answer = owner.put("limits/overall/-/", {"at_once": at_once, "reason": "x"})
    assert (answer.status_code, answer.json()["field"]) == (400, "at_once")


def test_only_admins_may_and_those_of_a_pool_for_their_pool(web: Pool) -> None:
    make_pool("db")
    told = {"at_once": 2, "reason": "x"}
    assert Api(make_user("op", "operator")).put("limits/pool/web/", told).status_code == 403
    mine = Api(make_user("webadmin", ("admin", web)))
    assert mine.put("limits/pool/web/", told).status_code == 200
    assert mine.put("limits/pool/db/", told).status_code == 404
    assert mine.put("limits/overall/-/", told).status_code == 403
    scopes = {(one["scope"], one["name"]) for one in mine.get("limits/").json()["results"]}
    assert ("pool", "db") not in scopes
    assert ("pool", "web") in scopes


def test_limits_and_rules_follow_a_renamed_pool(web: Pool, owner: Api) -> None:
    """Otherwise a new name would take the approvals away."""
    Limit.objects.create(scope="pool", name="web", at_once=2, set_by="user:a", reason="x")
    ApprovalRule.objects.create(pool="web", approvers=2, set_by="user:a")
    ask(web, 1)
    edit_pool(pool=web, changes={"name": "shop"}, actor=SYSTEM, now=clock.now())
    assert [(one.name, one.at_once) for one in Limit.objects.all()] == [("shop", 2)]
    assert ApprovalRule.objects.get().pool == "shop"
    assert Operation.objects.get().pool_name == "shop"


def test_the_page_shows_use_and_changes_with_a_reason(web: Pool) -> None:
    ask(web, 3)
    start_queued(clock.now())
    page = signed_in(make_user("anna", "admin"))
    text = page.get("/operations/limits/").content.decode()
    assert "1 of 1" in text
    assert "/operations/?state=queued&amp;pool=web" in text
    refused = page.post("/operations/limits/pool/web/", {"at_once": "2"})
    assert refused.status_code == 422
    assert "Raising a limit needs a reason." in refused.content.decode()
    assert page.post("/operations/limits/pool/web/", {"at_once": "2", "reason": "CHG-7"}).status_code == 302
    assert "CHG-7" in page.get("/operations/limits/").content.decode()
    assert page.post("/operations/limits/pool/web/", {"reset": "1"}).status_code == 302
    assert not Limit.objects.exists()
    viewer = signed_in(make_user("viewer", ("viewer", web)))
    assert viewer.get("/operations/limits/").status_code == 200
    assert viewer.get("/operations/limits/pool/web/").status_code == 403
    assert page.get("/operations/limits/pool/nowhere/").status_code == 404


def test_the_page_costs_the_same_for_many_pools(web: Pool) -> None:
    page = signed_in(make_user("anna", "admin"))
    page.get("/operations/limits/")  # what a process remembers is asked for once
    with CaptureQueriesContext(connection) as few:
        page.get("/operations/limits/")
    for number in range(20):
        pool = make_pool(f"pool-{number}")
        ask(pool, 1)
        Limit.objects.create(scope="pool", name=pool.name, at_once=2, set_by="user:a", reason="x")
    with CaptureQueriesContext(connection) as many:
        page.get("/operations/limits/")
    assert len(many) == len(few)


def test_all_is_stopped_and_started_over_the_api(web: Pool, owner: Api) -> None:
    ask(web, 1)
    operator = Api(make_user("op", ("operator", web)))
    stopped: dict[str, Any] = operator.put("operations/stop/", {"stopped": True, "reason": "smoke"}).json()
    assert (stopped["stopped"], stopped["reason"]) == (True, "smoke")
    assert start_queued(clock.now()) == 0
    # Lifting it concerns every pool.
    assert operator.put("operations/stop/", {"stopped": False}).status_code == 403
    assert owner.put("operations/stop/", {"stopped": False}).json()["stopped"] is False
    assert start_queued(clock.now()) == 1


def test_an_operation_counts_where_its_node_is_now(web: Pool) -> None:
    """A node that is moved while its operation waits does not get a place in a pool that has none free, or two."""
    db = make_pool("db", cluster=make_cluster("other"))
    (first,), (second, third) = ask(db, 1), ask(web, 2)
    assert start_queued(clock.now()) == 2
    Node.objects.filter(name=third.node_name).update(pool=db)
    Node.objects.filter(name=first.node_name).update(pool=None)
    assert start_queued(clock.now()) == 1
    third.refresh_from_db()
    first.refresh_from_db()
    assert (third.state, third.pool_name, third.cluster_name) == ("running", "db", "other")
    assert (first.pool_id, first.pool_name, first.cluster_name) == (None, "", "")
    second.refresh_from_db()
    assert second.pool_name == "web"


@pytest.mark.parametrize(("approvers", "state"), [(0, "running"), (1, "cancelled")])
def test_a_move_is_no_way_around_an_approval_rule(web: Pool, approvers: int, state: str) -> None:
    db = make_pool("db")
    ApprovalRule.objects.create(pool="db", approvers=approvers, expires_after_s=3600, set_by="user:anna")
    (one,) = ask(web, 1)
    Node.objects.filter(name=one.node_name).update(pool=db)
    start_queued(clock.now())
    one.refresh_from_db()
    assert (one.state, one.pool_name) == (state, "db")
    if state == "cancelled":
        event = AuditEvent.objects.get(action="operations.end", subject=f"operation:{one.pk}")
        assert "moved to db" in event.reason
        assert one.ended_at is not None


def test_nothing_starts_before_all_count_where_they_are(web: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.engine.moves.MOVES_AT_ONCE", 2)
    db, rows = make_pool("db"), ask(web, 3)
    Node.objects.filter(name__in=[row.node_name for row in rows]).update(pool=db)
    assert start_queued(clock.now()) == 0
    assert start_queued(clock.now()) == 1


def test_what_waits_for_its_turn_names_who_has_it(web: Pool, owner: Api) -> None:
    first, second = ask(web, 2)
    start_queued(clock.now())
    page = signed_in(make_user("cara", "viewer"))
    text = page.get(f"/operations/{second.pk}/").content.decode()
    assert "The pool web lets 1 run at once." in text
    assert f'<a href="/operations/{first.pk}/">Reboot {first.node_name}</a>' in text
    assert "run at once" not in page.get(f"/operations/{first.pk}/").content.decode()
    Limit.objects.create(scope="pool", name="web", at_once=9, set_by="user:owner", reason="x")
    Limit.objects.create(scope="overall", name="", at_once=1, set_by="user:owner", reason="x")
    db = make_pool("db")
    (elsewhere,) = ask(db, 1)
    text = signed_in(make_user("dan", ("viewer", db))).get(f"/operations/{elsewhere.pk}/").content.decode()
    # What runs in a pool that this person does not see is counted only.
    assert "At most 1 runs at once in all." in text
    assert first.node_name not in text
    assert "and 1 more" in text
