"""A request that stops after so many failures: what counts, what does not begin any more, and nothing half done."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.models import Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_facts, make_node, make_pool, make_user, principal
from nodes.tests.pages import signed_in
from nodes.tests.waiting import until_it_waits
from ops import actions
from ops.engine import record, start_queued
from ops.models import Limit, Operation, OperationRequest
from ops.outcomes import Done, Fail, Outcome
from ops.services import control
from ops.services.expire import expire_untouched
from ops.services.finishing import finish
from ops.services.request import request_operations
from ops.services.schedule_runs import run_due
from ops.services.schedules import set_schedule
from ops.states import State

pytestmark = pytest.mark.django_db
NOW = clock.now()
BAD = Fail("contact_refused", {"message": "Another host key."})
ASKS = Fail("not_back", attention=True)
GOOD = Done(finish=True)


@pytest.fixture
def web() -> Pool:
    pool = make_pool("web")
    for number in range(4):
        make_facts(make_node(f"web-{number}", pool=pool))
    return pool


def asked(stop_after: int | None, **over: Any) -> OperationRequest:
    nodes = list(Node.objects.select_related("pool__cluster").order_by("name"))
    told = {"kind": "reboot", "params": {"soak_s": 0}, "max_attempts": 1, "actor": SYSTEM, "now": NOW, **over}
    return request_operations(nodes=nodes, stop_after=stop_after, **told).request


def started(request: OperationRequest) -> list[Operation]:
    """What runs now, under a lease, as the engine reads it."""
    start_queued(NOW)
    rows = Operation.objects.to_work().filter(request=request, state=State.RUNNING).order_by("number")
    rows.update(lease_id=uuid.uuid4(), lease_until=NOW + timedelta(minutes=1))
    return list(rows.all())


def end(row: Operation, outcome: Outcome) -> None:
    assert row.lease_id
    assert record.record(row, row.lease_id, outcome, actions.get(row.kind), NOW)


def states(request: OperationRequest) -> list[str]:
    return list(request.operations.order_by("number").values_list("state", flat=True))


def at_once(number: int) -> None:
    Limit.objects.create(scope="pool", name="web", at_once=number, set_by="user:anna")


@pytest.mark.usefixtures("web")
def test_a_renewal_by_kubeadm_stops_at_the_first_failure_by_itself() -> None:
    """A node whose control plane is ill is still Ready to its cluster, so that nothing else would stop the next one."""
    assert asked(3, kind="kubeadm_renew", params={}).stop_after == 3
    Operation.objects.update(state=State.CANCELLED, ended_at=NOW)
    request = asked(None, kind="kubeadm_renew", params={})
    end(started(request)[0], BAD)
    assert states(request) == ["failed", "cancelled", "cancelled", "cancelled"]
    Node.objects.exclude(name="web-3").delete()
    assert asked(None, kind="kubeadm_renew", params={}).stop_after is None


@pytest.mark.parametrize(("outcome", "ends_as"), [(BAD, "failed"), (ASKS, "needs_attention")])
def test_after_the_first_failure_nothing_else_begins(web: Pool, outcome: Outcome, ends_as: str) -> None:
    request = asked(1)
    (first,) = started(request)
    end(first, outcome)
    assert states(request) == [ends_as, "cancelled", "cancelled", "cancelled"]
    assert start_queued(NOW) == 0
    request.refresh_from_db()
    assert request.stopped_at == NOW
    last = request.operations.get(number=3)
    assert (last.result, last.result_params, last.ended_at, last.due_at, last.wait_reason) == (
        "threshold",
        {"count": 1, "stop_after": 1},
        NOW,
        None,
        "",
    )
    stopped = AuditEvent.objects.get(action="operations.stop_request")
    assert (stopped.actor, stopped.subject) == ("system:fleetui", f"request:{request.pk}")
    ends = AuditEvent.objects.filter(action="operations.end").exclude(subject=f"operation:{first.pk}")
    assert ends.count() == 3


def test_what_runs_goes_on_to_its_end_and_does_not_stop_it_again(web: Pool) -> None:
    at_once(2)
    request = asked(1)
    first, second = started(request)
    end(first, BAD)
    assert states(request) == ["failed", "running", "cancelled", "cancelled"]
    end(second, BAD)
    assert states(request) == ["failed", "failed", "cancelled", "cancelled"]
    assert AuditEvent.objects.filter(action="operations.stop_request").count() == 1


def test_fewer_failures_than_that_stop_nothing(web: Pool) -> None:
    request = asked(2)
    for outcome, so_far in ((BAD, ["failed"]), (GOOD, ["failed", "succeeded"])):
        (one,) = started(request)
        end(one, outcome)
        assert states(request)[: len(so_far)] == so_far
    (third,) = started(request)
    end(third, BAD)
    assert states(request) == ["failed", "succeeded", "failed", "cancelled"]


def test_running_out_of_time_counts_only_once_it_has_begun(web: Pool) -> None:
    request = asked(1)
    (first,) = started(request)
    first.deadline = NOW
    ending = {"state": "timed_out", "result": "deadline", "params": {"waited_for": "unreachable"}}
    end(first, Done(memory={"ending": ending}, skip_to="tidy"))
    assert states(request) == ["timed_out", "cancelled", "cancelled", "cancelled"]
    other = asked(1)
    Operation.objects.filter(request=other, number__lt=3).update(deadline=NOW)
    expire_untouched(NOW)
    assert states(other) == ["timed_out", "timed_out", "timed_out", "queued"]
    other.refresh_from_db()
    assert other.stopped_at is None


def test_a_cancel_and_a_machine_that_is_gone_do_not_count(web: Pool) -> None:
    request = asked(1)
    (first,) = started(request)
    assert first.lease_id
    record.void(first, first.lease_id, NOW)
    (second,) = started(request)
    control.cancel(operation=second, actor=SYSTEM, now=NOW)
    ending = {"state": "cancelled", "result": "cancelled", "params": {}}
    end(second, Done(memory={"ending": ending}, skip_to="tidy"))
    assert states(request) == ["void", "cancelled", "queued", "queued"]


def test_what_needed_attention_and_was_ended_by_a_person_counts_once(web: Pool) -> None:
    request = asked(2)
    (first,) = started(request)
    end(first, ASKS)
    control.resolve(operation=first, go_on=False, actor=SYSTEM, now=NOW)
    assert states(request) == ["failed", "queued", "queued", "queued"]


def test_the_last_one_that_fails_stops_nothing(web: Pool) -> None:
    at_once(4)
    request = asked(1)
    for one in started(request):
        end(one, BAD)
    request.refresh_from_db()
    assert request.stopped_at is None


def test_other_requests_are_not_touched(web: Pool) -> None:
    request = asked(1)
    Operation.objects.filter(request=request).update(changes=False)
    other = asked(1, kind="refresh", params={})
    end(started(request)[0], BAD)
    assert set(states(other)) == {"running"}


def test_a_worker_that_dies_while_it_stops_leaves_nothing_half_done(web: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(1)
    (first,) = started(request)

    def dies(_entries: object) -> None:
        raise OperationalError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(record, "append", dies)
        with pytest.raises(OperationalError), transaction.atomic():
            end(first, BAD)
    request.refresh_from_db()
    assert (states(request), request.stopped_at) == (["running", "queued", "queued", "queued"], None)
    end(Operation.objects.to_work().get(pk=first.pk), BAD)
    assert states(request) == ["failed", "cancelled", "cancelled", "cancelled"]


def test_without_a_threshold_an_end_reads_no_request(web: Pool) -> None:
    request = asked(None)
    (first,) = started(request)
    with CaptureQueriesContext(
        connection,
    ) as found:
        end(first, BAD)
    assert not [one["sql"] for one in found if "ops_operationrequest" in one["sql"]]
    assert states(request) == ["failed", "queued", "queued", "queued"]


def test_a_stop_costs_the_same_however_many_have_not_begun(web: Pool) -> None:
    counts = []
    for more in (0, 20):
        for number in range(more):
            make_facts(make_node(f"more-{number}", pool=web))
        Operation.objects.update(state="succeeded", ended_at=NOW)
        (first,) = started(asked(1))
        with CaptureQueriesContext(connection) as found:
            end(first, BAD)
        counts.append(len(found))
    assert counts[0] == counts[1]


class TestRetry:
    @pytest.fixture
    def stopped(self, web: Pool) -> OperationRequest:
        request = asked(1)
        end(started(request)[0], BAD)
        return request

    def test_it_asks_again_for_what_did_not_begin_with_the_same_threshold(self, stopped: OperationRequest) -> None:
        made = Api(make_user("owner", "admin")).post(f"operations/bulk/{stopped.pk}/retry/", {})
        assert made.status_code == 201, made.content
        assert {one["node"] for one in made.json()["operations"]} == {"web-0", "web-1", "web-2", "web-3"}
        assert OperationRequest.objects.get(pk=made.json()["request_id"]).stop_after == 1

    def test_what_a_person_cancelled_is_left_out(self, web: Pool) -> None:
        request = asked(1)
        (first,) = started(request)
        control.cancel(operation=request.operations.get(number=3), actor=SYSTEM, now=NOW)
        end(first, BAD)
        made = Api(make_user("owner", "admin")).post(f"operations/bulk/{request.pk}/retry/", {})
        assert {one["node"] for one in made.json()["operations"]} == {"web-0", "web-1", "web-2"}

    def test_the_page_says_what_stopped_it_and_offers_the_rest(self, stopped: OperationRequest) -> None:
        page = signed_in(make_user("anna", "admin"))
        text = page.get(f"/operations/requests/{stopped.pk}/").content.decode()
        assert "Stopped: 1 operation ended badly, and that is its threshold." in text
        assert "3 did not begin." in text
        assert "Retry the rest (4)" in text
        one = page.get(f"/operations/{stopped.operations.get(number=2).pk}/").content.decode()
        assert (
            "Not begun, and nothing was changed: 1 operation of its request ended badly, and the request was to stop after 1."
            in one
        )
        assert "stopped the request: too many of it ended badly" in one
        again = page.post(f"/operations/requests/{stopped.pk}/retry/", {})
        assert again.status_code == 302
        assert Operation.objects.filter(state="queued", request__stop_after=1).count() == 4

    def test_the_api_says_so_too(self, stopped: OperationRequest) -> None:
        found = Api(make_user("owner", "admin")).get(f"operations/bulk/{stopped.pk}/").json()
        assert (found["stop_after"], found["states"]) == (1, {"failed": 1, "cancelled": 3})
        assert found["stopped_at"]

    def test_whoever_is_told_of_its_end_hears_that_it_was_stopped(self, stopped: OperationRequest) -> None:
        Rule.objects.create(channel=Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a"))
        finish(NOW)
        document = Delivery.objects.get().document
        assert (
            document["text"]
            == "Reboot in web stopped at its threshold of failures, and has ended: failed 1, cancelled 3"
        )


class TestAsking:
    def test_over_the_api(self, web: Pool) -> None:
        api = Api(make_user("owner", "admin"))
        body = {"kind": "reboot", "selector": {"pool": "web"}}
        for bad in (0, 2001, True, "1"):
            refused = api.post("operations/", {**body, "stop_after": bad})
            assert (refused.status_code, refused.json()["field"]) == (400, "stop_after"), bad
        made = api.post("operations/", {**body, "stop_after": 2}, idempotency_key="k")
        assert made.status_code == 201, made.content
        assert OperationRequest.objects.get().stop_after == 2
        assert api.post("operations/", {**body, "stop_after": 2}, idempotency_key="k").status_code == 200
        assert api.post("operations/", {**body, "stop_after": 3}, idempotency_key="k").status_code == 409

    def test_a_number_that_cannot_be_is_refused_with_its_field(self, web: Pool) -> None:
        with pytest.raises(InvalidInput) as refused:
            asked(0)
        assert (refused.value.field, refused.value.value) == ("stop_after", 0)

    @pytest.mark.parametrize(("kind", "proposed"), [("replace", 'value="1"'), ("reboot", "")])
    def test_the_form_proposes_one_where_machines_are_deleted(self, web: Pool, kind: str, proposed: str) -> None:
        page = signed_in(make_user("anna", "admin"))
        ids = [str(pk) for pk in web.nodes.values_list("pk", flat=True)]
        text = page.post("/operations/-/plan/", {"kind": kind, "id": ids}).content.decode()
        (field,) = [part for part in text.split("<input")[1:] if 'name="stop_after"' in part]
        assert ("value=" in field.partition(">")[0]) == bool(proposed)
        assert proposed in field
        alone = page.post("/operations/-/plan/", {"kind": kind, "id": ids[:1]}).content.decode()
        assert 'name="stop_after"' not in alone

    def test_the_form_asks_with_it(self, web: Pool) -> None:
        ids = ",".join(str(pk) for pk in web.nodes.values_list("pk", flat=True))
        form = {"ids": ids, "kind": "reboot", "hours": "4", "soak_s": "0", "go": "1", "stop_after": "2"}
        assert signed_in(make_user("anna", "admin")).post("/operations/-/plan/", form).status_code == 302
        assert OperationRequest.objects.get().stop_after == 2

    def test_a_schedule_asks_with_it(self, web: Pool) -> None:
        actor = principal(make_user("anna", "admin"))
        told: dict[str, Any] = {"name": "s", "cron": "@hourly", "zone": "UTC", "pool": web, "actor": actor, "now": NOW}
        for bad in (0, "1", True):
            with pytest.raises(InvalidInput):
                set_schedule(**told, task={"kind": "reboot", "stop_after": bad})
        schedule = set_schedule(**told, task={"kind": "reboot", "stop_after": 2})
        assert schedule.next_run_at
        run_due(schedule.next_run_at)
        assert OperationRequest.objects.get().stop_after == 2


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    @pytest.fixture(autouse=True)
    def only_on_postgresql(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has one writer at a time")

    def in_a_thread(self, row: Operation) -> tuple[threading.Thread, list[object]]:
        found: list[object] = []

        def run() -> None:
            try:
                end(row, BAD)
            except Exception as error:
                found.append(error)
            finally:
                connection.close()

        return threading.Thread(target=run), found

    def test_two_that_fail_at_once_see_each_other(self, web: Pool) -> None:
        at_once(2)
        request = asked(2)
        first, second = started(request)
        other, failed = self.in_a_thread(second)
        with transaction.atomic():
            end(first, BAD)
            other.start()
            until_it_waits(other)
        other.join()
        assert not failed
        assert states(request) == ["failed", "failed", "cancelled", "cancelled"]

    def test_what_is_being_started_meanwhile_runs_and_nothing_after_it(self, web: Pool) -> None:
        at_once(2)
        request = asked(1)
        Operation.objects.filter(request=request, number__gt=0).update(created_at=NOW + timedelta(seconds=1))
        Limit.objects.update(at_once=1)
        (first,) = started(request)
        Limit.objects.update(at_once=2)
        other, failed = self.in_a_thread(first)
        with transaction.atomic():
            assert start_queued(NOW) == 1
            other.start()
            until_it_waits(other)
        other.join()
        assert not failed
        assert states(request) == ["failed", "running", "cancelled", "cancelled"]
        assert start_queued(NOW) == 0

    @pytest.mark.parametrize("first_taken", ["request", "operation"])
    def test_another_writer_of_the_same_rows_and_an_end_both_come_through(self, web: Pool, first_taken: str) -> None:
        request = asked(1)
        (row,) = started(request)
        before, own = uuid.UUID(int=1), row.pk
        Operation.objects.filter(request=request, number=1).update(id=before)
        other, failed = self.in_a_thread(row)
        with transaction.atomic():
            if first_taken == "request":
                OperationRequest.objects.select_for_update().get(pk=request.pk)
            else:
                Operation.objects.select_for_update().get(pk=before)
            other.start()
            until_it_waits(other)
            Operation.objects.select_for_update().get(pk=own)
        other.join()
        assert not failed
        assert states(request) == ["failed", "cancelled", "cancelled", "cancelled"]
