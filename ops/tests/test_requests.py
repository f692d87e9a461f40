"""What a request keeps: its reason as a setting asks for it, its attempts, and the same answer whenever it is sent again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.models import Operation, OperationRequest
from ops.services import control
from ops.services.request import request_operations

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
BODY = {"kind": "reboot", "selector": {"pool": "web"}}


@pytest.fixture
def web() -> Pool:
    pool = make_pool("web")
    for number in range(2):
        make_facts(make_node(f"web-{number}", pool=pool))
    make_node("web-unknown", pool=pool)
    return pool


@pytest.fixture
def owner() -> Api:
    return Api(make_user("owner", "admin"))


def test_a_repeat_answers_what_was_answered_before_though_the_filter_finds_more_now(web: Pool, owner: Api) -> None:
    first = owner.post("operations/", BODY, idempotency_key="k").json()
    assert [one["node"] for one in first["refused"]] == ["web-unknown"]
    make_facts(make_node("web-9", pool=web))
    again = owner.post("operations/", BODY, idempotency_key="k")
    assert (again.status_code, again.json()) == (200, first)
    assert OperationRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("which", "field", "said"),
    [
        ({"nodes": []}, "nodes", "The list of nodes is empty."),
        ({"selector": {"q": "nowhere"}}, "selector", "The selector finds no node that you may see."),
    ],
)
def test_a_request_without_nodes_is_refused_and_its_plan_says_so(
    web: Pool, owner: Api, which: dict[str, Any], field: str, said: str
) -> None:
    refused = owner.post("operations/", {"kind": "reboot", **which})
    assert (refused.status_code, refused.json()["field"], refused.json()["detail"]) == (400, field, said)
    assert refused.json()["mend"]
    assert not OperationRequest.objects.exists()
    plan = owner.post("operations/", {"kind": "reboot", **which, "dry_run": True})
    assert (plan.status_code, plan.json()["note"], plan.json()["operations"]) == (200, said, [])
    assert owner.post("operations/", {**BODY, "dry_run": True}).json()["note"] is None


def test_a_repeat_answers_the_same_though_the_filter_finds_nothing_any_more(web: Pool, owner: Api) -> None:
    body = {**BODY, "selector": {"health": "healthy"}}
    first = owner.post("operations/", body, idempotency_key="k").json()
    Node.objects.update(health="degraded")
    again = owner.post("operations/", body, idempotency_key="k")
    assert (again.status_code, again.json()) == (200, first)


def test_more_nodes_than_one_request_takes_are_refused_in_the_plan_too(
    web: Pool, owner: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("request", "chosen"):
        monkeypatch.setattr(f"ops.services.{module}.MOST_NODES", 2)
    for body in (BODY, {**BODY, "dry_run": True}):
        refused = owner.post("operations/", body)
        assert (refused.status_code, refused.json()["field"]) == (400, "selector")
        assert refused.json()["detail"] == "More than 2 nodes are too many for one request."
    assert not OperationRequest.objects.exists()


@pytest.mark.parametrize("other", [{"max_attempts": 5}, {"reason": "x"}, {"selector": {"q": "web"}}, {"kind": "pin"}])
def test_the_key_with_other_content_is_refused(web: Pool, owner: Api, other: dict[str, Any]) -> None:
    owner.post("operations/", BODY, idempotency_key="k")
    params = {"params": {"deployment": "booted"}} if other.get("kind") == "pin" else {}
    assert owner.post("operations/", {**BODY, **other, **params}, idempotency_key="k").status_code == 409


def test_times_that_are_counted_from_now_do_not_make_it_another_request(web: Pool, owner: Api) -> None:
    def at(hours: int) -> dict[str, str]:
        moment = clock.now() + timedelta(hours=hours)
        return {"deadline": moment.isoformat(), "approve_by": moment.isoformat()}

    first = owner.post("operations/", {**BODY, **at(2)}, idempotency_key="k").json()
    for hours in (3, -1):
        again = owner.post("operations/", {**BODY, **at(hours)}, idempotency_key="k")
        assert (again.status_code, again.json()) == (200, first)
    assert owner.post("operations/", {**BODY, "deadline": at(-1)["deadline"]}).json()["field"] == "deadline"


def test_an_empty_version_is_not_taken_for_the_newest(web: Pool, owner: Api) -> None:
    refused = owner.post("operations/", {**BODY, "kind": "upgrade", "params": {"version": ""}}).json()
    assert (refused["field"], refused["status"]) == ("params.version", 400)
    assert "leave it out" in refused["mend"]
    assert not Operation.objects.exists()


def test_attempts_are_kept_and_bounded(web: Pool, owner: Api) -> None:
    made = owner.post("operations/", {**BODY, "max_attempts": 7}).json()
    assert owner.get(f"operations/{made['operations'][0]['id']}/").json()["max_attempts"] == 7
    refused = owner.post("operations/", {**BODY, "max_attempts": 11})
    assert (refused.status_code, refused.json()["field"]) == (400, "max_attempts")


@pytest.mark.parametrize(
    ("required", "pattern", "reason", "is_good"),
    [
        (False, "", "", True),
        (True, "", "  ", False),
        (True, "", "kernel", True),
        (False, r"(INC|CHG)-\d+", "", False),
        (False, r"(INC|CHG)-\d+", "kernel", False),
        (False, r"(INC|CHG)-\d+", "kernel, CHG-12", True),
    ],
)
def test_a_setting_asks_for_a_reason_or_a_ticket(
    web: Pool, owner: Api, settings: Any, required: bool, pattern: str, reason: str, is_good: bool
) -> None:
    settings.REQUIRE_REASON, settings.TICKET_PATTERN = required, pattern
    answer = owner.post("operations/", {**BODY, "reason": reason})
    assert answer.status_code == (201 if is_good else 400), answer.content
    if not is_good:
        assert answer.json()["field"] == "reason"
        assert answer.json()["mend"]
    # A plan changes nothing and needs no reason.
    assert owner.post("operations/", {**BODY, "dry_run": True}).status_code == 200


def test_the_plan_asks_for_the_reason_at_its_field(web: Pool, settings: Any) -> None:
    settings.TICKET_PATTERN = r"CHG-\d+"
    page = signed_in(make_user("anna", "admin"))
    form = {"ids": ",".join(str(node.pk) for node in web.nodes.all()), "kind": "reboot", "hours": "4", "soak_s": "0"}
    text = page.post("/operations/-/plan/", {**form, "again": "1"}).content.decode()
    assert "it has to match CHG-" in text
    refused = page.post("/operations/-/plan/", {**form, "go": "1", "reason": "because"})
    assert refused.status_code == 422
    assert "The reason names no ticket." in refused.content.decode()
    assert not Operation.objects.exists()
    assert page.post("/operations/-/plan/", {**form, "go": "1", "reason": "CHG-1"}).status_code == 302


class TestRetry:
    @pytest.fixture
    def failed(self, web: Pool, owner: Api) -> str:
        made = owner.post("operations/", BODY).json()
        Operation.objects.update(state="failed", ended_at=clock.now(), wait_reason="", due_at=None)
        return str(made["request_id"])

    def test_a_retry_knows_what_it_retries_from_its_first_moment(
        self, owner: Api, failed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that dies after the request was stored leaves nothing that could be retried once more."""
        asked = request_operations

        def dies(**told: Any) -> Any:
            asked(**told)
            raise KeyboardInterrupt

        monkeypatch.setattr(control, "request_operations", dies)
        rows = list(Operation.objects.filter(request__pk=failed).select_related("request"))
        with pytest.raises(KeyboardInterrupt):
            control.retry(operations=rows, actor=SYSTEM, now=clock.now())
        again = Operation.objects.exclude(request__pk=failed)
        assert {one.retry_of_id: one.node_id for one in again} == {one.pk: one.node_id for one in rows}

    def test_a_retry_that_is_sent_twice_makes_nothing_twice(self, owner: Api, failed: str) -> None:
        path = f"operations/bulk/{failed}/retry/"
        first = owner.post(path, {}, idempotency_key="again")
        assert first.status_code == 201
        Operation.objects.filter(retry_of__isnull=False).update(state="succeeded", ended_at=clock.now(), due_at=None)
        second = owner.post(path, {}, idempotency_key="again")
        assert second.status_code == 200
        assert [one["id"] for one in second.json()["operations"]] == [one["id"] for one in first.json()["operations"]]
        assert Operation.objects.count() == 4

    def test_what_was_retried_is_not_retried_again(self, owner: Api, failed: str) -> None:
        """Otherwise a second press on the same button would restart hosts that the first one restarted."""
        path = f"operations/bulk/{failed}/retry/"
        made = owner.post(path).json()["operations"]
        Operation.objects.filter(pk__in=[one["id"] for one in made]).update(state="failed", ended_at=clock.now())
        assert owner.post(path).status_code == 409
        page = signed_in(make_user("anna", "admin"))
        assert "Retry the failed" not in page.get(f"/operations/requests/{failed}/").content.decode()
        again = owner.post(f"operations/{made[0]['id']}/retry/")
        assert (again.status_code, len(again.json()["operations"])) == (201, 1)


@pytest.mark.parametrize("value", [["web", "db"], True, 5, {"is": "web"}])
def test_a_filter_that_is_no_text_is_refused_with_the_way_to_write_it(owner: Api, value: object) -> None:
    refused = owner.post("operations/", {**BODY, "selector": {"pool": value}})
    assert refused.status_code == 400
    assert refused.json()["field"] == "selector"
    assert '"web,db" for several values' in refused.json()["mend"]


def test_several_values_of_a_filter_are_one_text(web: Pool, owner: Api) -> None:
    asked = owner.post("operations/", {**BODY, "selector": {"pool": "web,db"}, "dry_run": True})
    assert asked.status_code == 200, asked.content
    assert {one["node"] for one in asked.json()["operations"]} == {"web-0", "web-1"}
