"""Pages of operations with many of them: the same number of queries, and buttons that say what they will do to how many."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from nodes.models import Deployment, Node, Pool
from nodes.tests.make import deployment, make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.models import LogLine, Operation, OperationRequest

pytestmark = pytest.mark.django_db


def fill(node: Node, request: OperationRequest, count: int, state: str = "waiting", **over: Any) -> list[Operation]:
    """So many operations of one request, as the engine would have left them."""
    first = request.operations.count()
    rows = [
        Operation(
            request=request,
            number=first + number,
            kind="reboot",
            subject=f"node:{uuid.uuid4()}",
            node=node,
            node_name=f"web-{first + number:03}",
            pool=node.pool,
            pool_name="web",
            state=state,
            deadline=clock.now(),
            **over,
        )
        for number in range(count)
    ]
    return list(Operation.objects.bulk_create(rows))


@pytest.fixture
def web() -> Pool:
    return make_pool("web")


@pytest.fixture
def node(web: Pool) -> Node:
    return make_node("web-1", pool=web)


@pytest.fixture
def asked(db: None) -> OperationRequest:
    return OperationRequest.objects.create(kind="reboot", requester="user:anna", reason="kernel")


def queries(page: Any, path: str) -> int:
    page.get(path)
    with CaptureQueriesContext(connection) as captured:
        assert page.get(path).status_code == 200
    return len(captured)


def test_pages_say_who_approved_and_until_when_others_may(node: Node) -> None:
    until = clock.now() + timedelta(hours=1)
    told = {"kind": "reboot", "requester": "user:anna", "approvals_needed": 2, "approve_by": until}
    asked = OperationRequest.objects.create(**told)
    asked.approvals.create(approver="user:ben", requester="user:anna", is_granted=True, at=clock.now())
    (one,) = fill(node, asked, 1, state="awaiting_approval")
    page = signed_in(make_user("owner", "admin"))
    for path in (f"/operations/requests/{asked.pk}/", f"/operations/{one.pk}/"):
        text = page.get(path).content.decode()
        assert "ben approved" in text
        assert "user:ben" not in text
        assert until.strftime("%H:%M:%S") in text


def test_lists_cost_the_same_for_one_and_for_five_hundred(node: Node, asked: OperationRequest) -> None:
    (one,) = fill(node, asked, 1)
    page = signed_in(make_user("owner", "admin"))
    paths = ("/operations/", "/operations/?active=true", f"/operations/requests/{asked.pk}/", f"/operations/{one.pk}/")
    few = [queries(page, path) for path in paths]
    fill(node, asked, 499)
    assert [queries(page, path) for path in paths] == few
    assert max(few) <= 25


def test_buttons_name_how_many(node: Node, asked: OperationRequest) -> None:
    fill(node, asked, 3)
    fill(node, asked, 2, "failed")
    text = signed_in(make_user("owner", "admin")).get(f"/operations/requests/{asked.pk}/").content.decode()
    assert 'data-confirm="Cancel 3 operations"' in text
    assert 'data-confirm="Reboot: retry 2 nodes"' in text
    viewer = signed_in(make_user("viewer", "viewer")).get(f"/operations/requests/{asked.pk}/").content.decode()
    assert "data-confirm" not in viewer.partition("<main")[2].partition("</main>")[0]


def test_many_are_retried_only_when_their_number_was_typed(node: Node, asked: OperationRequest) -> None:
    make_facts(node)
    fill(node, asked, 11, "failed")
    page, path = signed_in(make_user("owner", "admin")), f"/operations/requests/{asked.pk}/"
    assert 'data-confirm-type="11"' in page.get(path).content.decode()
    for typed in ({}, {"confirm": "10"}):
        said = page.post(f"{path}retry/", typed, follow=True).content.decode()
        assert "Nothing was asked for: type the number of nodes as it is shown." in said
        assert not Operation.objects.exclude(retry_of=None).exists()
    page.post(f"{path}retry/", {"confirm": "11"})
    assert Operation.objects.exclude(retry_of=None).exists()


def test_what_was_told_to_end_says_so_and_is_not_cancelled_twice(node: Node, asked: OperationRequest) -> None:
    fill(node, asked, 2, "waiting")
    fill(node, asked, 1, "queued")
    page, path = signed_in(make_user("owner", "admin")), f"/operations/requests/{asked.pk}/"
    said = page.post(f"{path}cancel/", follow=True).content.decode()
    assert "3 operations are cancelled. Those that have begun end between two steps." in said
    assert said.count("Cancelling was asked for.") == 2
    assert "Cancel all" not in said
    assert "ui-pages" not in said, "no number without a word below a list of one page"


def test_many_are_cancelled_in_few_statements(node: Node, asked: OperationRequest) -> None:
    fill(node, asked, 60, "waiting")
    fill(node, asked, 30, "queued")
    fill(node, asked, 1, "needs_attention")
    fill(node, asked, 2, "succeeded")
    page, path = signed_in(make_user("owner", "admin")), f"/operations/requests/{asked.pk}/cancel/"
    with CaptureQueriesContext(connection) as captured:
        page.post(path, {"reason": "wrong pool"})
    assert len(captured) < 60, "not several for each of them"
    rows = list(asked.operations.all())
    assert sum(row.state == "cancelled" and row.result == "cancelled" for row in rows) == 30
    assert sum(row.state == "waiting" and row.cancel_reason == "wrong pool" for row in rows) == 60
    assert {row.state for row in rows if row.cancel_requested_at is None} == {"needs_attention", "succeeded"}
    events = AuditEvent.objects.filter(action="operations.cancel", reason="wrong pool")
    assert events.count() == 90
    # Once more: what was told already is not told again, and has no event again.
    page.post(path, {"reason": "wrong pool"})
    assert events.count() == 90


def test_a_void_operation_is_retried_from_its_page(node: Node, asked: OperationRequest) -> None:
    make_facts(node)
    (one,) = fill(node, asked, 1, "void")
    page = signed_in(make_user("owner", "admin"))
    assert f'action="/operations/{one.pk}/retry/"' in page.get(f"/operations/{one.pk}/").content.decode()
    page.post(f"/operations/{one.pk}/retry/")
    assert Operation.objects.get(retry_of=one).state == "queued"


def test_what_a_host_printed_as_an_error_is_named(node: Node, asked: OperationRequest) -> None:
    (one,) = fill(node, asked, 1)
    for seq, stream in enumerate(("out", "err"), 1):
        LogLine.objects.create(operation=one, seq=seq, at=clock.now(), stream=stream, text=f"said {stream}")
    text = signed_in(make_user("owner", "admin")).get(f"/operations/{one.pk}/").content.decode()
    assert "stderr</b> said err" in text
    assert text.count("stderr</b>") == 1


@pytest.mark.parametrize("state", ["waiting", "succeeded"])
def test_a_long_log_is_read_to_its_end_also_of_what_has_ended(node: Node, asked: OperationRequest, state: str) -> None:
    (one,) = fill(node, asked, 1, state)
    rows = [LogLine(operation=one, seq=seq, at=clock.now(), stream="out", text=f"line {seq}") for seq in range(1, 701)]
    LogLine.objects.bulk_create(rows)
    page, path = signed_in(make_user("owner", "admin")), f"/operations/{one.pk}/"
    text = page.get(path).content.decode()
    assert "line 500<" in text
    assert "data-more" in text
    assert "data-over" not in text, "there is more to ask for"
    rest = page.get(f"{path}log/?after=500")
    assert "line 700<" in rest.content.decode()
    assert "X-FleetUI-Log-More" not in rest
    assert rest.status_code == (286 if state == "succeeded" else 200)
    assert page.get(f"{path}log/?after=100")["X-FleetUI-Log-More"] == "1"


def test_the_log_stands_before_the_facts_which_follow_by_themselves(node: Node, asked: OperationRequest) -> None:
    make_facts(node)
    node.refresh_from_db()
    (one,) = fill(node, asked, 1)
    page, path = signed_in(make_user("owner", "admin")), f"/operations/{one.pk}/"
    text = page.get(path).content.decode()
    assert 0 < text.index('role="log"') < text.index('id="operation-facts"')
    assert 'data-live-for="operation-facts"' in page.get(path, headers={"HX-Request": "true"}).content.decode()


def test_a_page_that_keeps_itself_fresh_says_how_many_run_now(node: Node, asked: OperationRequest) -> None:
    (one, *_others) = fill(node, asked, 3)
    fill(node, asked, 2, "queued")
    page = signed_in(make_user("owner", "admin"))
    for path in ("/", "/operations/", f"/operations/requests/{asked.pk}/", f"/operations/{one.pk}/"):
        assert 'data-live-for="tools"' not in page.get(path).content.decode()
        text = page.get(path, headers={"HX-Request": "true"}).content.decode()
        told = text.partition('data-live-for="tools"')[2]
        assert "3 are running" in told, path
    # The number leads to the list that it counts.
    address = told.partition('href="/operations/')[2].partition('"')[0]
    listed = page.get(f"/operations/{address}").content.decode()
    assert listed.count("data-rev=") == 3


def test_the_states_of_a_request_list_what_they_count_also_when_it_is_none(node: Node, asked: OperationRequest) -> None:
    fill(node, asked, 2)
    fill(node, asked, 1, "failed")
    page, path = signed_in(make_user("owner", "admin")), f"/operations/requests/{asked.pk}/"
    failed = page.get(f"{path}?state=failed").content.decode()
    assert failed.count("data-rev=") == 1
    assert "Listed below are those in the state “Failed”." in failed
    assert 'aria-current="true"' in failed
    none = page.get(f"{path}?state=running").content.decode()
    assert none.count("data-rev=") == 0, "what has no operation lists none, and not all of them"
    assert "None is in the state “Running” now." in none
    assert "List all 3" in none
    assert page.get(f"{path}?state=nonsense").content.decode().count("data-rev=") == 3


def test_every_page_leads_to_what_runs_and_to_stop_all(node: Node, asked: OperationRequest, web: Pool) -> None:
    fill(node, asked, 7)
    operator = signed_in(make_user("operator", ("operator", web)))
    text = operator.get("/nodes/").content.decode()
    assert "7 are running" in text
    assert 'data-confirm="Stop all"' in text
    viewer = signed_in(make_user("viewer", ("viewer", web))).get("/nodes/").content.decode()
    assert 'data-confirm="Stop all"' not in viewer
    elsewhere = signed_in(make_user("other", ("viewer", make_pool("db")))).get("/nodes/").content.decode()
    assert "0 are running" in elsewhere


def test_the_audit_events_of_an_operation_are_for_those_who_may(node: Node, asked: OperationRequest) -> None:
    (one,) = fill(node, asked, 1)
    command = {"command": ["sudo", "-n", "systemctl", "reboot"]}
    record_alone(Entry(actor="user:anna", action="operations.effect", subject=f"operation:{one.pk}", after=command))
    record_alone(Entry(actor="user:ben", action="operations.approve", subject=f"request:{asked.pk}"))
    path = f"/operations/{one.pk}/"
    auditor, viewer = signed_in(make_user("auditor", "auditor")), signed_in(make_user("viewer", "viewer"))
    # The page and what an open page asks for by itself.
    for asks in (path, f"{path}?part=trail"):
        text = auditor.get(asks).content.decode()
        assert "sudo -n systemctl reboot" in text
        assert "approved it" in text
        assert "Audit events" not in viewer.get(asks).content.decode()


@pytest.mark.parametrize(
    ("family", "units"),
    [
        ("fcos", ["zincati.service"]),
        ("rhcos", []),
        ("flatcar", ["locksmithd.service", "update-engine.service"]),
        ("talos", []),
        ("", []),
    ],
)
def test_a_restart_of_a_unit_offers_the_agent_of_the_system(node: Node, family: str, units: list[str]) -> None:
    Node.objects.filter(pk=node.pk).update(os_family=family)
    page = signed_in(make_user("op", "operator")).post(
        "/operations/-/plan/", {"kind": "unit_restart", "id": [str(node.pk)]}
    )
    assert page.context["known_units"] == units


def test_what_was_not_shown_is_not_asked_for(node: Node, web: Pool) -> None:
    """A poll, an import of releases or another field may make it another plan between the page and its button."""
    make_facts(node)
    page = signed_in(make_user("op", "operator"))
    first = page.post("/operations/-/plan/", {"kind": "reboot", "id": [str(node.pk)]})
    form = {"kind": "reboot", "ids": str(node.pk), "hours": "4", "go": "1", "seen": first.context["seen"]}
    assert f'name="seen" value="{form["seen"]}"' in first.content.decode()
    booted = {**deployment(), "version": "44.20261115.3.0", "checksum": "d" * 64}
    Deployment.objects.all().delete()
    make_facts(node, deployments=[booted])
    Node.objects.filter(pk=node.pk).update(booted=booted, booted_version=booted["version"])
    again = page.post("/operations/-/plan/", form)
    assert (again.status_code, Operation.objects.count()) == (422, 0)
    assert "has changed since the plan was shown" in again.content.decode()
    assert again.context["seen"] != form["seen"]
    form["seen"] = again.context["seen"]
    assert page.post("/operations/-/plan/", {**form, "soak_s": "5"}).status_code == 422
    assert page.post("/operations/-/plan/", form).status_code == 302
    assert Operation.objects.get().plan["frozen"]["booted_version"] == booted["version"]
