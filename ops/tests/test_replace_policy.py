"""Silent machines of a pool with a policy: asked for once, as people ask, and never because FleetUI or the network was away."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import InvalidInput, NotAllowed
from nodes.models import Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_config, make_node, make_pool, make_user, make_version, principal
from nodes.tests.pages import signed_in
from nodes.tests.waiting import until_it_waits
from ops import wording
from ops.models import ApprovalRule, Operation, OperationRequest, PolicyReplacement, Provisioner, ReplacePolicy
from ops.services import control
from ops.services.replacing import unhealthy
from ops.services.replacing.policies import set_policy
from ops.services.replacing.provisioners import set_provisioner
from ops.services.replacing.unhealthy import replace_unhealthy, standings
from ops.services.request import request_operations
from ops.wording.replace_policy import STANDINGS

pytestmark = pytest.mark.django_db
NOW = clock.now()
AFTER = 30


def make_web() -> Pool:
    """Six nodes that answer, a provisioner, an approved version, and the policy since an hour."""
    pool = make_pool("web")
    pool.intended_version = make_version(make_config("edge", pool), state="approved")
    pool.save()
    given: dict[str, Any] = {"name": "site", "kind": "manual", "settings": {}, "base_url": "https://fleet.example.org"}
    set_provisioner(**given, pools=[pool], actor=SYSTEM, now=NOW)
    for number in range(6):
        make_node(f"web-{number}", pool=pool, last_seen_at=NOW, health="healthy")
    told: dict[str, Any] = {"after_minutes": AFTER, "most_per_day": 1, "reason": "CHG-1"}
    set_policy(pool=pool, **told, actor=SYSTEM, now=NOW - timedelta(hours=1))
    return pool


@pytest.fixture
def web() -> Pool:
    return make_web()


def silence(*names: str, minutes: int = AFTER, **over: Any) -> None:
    columns = {
        "reachability": "unreachable",
        "failures": 7,
        "failing_since": NOW - timedelta(minutes=minutes + 1),
        "silent_s": minutes * 60,
        "silent_at": NOW - timedelta(seconds=20),
        "last_seen_at": NOW - timedelta(minutes=minutes + 2),
        "last_error_kind": "timed_out",
        "last_error_params": {},
        "poll_due_at": NOW + timedelta(minutes=5),
        **over,
    }
    Node.objects.filter(name__in=names).update(**columns)


def codes(pool: Pool, now: Any = NOW) -> dict[str, str]:
    policy = ReplacePolicy.objects.select_related("pool").get(pool=pool)
    return {one.node.name: one.code for one in standings(policy, now)}


def test_a_silent_machine_is_asked_for_once_as_people_ask(web: Pool) -> None:
    silence("web-1")
    assert codes(web) == {"web-1": "due"}
    assert [replace_unhealthy(NOW), replace_unhealthy(NOW)] == [1, 0]
    request, row = OperationRequest.objects.get(), Operation.objects.get()
    assert (request.kind, request.requester, row.node_name, row.state) == (
        "replace",
        "system:fleetui",
        "web-1",
        "queued",
    )
    assert request.reason == "Policy of the pool web: no answer for 30 min. CHG-1"
    assert request.params == {"only_unreachable": True}
    asked = PolicyReplacement.objects.get()
    assert (asked.operation, asked.generation, asked.pool) == (row, 1, web)
    event = AuditEvent.objects.get(action="operations.request")
    assert (event.actor, event.reason) == ("system:fleetui", request.reason)
    assert codes(web) == {"web-1": "asked"}


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"silent_s": AFTER * 60 - 1}, "waits"),
        ({"silent_at": None}, "waits"),
        ({"failures": 1}, "waits"),
        ({"lifecycle": "maintenance"}, "maintenance"),
        ({"last_error_kind": "authentication"}, "answers"),
        ({"last_error_kind": "jump_failed"}, "answers"),
        ({"poll_due_at": NOW - timedelta(seconds=1)}, "looked_at"),
        ({"poll_lease": uuid.uuid4()}, "looked_at"),
        ({"poll_requested_at": NOW}, "looked_at"),
        ({"lifecycle": "retired"}, None),
        ({"reachability": "key_mismatch"}, None),
        ({"reachability": "never_seen"}, None),
        ({"reachability": "reachable", "failures": 0}, None),
    ],
)
def test_nothing_is_asked_for_while(web: Pool, over: dict[str, Any], code: str | None) -> None:
    silence("web-1", **over)
    assert codes(web).get("web-1") == code
    assert replace_unhealthy(NOW) == 0
    assert not OperationRequest.objects.exists()


def test_the_time_counts_from_when_it_was_set_at_the_earliest(web: Pool) -> None:
    silence("web-1", minutes=600)
    set_policy(pool=web, after_minutes=AFTER, most_per_day=2, actor=SYSTEM, now=NOW - timedelta(minutes=10))
    assert codes(web) == {"web-1": "waits"}
    # What is saved as it was gives no time anew.
    set_policy(pool=web, after_minutes=AFTER, most_per_day=2, actor=SYSTEM, now=NOW)
    assert ReplacePolicy.objects.get().set_at == NOW - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("names", "over", "code"),
    [
        (("web-1", "web-2", "web-3", "web-4"), {}, "held_half"),
        (("web-1",), {"last_seen_at": NOW - timedelta(minutes=11)}, "held_nothing_answers"),
    ],
)
def test_a_pool_that_is_held_has_nothing_replaced(
    web: Pool, names: tuple[str, ...], over: dict[str, Any], code: str
) -> None:
    Node.objects.update(**over)
    silence(*names)
    assert codes(web) == dict.fromkeys(names, code)
    assert replace_unhealthy(NOW) == 0


def test_at_most_so_many_within_24_hours(web: Pool) -> None:
    silence("web-1", failing_since=NOW - timedelta(hours=2))
    silence("web-2")
    assert replace_unhealthy(NOW) == 1
    assert Operation.objects.get().node_name == "web-1", "the longest silent comes first"
    assert codes(web) == {"web-1": "asked", "web-2": "most_per_day"}
    later = NOW + timedelta(hours=24)
    Node.objects.filter(failures=0).update(last_seen_at=later)
    silence("web-2", poll_due_at=later + timedelta(minutes=1))
    assert replace_unhealthy(later - timedelta(seconds=1)) == 0
    assert replace_unhealthy(later + timedelta(seconds=1)) == 1


def test_several_on_one_day_are_asked_for_up_to_the_number(web: Pool) -> None:
    set_policy(pool=web, after_minutes=AFTER, most_per_day=2, actor=SYSTEM, now=NOW - timedelta(hours=1))
    silence("web-1", "web-2", "web-3")
    assert replace_unhealthy(NOW) == 2
    assert sorted(codes(web).values()) == ["asked", "asked", "most_per_day"]


def test_never_twice_for_one_machine_and_again_for_the_next(web: Pool) -> None:
    silence("web-1")
    replace_unhealthy(NOW)
    Operation.objects.update(state="failed", ended_at=NOW, due_at=None)
    later = NOW + timedelta(days=3)
    Node.objects.filter(failures=0).update(last_seen_at=later)
    silence("web-1", poll_due_at=later + timedelta(minutes=1))
    assert replace_unhealthy(later) == 0
    Node.objects.filter(name="web-1").update(generation=2)
    assert replace_unhealthy(later) == 1


def test_what_a_plan_refuses_or_would_stop_is_not_asked_for_and_said(web: Pool) -> None:
    silence("web-1")
    Node.objects.exclude(name="web-1").update(health="degraded")
    assert codes(web) == {"web-1": "blocked"}
    Node.objects.update(health="healthy")
    node = Node.objects.select_related("pool__cluster").get(name="web-1")
    made = request_operations(nodes=[node], kind="replace", actor=SYSTEM, now=NOW).operations[0]
    assert codes(web) == {"web-1": "refused"}
    control.cancel(operation=made, actor=SYSTEM, now=NOW)
    assert codes(web) == {"web-1": "due"}
    Provisioner.objects.all().delete()
    assert codes(web) == {"web-1": "refused"}
    assert replace_unhealthy(NOW) == 0
    assert not PolicyReplacement.objects.exists()


def test_stop_all_and_a_missing_ticket_hold_it_too(web: Pool, settings: Any) -> None:
    silence("web-1")
    control.stop_all(actor=SYSTEM, now=NOW, reason="storm")
    assert codes(web) == {"web-1": "stopped"}
    control.lift_stop(actor=SYSTEM)
    settings.TICKET_PATTERN = r"INC-\d+"
    assert codes(web) == {"web-1": "reason"}
    assert replace_unhealthy(NOW) == 0
    with pytest.raises(InvalidInput):
        set_policy(pool=web, after_minutes=AFTER, reason="CHG-1", actor=SYSTEM, now=NOW)
    set_policy(pool=web, after_minutes=AFTER, reason="INC-1", actor=SYSTEM, now=NOW - timedelta(hours=1))
    assert replace_unhealthy(NOW) == 1


def test_a_rule_makes_it_wait_for_approvals(web: Pool) -> None:
    ApprovalRule.objects.create(pool="web", kind="replace", approvers=1, expires_after_s=3600, set_by="user:anna")
    silence("web-1")
    replace_unhealthy(NOW)
    assert Operation.objects.get().state == "awaiting_approval"


def test_without_a_policy_it_costs_one_query(web: Pool) -> None:
    set_policy(pool=web, after_minutes=None, actor=SYSTEM, now=NOW)
    silence("web-1")
    with CaptureQueriesContext(connection) as found:
        assert replace_unhealthy(NOW) == 0
    assert len(found) == 1


def test_a_worker_that_dies_leaves_nothing_and_the_next_one_asks_once(
    web: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence("web-1")

    def dies(**told: Any) -> Any:
        request_operations(**told)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(unhealthy, "request_operations", dies)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            replace_unhealthy(NOW)
    assert not OperationRequest.objects.exists()
    assert replace_unhealthy(NOW) == 1
    assert Operation.objects.count() == PolicyReplacement.objects.count() == 1


def test_a_fault_in_one_pool_keeps_no_other_back(web: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    set_policy(pool=make_pool("aaa"), after_minutes=AFTER, actor=SYSTEM, now=NOW)
    silence("web-1")

    def fails_once(policy: ReplacePolicy, now: Any) -> Any:
        if policy.pool.name == "aaa":
            raise RuntimeError
        return standings(policy, now)

    monkeypatch.setattr(unhealthy, "standings", fails_once)
    with pytest.raises(RuntimeError):
        replace_unhealthy(NOW)
    assert Operation.objects.count() == 1


class TestSetting:
    def test_it_takes_all_that_asking_for_a_replacement_takes_and_more(self, web: Pool) -> None:
        told: dict[str, Any] = {"pool": web, "after_minutes": 60, "now": NOW}
        for role in ("viewer", "operator", "approver"):
            with pytest.raises(NotAllowed):
                set_policy(**told, actor=principal(make_user(role, (role, web))))
        with pytest.raises(NotAllowed):
            set_policy(**told, actor=principal(make_user("other", ("admin", make_pool("db")))))
        assert set_policy(**told, actor=principal(make_user("anna", ("admin", web))))
        event = AuditEvent.objects.filter(action="pools.set_replace_policy").order_by("seq").last()
        assert event is not None
        assert (event.actor, event.subject) == ("user:anna", "pool:web")

    def test_over_the_api(self, web: Pool) -> None:
        api, path = Api(make_user("owner", "admin")), "pools/web/replace-policy/"
        silence("web-1")
        replace_unhealthy(NOW)
        found = api.get(path).json()
        assert (found["is_on"], found["after_minutes"], found["set_by"]) == (True, AFTER, "system:fleetui")
        assert [(one["node"], one["state"]) for one in found["silent"]] == [("web-1", "asked")]
        assert [(one["node"], one["operation_state"]) for one in found["asked"]] == [("web-1", "queued")]
        for field, value in (
            ("after_minutes", 9),
            ("most_per_day", 0),
            ("reason", "x" * 151),
            ("params", {"soak_s": -1}),
        ):
            refused = api.put(path, {"after_minutes": 60, field: value})
            assert refused.status_code == 400, field
            assert refused.json()["field"].startswith(field)
        done = api.put(
            path, {"after_minutes": 60, "most_per_day": 3, "params": {"soak_s": 5, "only_unreachable": False}}
        )
        assert (done.status_code, done.json()["params"]) == (200, {"soak_s": 5})
        off = api.put(path, {"after_minutes": None})
        assert (off.json()["is_on"], off.json()["silent"]) == (False, [])
        assert Api(make_user("op", ("operator", web))).put(path, {"after_minutes": 60}).status_code == 403
        assert Api(make_user("op2", ("operator", web))).get(path).status_code == 200

    def test_the_page_of_the_pool_says_what_it_does_and_why_not(self, web: Pool) -> None:
        page = signed_in(make_user("anna", "admin"))
        silence("web-1")
        silence("web-2", last_error_kind="authentication", last_error_params={"username": "core"})
        replace_unhealthy(NOW)
        text = page.get("/pools/web/").content.decode()
        assert "replaced after 30 min without any answer" in text
        assert "Asked for already" in text
        assert "Left alone, since it is not certain that nothing answers" in text
        assert "Asked for by the policy" in text
        assert page.post("/pools/web/replace-policy/off/").status_code == 302
        assert not ReplacePolicy.objects.exists()
        assert "replaced by hand only" in page.get("/pools/web/").content.decode()
        form = {"after_minutes": "45", "most_per_day": "2", "params": '{"drain_ending": "force"}', "reason": ""}
        assert page.post("/pools/web/replace-policy/", {**form, "params": "{"}).status_code == 422
        assert page.post("/pools/web/replace-policy/", form).status_code == 302
        policy = ReplacePolicy.objects.get()
        assert (policy.after_minutes, policy.params, policy.set_by) == (45, {"drain_ending": "force"}, "user:anna")
        assert page.get("/pools/web/replace-policy/").status_code == 200

    def test_who_may_not_set_it_gets_no_button_and_no_form(self, web: Pool) -> None:
        page = signed_in(make_user("op", ("operator", web)))
        assert "/replace-policy/" not in page.get("/pools/web/").content.decode()
        assert page.get("/pools/web/replace-policy/").status_code == 403
        assert page.post("/pools/web/replace-policy/off/").status_code == 403


@pytest.mark.parametrize("code", sorted(STANDINGS))
def test_every_standing_has_its_sentence(code: str) -> None:
    params: dict[str, Any] = {
        **{
            "minutes": 5,
            "kind": "authentication",
            "error": {},
            "failing": 4,
            "nodes": 6,
            "n": 1,
            "at": NOW,
            "said": "x",
        },
        **{"code": "no_pool", "params": {}, "checks": [{"code": "pool_alone"}]},
    }
    assert "Nothing more is known" not in wording.policy_sentence(code, params)


@pytest.mark.django_db(transaction=True)
def test_two_workers_ask_once() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    set_policy(pool=make_web(), after_minutes=AFTER, most_per_day=2, actor=SYSTEM, now=NOW - timedelta(hours=1))
    silence("web-1", "web-2", "web-3")
    found: list[object] = []

    def run() -> None:
        try:
            found.append(replace_unhealthy(NOW))
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=run)
    with transaction.atomic():
        policy = ReplacePolicy.objects.select_related("pool").get()
        assert unhealthy._ask_one(policy, NOW)
        other.start()
        until_it_waits(other)
    other.join()
    assert found == [1]
    assert Operation.objects.count() == 2
    assert PolicyReplacement.objects.values("node").distinct().count() == 2
