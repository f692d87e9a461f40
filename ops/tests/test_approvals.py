"""Approvals: rules, who may decide, the queue that each person sees, and what becomes of what nobody approves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from nodes.models import Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops import wording
from ops.models import Approval, ApprovalRule, Operation, OperationRequest
from ops.services.expire import expire_untouched, void_of_retired

pytestmark = pytest.mark.django_db
TOLD = {"pool": "web", "kind": "reboot", "approvers": 1, "expires_after_s": 3600}


@pytest.fixture
def web() -> Pool:
    pool = make_pool("web")
    for number in range(3):
        make_facts(make_node(f"web-{number}", pool=pool))
    return pool


@pytest.fixture
def owner() -> Api:
    return Api(make_user("owner", "admin"))


def ask(api: Api, **over: Any) -> dict[str, Any]:
    answer = api.post("operations/", {"kind": "reboot", "selector": {"pool": "web"}, "reason": "kernel", **over})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_a_rule_holds_requests_until_others_agree(web: Pool, owner: Api) -> None:
    made = owner.put("approval-rules/", TOLD)
    assert made.status_code == 200, made.content
    ben = make_user("ben", "approver")
    assert owner.get(f"approval-rules/{made.json()['id']}/").json()["who_may"] == ["ben", "owner"]
    asked = ask(Api(make_user("anna", "operator", "approver")))
    assert {one["state"] for one in asked["operations"]} == {"awaiting_approval"}
    assert asked["approve_by"]
    path = f"operations/bulk/{asked['request_id']}/"
    answer = Api(ben).post(f"{path}approve/", {"reason": "looked at it"}).json()
    assert (answer["states"], answer["approvals"]) == ({"queued": 3}, 1)
    assert answer["decisions"][0]["reason"] == "looked at it"
    assert Api(ben).post(f"{path}approve/").status_code == 409


def test_a_rejection_ends_every_operation_with_an_event(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))
    answer = owner.post(f"operations/bulk/{asked['request_id']}/reject/", {"reason": "not today"}).json()
    assert answer["states"] == {"cancelled": 3}
    ended = AuditEvent.objects.filter(action="operations.end").values_list("subject", flat=True)
    assert set(ended) == {f"operation:{one['id']}" for one in asked["operations"]}


def test_the_queue_of_each_person(web: Pool, owner: Api) -> None:
    db = make_pool("db")
    make_facts(make_node("db-0", pool=db))
    ApprovalRule.objects.create(approvers=1, set_by="user:owner")
    anna = make_user("anna", "operator", "approver")
    of_web = ask(Api(anna))["request_id"]
    of_db = ask(owner, selector={"pool": "db"})["request_id"]

    def queue(*roles: Any, name: str) -> dict[str, bool]:
        found = Api(make_user(name, *roles)).get("operations/approvals/").json()["results"]
        return {one["request_id"]: one["may_decide"] for one in found}

    assert queue("approver", name="ben") == {of_web: True, of_db: True}
    assert queue(("approver", db), name="cara") == {of_db: True}
    assert queue("viewer", name="dan") == {of_web: False, of_db: False}
    mine = {one["request_id"]: one["may_decide"] for one in Api(anna).get("operations/approvals/").json()["results"]}
    assert mine == {of_web: False, of_db: True}


def test_pages_show_the_queue_and_count_it_in_the_rail(web: Pool, owner: Api) -> None:
    ApprovalRule.objects.create(approvers=2, set_by="user:owner")
    asked = ask(Api(make_user("anna", "operator")))["request_id"]
    ben, viewer = signed_in(make_user("ben", "approver")), signed_in(make_user("viewer", "viewer"))
    assert "Waits for you" in ben.get("/operations/approvals/").content.decode()
    assert 'class="ui-rail-count"' in ben.get("/nodes/").content.decode()
    assert 'class="ui-rail-count"' not in viewer.get("/nodes/").content.decode()
    others = viewer.get("/operations/approvals/").content.decode()
    assert "Waits for others" in others
    assert "decide/" not in others
    decide = f"/operations/requests/{asked}/decide/"
    assert viewer.post(decide).status_code == 403
    answer = ben.post(decide, {"reason": "fine"}, follow=True)
    assert "Approved. It waits for 1 more." in answer.content.decode()
    assert "Waits for you" not in answer.content.decode()
    cara = signed_in(make_user("cara", "approver"))
    assert "Approved. It starts when its turn comes." in cara.post(decide, follow=True).content.decode()
    assert set(Operation.objects.values_list("state", flat=True)) == {"queued"}
    assert "does not wait for approval any more" in ben.post(decide, follow=True).content.decode()
    assert "Nothing waits for approval" in ben.get("/operations/approvals/").content.decode()


def test_the_queue_costs_the_same_for_many(web: Pool, owner: Api) -> None:
    ApprovalRule.objects.create(approvers=2, set_by="user:owner")
    anna = Api(make_user("anna", "operator"))
    ask(anna, selector={"q": "web-0"})
    page = signed_in(make_user("ben", "approver"))
    page.get("/operations/approvals/")  # what a process remembers is asked for once
    with CaptureQueriesContext(connection) as few:
        page.get("/operations/approvals/")
    for number in (1, 2):
        ask(anna, selector={"q": f"web-{number}"})
    with CaptureQueriesContext(connection) as many:
        assert page.get("/operations/approvals/").content.decode().count("decide/") == 6
    assert len(many) == len(few), [one["sql"][:150] for one in many]


def test_after_the_first_of_two_approvals_it_waits_for_one_more(web: Pool, owner: Api) -> None:
    ApprovalRule.objects.create(approvers=2, set_by="user:owner")
    asked = ask(Api(make_user("anna", "operator")))
    waits = [Operation.objects.get(pk=asked["operations"][0]["id"]).wait_params]
    Api(make_user("ben", "approver")).post(f"operations/{asked['operations'][0]['id']}/approve/", {})
    waits.append(Operation.objects.get(pk=asked["operations"][0]["id"]).wait_params)
    assert [(one["needed"], one["until"] == waits[0]["until"]) for one in waits] == [(2, True), (1, True)]


def test_what_nobody_approves_in_time_ends_and_says_so(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))
    late = clock.now() + timedelta(seconds=3700)
    assert expire_untouched(late - timedelta(minutes=5)) == 0
    with CaptureQueriesContext(connection) as asked_of:
        assert expire_untouched(late) == 3
    # Rules of notifications are read once, not for each that ended.
    assert sum("notify_rule" in one["sql"] for one in asked_of) == 1
    row = Operation.objects.filter(pk=asked["operations"][0]["id"]).get()
    assert (row.state, row.result) == ("timed_out", "not_approved")
    assert "1 approval was needed" in wording.result_sentence(row.result, row.result_params)


def test_what_waits_on_a_node_that_is_retired_ends_at_once(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))
    first = Operation.objects.get(pk=asked["operations"][0]["id"])
    Node.objects.filter(name=first.node_name).update(lifecycle="retired")
    assert [void_of_retired(clock.now()), void_of_retired(clock.now())] == [1, 0]
    first.refresh_from_db()
    assert (first.state, first.result, first.wait_reason) == ("void", "void", "")
    assert "retired" in wording.result_sentence(first.result, first.result_params)
    assert AuditEvent.objects.filter(action="operations.end", subject=f"operation:{first.pk}").count() == 1
    assert set(Operation.objects.open().values_list("state", flat=True)) == {"awaiting_approval"}


def test_an_approval_in_the_last_minute_leaves_the_whole_time_to_run(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))
    row = Operation.objects.get(pk=asked["operations"][0]["id"])
    request = row.request
    assert request.approve_by is not None
    assert row.deadline - request.approve_by == timedelta(hours=4)


def test_a_request_may_ask_for_less_time_to_approve_but_not_for_more(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    anna = Api(make_user("anna", "operator"))
    body = {"kind": "reboot", "nodes": ["web-0"]}
    for minutes, status in ((-1, 400), (61, 400), (30, 201)):
        by = (clock.now() + timedelta(minutes=minutes)).isoformat()
        answer = anna.post("operations/", {**body, "approve_by": by})
        assert answer.status_code == status, answer.content
        if status == 400:
            assert answer.json()["field"] == "approve_by"


def test_too_late_to_approve(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))["request_id"]
    OperationRequest.objects.update(approve_by=clock.now() - timedelta(seconds=1))
    assert owner.post(f"operations/bulk/{asked}/approve/").status_code == 409


@pytest.mark.parametrize(
    ("approver", "requester"),
    [
        ("user:anna", "user:anna"),
        ("user:anna", "token:anna/ci"),
        ("token:anna/ci", "user:anna"),
        ("token:anna/ci", "token:anna/other: 1/2"),
    ],
)
def test_the_database_refuses_approving_ones_own(web: Pool, owner: Api, approver: str, requester: str) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))["request_id"]
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(request_id=asked, approver=approver, requester=requester, is_granted=True)
    Approval.objects.create(request_id=asked, approver="user:ann", requester=requester, is_granted=True)


def test_the_database_takes_one_decision_of_each_person(web: Pool, owner: Api) -> None:
    owner.put("approval-rules/", TOLD)
    asked = ask(Api(make_user("anna", "operator")))["request_id"]
    told = {"request_id": asked, "requester": "user:anna", "is_granted": True}
    Approval.objects.create(approver="token:ben/ci", **told)
    for again in ("user:ben", "token:ben/other"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Approval.objects.create(approver=again, **told)
    Approval.objects.create(approver="user:benny", **told)


class TestRules:
    def test_fewer_approvals_need_a_reason(self, web: Pool, owner: Api) -> None:
        made = owner.put("approval-rules/", {**TOLD, "approvers": 2}).json()
        assert owner.put("approval-rules/", {**TOLD, "approvers": 1}).json()["field"] == "reason"
        assert owner.put("approval-rules/", {**TOLD, "approvers": 1, "reason": "small team"}).status_code == 200
        assert owner.delete(f"approval-rules/{made['id']}/").json()["field"] == "reason"
        assert owner.delete(f"approval-rules/{made['id']}/?reason=over").status_code == 204
        actions = AuditEvent.objects.filter(subject="approval_rule:web/reboot").order_by("seq")
        assert list(actions.values_list("action", flat=True)) == [
            "operations.set_rule",
            "operations.set_rule",
            "operations.delete_rule",
        ]

    def test_a_narrow_rule_of_none_under_a_wide_one_needs_a_reason_too(self, web: Pool, owner: Api) -> None:
        owner.put("approval-rules/", {"approvers": 1})
        assert owner.put("approval-rules/", {**TOLD, "approvers": 0}).json()["field"] == "reason"

    @pytest.mark.parametrize(
        ("over", "field"),
        [
            ({"pool": "nowhere"}, "pool"),
            ({"kind": "explode"}, "kind"),
            ({"approvers": 3}, "approvers"),
            ({"expires_after_s": 10}, "expires_after_s"),
        ],
    )
    def test_a_mistake_names_its_field(self, web: Pool, owner: Api, over: dict[str, Any], field: str) -> None:
        answer = owner.put("approval-rules/", {**TOLD, **over})
        assert (answer.status_code, answer.json()["field"]) == (400, field)

    def test_an_admin_of_a_pool_sets_those_of_the_pool(self, web: Pool) -> None:
        mine = Api(make_user("webadmin", ("admin", web)))
        assert mine.put("approval-rules/", TOLD).status_code == 200
        assert mine.put("approval-rules/", {"approvers": 1}).status_code == 403
        assert Api(make_user("op", "operator")).put("approval-rules/", TOLD).status_code == 403

    def test_the_pages(self, web: Pool) -> None:
        page = signed_in(make_user("anna", "admin"))
        assert "No approval is asked for" in page.get("/operations/approval-rules/").content.decode()
        form = {"pool": "web", "kind": "upgrade", "approvers": "2", "expires_after_s": "3600"}
        assert page.post("/operations/approval-rules/-/add/", form).status_code == 302
        text = page.get("/operations/approval-rules/").content.decode()
        assert "2 other people" in text
        assert "too few" in text
        rule = ApprovalRule.objects.get()
        path = f"/operations/approval-rules/{rule.pk}/"
        assert page.get(path).status_code == 200
        refused = page.post(path, {"approvers": "1", "expires_after_s": "3600"})
        assert "needs a reason" in refused.content.decode()
        assert page.post(path, {"approvers": "1", "expires_after_s": "3600", "reason": "x"}).status_code == 302
        assert page.post(f"{path}delete/", {"reason": "x"}).status_code == 302
        assert not ApprovalRule.objects.exists()
        operator = signed_in(make_user("op", "operator"))
        assert operator.get("/operations/approval-rules/-/add/").status_code == 403


class TestAdminsOfAPool:
    def test_they_ask_for_as_many_approvals_as_every_pool_does_or_for_more(self, web: Pool, owner: Api) -> None:
        owner.put("approval-rules/", {"approvers": 1})
        owner.put("approval-rules/", {"kind": "upgrade", "approvers": 2})
        mine = Api(make_user("webadmin", ("admin", web)))
        for kind, least in (("reboot", 1), ("upgrade", 2), ("", 2)):
            told = {**TOLD, "kind": kind, "reason": "small team"}
            refused = mine.put("approval-rules/", {**told, "approvers": least - 1})
            assert (refused.status_code, refused.json()["field"]) == (400, "approvers"), kind
            assert f"asks for {least} approvers" in refused.content.decode()
            assert mine.put("approval-rules/", {**told, "approvers": least}).status_code == 200

    def test_a_rule_for_every_pool_that_comes_later_holds_where_they_asked_for_less(
        self, web: Pool, owner: Api
    ) -> None:
        mine, anna = Api(make_user("webadmin", ("admin", web))), Api(make_user("anna", "operator"))
        assert mine.put("approval-rules/", {**TOLD, "approvers": 0}).status_code == 200
        owner.put("approval-rules/", {"approvers": 2})
        assert {one["state"] for one in ask(anna)["operations"]} == {"awaiting_approval"}
        assert OperationRequest.objects.get().approvals_needed == 2

    def test_an_admin_of_everything_may_make_an_exception(self, web: Pool, owner: Api) -> None:
        owner.put("approval-rules/", {"approvers": 2})
        assert owner.put("approval-rules/", {**TOLD, "approvers": 0, "reason": "a lab"}).status_code == 200
        assert {one["state"] for one in ask(Api(make_user("anna", "operator")))["operations"]} == {"queued"}


def test_a_rule_of_no_kind_names_those_that_there_are(owner: Api) -> None:
    answer = owner.put("approval-rules/", {"kind": "nothing", "approvers": 1})
    assert answer.status_code == 400
    assert "auto_update" in answer.content.decode()
    assert "Use ," not in answer.content.decode()
