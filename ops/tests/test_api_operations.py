"""operations/ over the API: plans, requests, keys, rights, logs, approvals, cancels."""

from __future__ import annotations

import json
import socket
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from fleetui.access.models import User
from nodes.models import Node, Pool
from nodes.tests.make import make_facts, make_node, make_pool, make_token, make_user
from ops.models import ApprovalRule, Operation

pytestmark = pytest.mark.django_db


class Api:
    def __init__(self, user: User, scope: str = "admin") -> None:
        self.client = Client()
        self.headers = {"authorization": f"Bearer {make_token(user, scope)}"}

    def post(self, path: str, body: dict[str, Any], *, status: int, **headers: str) -> Any:
        found = self.client.post(
            f"/api/v1/operations/{path}",
            json.dumps(body),
            content_type="application/json",
            headers={**self.headers, **headers},
        )
        assert found.status_code == status, found.content
        return json.loads(found.content)

    def get(self, path: str, *, status: int = 200, **environ: Any) -> Any:
        found = self.client.get(f"/api/v1/operations/{path}", headers=self.headers, **environ)
        assert found.status_code == status, found.content
        return json.loads(found.content)


@pytest.fixture
def pool() -> Pool:
    return make_pool("web")


@pytest.fixture
def node(pool: Pool) -> Node:
    node = make_node("web-1", pool=pool)
    make_facts(node)
    return node


@pytest.fixture
def owner() -> Api:
    return Api(make_user("owner", "admin"))


def test_a_dry_run_shows_the_commands_and_makes_nothing(owner: Api, node: Node) -> None:
    plan = owner.post("", {"kind": "reboot", "nodes": ["web-1"], "dry_run": True}, status=200)
    assert plan["operations"][0]["commands"] == [["sudo", "-n", "systemctl", "reboot"]]
    assert {check["level"] for check in plan["operations"][0]["checks"]} <= {"ok", "warn", "block"}
    assert not Operation.objects.exists()


def test_a_request_makes_one_operation_a_node_and_refuses_a_second_change(owner: Api, node: Node) -> None:
    made = owner.post("", {"kind": "reboot", "nodes": ["web-1"], "reason": "kernel"}, status=201)
    assert [(one["node"], one["state"]) for one in made["operations"]] == [("web-1", "queued")]
    again = owner.post("", {"kind": "pin", "nodes": ["web-1"], "params": {"deployment": "booted"}}, status=201)
    assert not again["operations"]
    assert again["refused"][0]["code"] == "busy"
    assert "Reboot (queued)" in again["refused"][0]["reason"]


def test_a_repeat_with_the_same_key_answers_the_same(owner: Api, node: Node) -> None:
    body = {"kind": "reboot", "nodes": ["web-1"]}
    first = owner.post("", body, status=201, **{"idempotency-key": "k1"})
    second = owner.post("", body, status=200, **{"idempotency-key": "k1"})
    assert first["operations"][0]["id"] == second["operations"][0]["id"]
    problem = owner.post("", {**body, "reason": "other"}, status=409, **{"idempotency-key": "k1"})
    assert problem["field"] == "Idempotency-Key"
    assert Operation.objects.count() == 1


def test_a_key_that_is_too_long_is_refused_and_not_cut_off(owner: Api, node: Node) -> None:
    body, longest = {"kind": "reboot", "nodes": ["web-1"]}, "k" * 200
    problem = owner.post("", body, status=400, **{"idempotency-key": longest + "1"})
    assert (problem["field"], "200" in problem["mend"]) == ("Idempotency-Key", True)
    assert not Operation.objects.exists()
    one = owner.post("", body, status=201, **{"idempotency-key": longest})["operations"][0]["id"]
    for address in (f"{one}/retry/", f"bulk/{Operation.objects.get().request_id}/retry/"):
        again = owner.post(address, {}, status=400, **{"idempotency-key": longest + "1"})
        assert again["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "reboot", "nodes": ["nobody"]}, "nodes"),
        ({"kind": "reboot"}, "nodes"),
        ({"kind": "explode", "nodes": ["web-1"]}, "kind"),
        ({"kind": "reboot", "nodes": ["web-1"], "params": {"soak_s": -1}}, "params.soak_s"),
        ({"kind": "reboot", "nodes": ["web-1"], "params": {"nonsense": 1}}, "params.nonsense"),
        ({"kind": "pin", "nodes": ["web-1"], "params": {"deployment": "x; rm -rf /"}}, "params.deployment"),
        ({"kind": "reboot", "nodes": ["web-1"], "deadline": "2001-01-01T00:00:00Z"}, "deadline"),
        ({"kind": "reboot", "selector": {"nonsense": "x"}}, "selector"),
        ({"kind": "reboot", "selector": {}, "nodes": ["web-1"]}, "nodes"),
    ],
)
def test_a_mistake_names_field_and_mend(owner: Api, node: Node, body: dict[str, Any], field: str) -> None:
    problem = owner.post("", body, status=400)
    assert problem["field"] == field
    assert problem["mend"]
    assert not Operation.objects.exists()


def test_rights_are_those_on_the_pool(node: Node, pool: Pool) -> None:
    other = make_pool("db")
    stranger = Api(make_user("stranger", ("operator", other)))
    assert stranger.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=400)["field"] == "nodes"
    viewer = Api(make_user("viewer", ("viewer", pool)))
    viewer.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=403)
    operator = Api(make_user("operator", ("operator", pool)))
    made = operator.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)["operations"][0]["id"]
    assert viewer.get(f"{made}/")["state"] == "queued"
    viewer.post(f"{made}/cancel/", {}, status=403)
    stranger.get(f"{made}/", status=404)
    stranger.get(f"{made}/log/", status=404)
    assert operator.post(f"{made}/cancel/", {"reason": "no"}, status=200)["state"] == "cancelled"


def test_nobody_approves_their_own_and_the_last_approval_queues(node: Node, pool: Pool) -> None:
    ApprovalRule.objects.create(pool="web", kind="reboot", approvers=2, set_by="user:owner")
    anna = Api(make_user("anna", "operator", "approver"))
    made = anna.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)
    assert (made["approvals_needed"], made["operations"][0]["state"]) == (2, "awaiting_approval")
    path = f"{made['operations'][0]['id']}/approve/"
    anna.post(path, {}, status=403)
    ben, cara = (Api(make_user(name, "approver")) for name in ("ben", "cara"))
    assert ben.post(path, {}, status=200)["state"] == "awaiting_approval"
    ben.post(path, {}, status=409)
    assert cara.post(path, {}, status=200)["state"] == "queued"


def test_two_approvals_are_those_of_two_people(node: Node, pool: Pool) -> None:
    """Somebody with two tokens is one person."""
    ApprovalRule.objects.create(pool="web", kind="reboot", approvers=2, set_by="user:owner")
    anna, ben = Api(make_user("anna", "operator")), make_user("ben", "approver")
    made = anna.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)
    path = f"{made['operations'][0]['id']}/approve/"
    assert Api(ben).post(path, {}, status=200)["state"] == "awaiting_approval"
    Api(ben).post(path, {}, status=409)
    assert Operation.objects.get().state == "awaiting_approval"


@pytest.mark.parametrize("has_gone", [True, False])
def test_who_has_gone_holds_no_place_to_wait_in(
    owner: Api, node: Node, has_gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The connection to the database is that of the test.
    monkeypatch.setattr("ops.api.operations.connection", SimpleNamespace(close=lambda: None))
    made = owner.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)["operations"][0]["id"]
    ours, theirs = socket.socketpair()
    if has_gone:
        theirs.close()
    began = monotonic()
    environ: dict[str, Any] = {"gunicorn.socket": ours}
    owner.get(f"{made}/?wait=2", **environ)
    assert (monotonic() - began < 1) is has_gone
    ours.close()
    theirs.close()


def test_a_wait_ends_at_once_for_what_has_ended(owner: Api, node: Node) -> None:
    made = owner.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)["operations"][0]["id"]
    owner.post(f"{made}/cancel/", {}, status=200)
    assert owner.get(f"{made}/?wait=60")["is_final"] is True
    assert owner.get(f"{made}/?wait=61", status=400)["field"] == "wait"


def test_a_request_is_followed_and_cancelled_as_a_whole(owner: Api, pool: Pool) -> None:
    for number in range(3):
        make_facts(make_node(f"n-{number}", pool=pool))
    made = owner.post("", {"kind": "reboot", "selector": {"pool": "web"}}, status=201)
    bulk = owner.get(f"bulk/{made['request_id']}/")
    assert (bulk["operations"], bulk["states"], bulk["is_final"]) == (3, {"queued": 3}, False)
    assert owner.post(f"bulk/{made['request_id']}/cancel/", {}, status=200) == {"cancelled": 3}
    assert owner.get(f"bulk/{made['request_id']}/")["is_final"] is True


def test_a_kind_that_is_not_there_is_told_once_with_those_that_are(owner: Api, node: Node) -> None:
    found = owner.post("", {"kind": "fly", "nodes": ["web-1"]}, status=400)
    assert found["detail"] == 'kind: "fly" is not a valid choice.'
    assert found["mend"].startswith("Use refresh, check, upgrade, ")


def test_a_request_that_every_node_was_refused_for_can_be_looked_up_by_who_asked(owner: Api, node: Node) -> None:
    owner.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)
    made = owner.post("", {"kind": "reboot", "nodes": ["web-1"]}, status=201)
    assert (made["operations"], [one["code"] for one in made["refused"]]) == ([], ["busy"])
    found = owner.get(f"bulk/{made['request_id']}/")
    assert (found["operations"], found["states"], found["is_final"]) == (0, {}, True)
    Api(make_user("other", "admin")).get(f"bulk/{made['request_id']}/", status=404)
