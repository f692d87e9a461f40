"""A plan says how long it will take by what past runs in its pools took, which approvals it needs, and how old its facts are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Node
from nodes.tests.api.client import Api
from nodes.tests.make import make_facts, make_node, make_pool, make_user
from ops.models import ApprovalRule, Limit, Operation
from ops.preflight import contact
from ops.services.request import request_operations

pytestmark = pytest.mark.django_db


def past_run(node: Node, seconds: int, soak_s: int) -> None:
    (made,) = request_operations(
        nodes=[node], kind="reboot", params={"soak_s": soak_s}, actor=SYSTEM, now=clock.now()
    ).operations
    began = clock.now() - timedelta(hours=1)
    ended: dict[str, Any] = {"state": "succeeded", "started_at": began, "ended_at": began + timedelta(seconds=seconds)}
    Operation.objects.filter(pk=made.pk).update(**ended)


def test_the_time_is_that_of_past_runs_with_the_soak_that_is_asked_for_now() -> None:
    web = make_pool("web")
    for number in range(5):
        make_facts(make_node(f"web-{number}", pool=web))
    nodes = list(Node.objects.select_related("pool__cluster"))
    owner = Api(make_user("owner", "admin"))
    body = {"kind": "reboot", "selector": {"pool": "web"}, "params": {"soak_s": 10}, "dry_run": True}
    empty = owner.post("operations/", body).json()
    assert (empty["expected_s"], empty["operations"][0]["past_runs"]) == (None, 0)
    for seconds in (90, 100, 400):
        past_run(nodes[0], seconds, soak_s=60)
    found = owner.post("operations/", body).json()
    assert {one["expected_s"] for one in found["operations"]} == {50}
    assert {one["past_runs"] for one in found["operations"]} == {3}
    assert found["expected_s"] == 250
    Limit.objects.create(scope="pool", name="web", at_once=2, set_by="user:a", reason="x")
    ApprovalRule.objects.create(pool="web", approvers=2, set_by="user:a")
    found = owner.post("operations/", body).json()
    assert (found["expected_s"], found["approvals_needed"]) == (150, 2)
    assert found["approve_by"] is not None


def test_the_plan_says_how_old_its_facts_are() -> None:
    now = clock.now()
    assert contact("reachable", now - timedelta(minutes=2), now).code == "facts_fresh"
    assert contact("reachable", now - timedelta(hours=2), now).level == "warn"
    assert contact("unreachable", now - timedelta(minutes=3), now).code == "unreachable"
    assert contact("unknown", None, now).code == "never_seen"
