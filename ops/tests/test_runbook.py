"""The runbook of a pool: when a task is overdue, who is told, what the page and the API say, and who may change it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.models import ContainerOnNode, Facts, Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.models import BackupDrill, BackupPolicy, BackupRun, Operation, OperationRequest, RunbookEntry, Schedule
from ops.runbook import TASKS, stand
from ops.services.runbook.standing import stands
from ops.services.runbook.table import table
from ops.services.runbook.watching import watch

DAY = timedelta(days=1)
NOW = clock.now()


def at(days: float) -> datetime:
    return NOW + days * DAY


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({}, "waits"),
        ({"now": at(10)}, "due"),
        ({"now": at(11)}, "overdue"),
        ({"now": at(11), "last_good_at": at(2)}, "well"),
        ({"now": at(12.5), "last_good_at": at(2)}, "due"),
        ({"now": at(13), "last_good_at": at(2)}, "overdue"),
        ({"now": at(99), "days": 0}, "off"),
        ({"now": at(99), "days": None, "applies": False}, "off"),
        ({"now": at(99), "nodes": 0}, "empty"),
        ({"now": at(99), "settled": True}, "settled"),
        ({"now": at(33), "days": None}, "overdue"),
        ({"now": at(32), "days": None}, "due"),
    ],
)
def test_how_a_task_stands(over: dict[str, Any], code: str) -> None:
    given = {"days": 10, "applies": True, "last_good_at": None, "since": NOW, "now": NOW, "nodes": 3, **over}
    assert stand(TASKS["os_update"], **given).code == code


def ended(pool: Pool, kind: str, *states: str, when: datetime, by: str = "user:anna") -> OperationRequest:
    """A request that reached its end in a pool."""
    request = OperationRequest.objects.create(kind=kind, requester=by)
    nodes = list(Node.objects.filter(pool=pool).order_by("name"))
    for number, state in enumerate(states):
        node = nodes[number]
        Operation.objects.create(
            request=request,
            number=number,
            kind=kind,
            subject=f"node:{node.pk}",
            node=node,
            node_name=node.name,
            pool=pool,
            pool_name=pool.name,
            state=state,
            deadline=when,
            ended_at=when,
        )
    return request


@pytest.fixture
def web(db: None) -> Pool:
    pool = make_pool("web")
    Pool.objects.update(created_at=NOW - 100 * DAY)
    for number in range(3):
        make_node(f"web-{number}", pool=pool, update_state="update_available")
    return Pool.objects.get()


def code(task: str, now: datetime = NOW) -> str:
    (found,) = stands(Pool.objects.filter(name="web"), now).values()
    return next(one.code for one in found if one.task.name == task)


def test_an_update_is_asked_for_until_every_node_is_up_to_date(web: Pool) -> None:
    assert code("os_update") == "overdue"
    ended(web, "upgrade", "failed", when=at(-1))
    assert code("os_update") == "overdue"
    ended(web, "upgrade", "succeeded", when=at(-10))
    assert code("os_update") == "well"
    assert code("os_update", at(24)) == "overdue"
    Node.objects.update(update_state="up_to_date")
    assert code("os_update", at(24)) == "settled"
    Node.objects.update(update_state="unknown")
    assert code("os_update", at(24)) == "off"


def test_containers_are_asked_for_where_units_have_some(web: Pool) -> None:
    assert code("container_update") == "off"
    ContainerOnNode.objects.create(
        node=Node.objects.get(name="web-0"), runtime="podman", managed_by="quadlet", unit="a.service"
    )
    assert code("container_update") == "overdue"
    ended(web, "auto_update", "succeeded", when=at(-1))
    assert code("container_update") == "well"


def test_backups_go_by_their_policies_until_days_are_set(web: Pool) -> None:
    assert code("backup") == "off"
    given: dict[str, Any] = {"kind": "path", "pool": web, "set_by": "user:a", "overdue_after_s": 3600}
    one = BackupPolicy.objects.create(name="a", created_at=at(-9), last_good_at=at(-0.01), **given)
    assert code("backup") == "well"
    BackupPolicy.objects.create(name="b", created_at=at(-9), **given)
    assert code("backup") == "overdue"
    assert watch(NOW) == 1, "the policy itself is told of; what is told here is the OS update"
    RunbookEntry.objects.update_or_create(pool=web, task="backup", defaults={"every_days": 9})
    assert code("backup") == "due"
    BackupPolicy.objects.exclude(pk=one.pk).update(last_good_at=at(-8))
    assert code("backup") == "well"


def test_drills_go_by_the_policies_that_ask_for_a_proof(web: Pool) -> None:
    given: dict[str, Any] = {"pool": web, "set_by": "user:a", "overdue_after_s": 3600, "created_at": at(-9)}
    BackupPolicy.objects.create(name="theirs", kind="reported", prove_within_s=3600, **given)
    one = BackupPolicy.objects.create(name="a", kind="path", last_proven_at=at(-2), **given)
    assert code("restore_drill") == "off"
    BackupPolicy.objects.filter(pk=one.pk).update(prove_within_s=3 * 86_400)
    assert code("restore_drill") == "well"
    assert code("restore_drill", at(1.5)) == "overdue"
    BackupPolicy.objects.create(name="b", kind="etcd", prove_within_s=86_400, **given)
    assert code("restore_drill") == "overdue"
    assert code("node_replacement") == "off"
    RunbookEntry.objects.create(pool=web, task="node_replacement", every_days=90)
    ended(web, "replace", "succeeded", when=at(-10))
    assert code("node_replacement") == "well"
    drill = {"policy": one, "state": "failed", "asked_by": "schedule:nightly", "started_at": at(-1), "ended_at": at(-1)}
    BackupDrill.objects.create(**drill)
    row = next(row for row in table(SYSTEM, web, NOW) if row.task.name == "restore_drill")
    assert row.last
    assert (row.last.by, row.last.counts) == ("schedule:nightly", {"failed": 1})
    assert [policy.name for policy in row.policies] == ["a", "b"]


def test_it_is_told_once_and_taken_back_once(web: Pool) -> None:
    channel = Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a")
    Rule.objects.create(channel=channel)
    assert [watch(NOW), watch(NOW)] == [1, 1]
    (told,) = Delivery.objects.all()
    assert (told.event, told.severity) == ("runbook.overdue", "warning")
    assert "web: OS update is overdue, and was never done" in str(told.document)
    page = signed_in(make_user("anna", "admin")).get("/").content.decode()
    assert "OS update is overdue" in page
    assert 'href="/pools/web/runbook/"' in page
    ended(web, "upgrade", "succeeded", when=NOW)
    assert [watch(NOW), watch(NOW)] == [0, 0]
    assert sorted(Delivery.objects.values_list("event", flat=True)) == ["runbook.in_time", "runbook.overdue"]
    assert not RunbookEntry.objects.filter(overdue_since__isnull=False).exists()


def test_what_is_overdue_in_several_pools_is_one_line_and_a_list(web: Pool) -> None:
    other = make_pool("db")
    Pool.objects.update(created_at=NOW - 100 * DAY)
    make_node("db-0", pool=other, update_state="staged")
    assert watch(NOW) == 2
    admin, viewer = signed_in(make_user("anna", "admin")), signed_in(make_user("dba", ("viewer", other)))
    overview = admin.get("/").content.decode()
    assert "/pools/-/runbook/?task=os_update" in overview
    assert '<span class="ui-attention-names"><span>db,</span> <span>web</span> </span>' in overview
    whole = admin.get("/pools/-/runbook/?task=os_update").content.decode()
    assert 'href="/pools/web/runbook/"' in whole
    assert 'href="/pools/db/runbook/"' in whole
    part = viewer.get("/pools/-/runbook/").content.decode()
    assert 'href="/pools/web/runbook/"' not in part
    assert 'href="/pools/db/runbook/"' in part
    assert "Nothing is overdue" in admin.get("/pools/-/runbook/?task=backup").content.decode()


def test_the_table_says_when_by_whom_how_it_went_and_what_comes(web: Pool) -> None:
    ended(web, "upgrade", "succeeded", "succeeded", "failed", when=at(-3), by="token:anna/ci")
    owner = make_user("anna", "admin")
    told: dict[str, Any] = {"cron": "0 2 * * sat", "owner": "user:anna", "user": owner}
    task = {"kind": "upgrade", "params": {}, "selector": {}, "reason": ""}
    Schedule.objects.create(name="all", next_run_at=at(2), task=task, **told)
    mine = Schedule.objects.create(name="mine", next_run_at=at(1), task=task, pool=web, pool_name="web", **told)
    narrow = {**task, "selector": {"name": "db"}}
    Schedule.objects.create(name="narrow", next_run_at=at(0.5), task=narrow, **told)
    policy = BackupPolicy.objects.create(
        name="jobs", kind="reported", pool=web, overdue_after_s=10 * 86_400, set_by="user:a", last_good_at=at(-1)
    )
    BackupRun.objects.create(
        policy=policy, state="good", started_at=at(-1), ended_at=at(-1), reported_by="token:x/cron"
    )
    rows = {one["task"]: one for one in Api(owner).get("pools/web/runbook/").json()["tasks"]}
    update, backup = rows["os_update"], rows["backup"]
    assert (update["state"], update["every_days"], update["is_usual"]) == ("well", 30, True)
    assert update["last"]["by"] == "token:anna/ci"
    assert update["last"]["states"] == {"succeeded": 2, "failed": 1}
    assert update["schedule"] == str(mine.pk)
    assert (backup["by_policies"], backup["every_days"], backup["last"]["operation"]) == (True, None, None)
    assert backup["last"]["by"] == "token:x/cron"
    page = signed_in(owner).get("/pools/web/runbook/").content.decode()
    for text in ("every 30 days", "by anna/ci", "as its policies say", f"/operations/schedules/{mine.pk}/", "Upgrade"):
        assert text in page, text


def test_the_button_plans_for_every_node_of_the_pool(web: Pool) -> None:
    page = signed_in(make_user("op", ("operator", web)))
    assert 'value="pool=web&amp;lifecycle=active"' in page.get("/pools/web/runbook/").content.decode()
    sent = {"kind": "upgrade", "all": "1", "filter": "pool=web&lifecycle=active"}
    assert "web-2" in page.post("/operations/-/plan/", sent).content.decode()
    viewer = signed_in(make_user("viewer", ("viewer", web))).get("/pools/web/runbook/").content.decode()
    assert "/operations/-/plan/" not in viewer
    assert "Change how often" not in viewer
    assert "Set up a backup" not in viewer


def test_certificates_of_control_planes_are_renewed_by_kubeadm(web: Pool) -> None:
    page = signed_in(make_user("op", ("operator", web)))

    def planned() -> list[str]:
        text = page.get("/pools/web/runbook/").content.decode()
        return [kind for kind in ("certbot_renew", "kubeadm_renew") if f'name="kind" value="{kind}"' in text]

    assert planned() == ["certbot_renew"]
    for node in Node.objects.filter(pool=web):
        make_facts(node, os={"family": "fcos"})
    assert planned() == ["certbot_renew"], "nothing is known of Kubernetes there"
    for node in Node.objects.filter(pool=web):
        assert planned() == ["certbot_renew"], "one of them is none"
        Facts.objects.filter(node=node).update(document={"kubernetes": {"role": "control-plane"}})
    assert planned() == ["kubeadm_renew"]


def test_admins_of_the_pool_say_how_often(web: Pool) -> None:
    make_pool("db")
    admin, operator = Api(make_user("webadmin", ("admin", web))), Api(make_user("op", ("operator", web)))
    assert operator.put("pools/web/runbook/", {"every_days": {"os_update": 7}}).status_code == 403
    assert admin.put("pools/db/runbook/", {"every_days": {}}).status_code == 404
    assert admin.put("pools/web/runbook/", {"every_days": {"sleep": 1}}).json()["mend"].startswith("Use os_update")
    wrong = admin.put("pools/web/runbook/", {"every_days": {"os_update": 5000}}).json()
    assert (wrong["field"], "1000" in wrong["mend"]) == ("every_days.os_update", True)
    body = {"every_days": {"os_update": 7, "backup": 0}, "reason": "as agreed"}
    found = {one["task"]: one for one in admin.put("pools/web/runbook/", body).json()["tasks"]}
    assert (found["os_update"]["every_days"], found["backup"]["state"]) == (7, "off")
    admin.put("pools/web/runbook/", body)
    page = signed_in(make_user("anna", "admin"))
    assert 'value="7"' in page.get("/pools/web/runbook/edit/").content.decode()
    assert page.post("/pools/web/runbook/edit/", {"os_update": "-1"}).status_code == 422
    assert page.post("/pools/web/runbook/edit/", {"os_update": "", "backup": "0"}).status_code == 302
    assert RunbookEntry.objects.get(task="os_update").every_days is None
    events = AuditEvent.objects.filter(action="pools.set_runbook").order_by("seq")
    assert [(one.subject, one.reason) for one in events] == [("pool:web", "as agreed"), ("pool:web", "")]


@pytest.mark.parametrize("address", ["/pools/web/runbook/", "/"])
def test_the_queries_do_not_grow_with_the_nodes(web: Pool, address: str) -> None:
    page = signed_in(make_user("anna", "admin"))

    def count() -> int:
        """The least of three: what is kept for seconds runs out on a busy machine."""
        found = []
        for _ in range(3):
            with CaptureQueriesContext(connection) as caught:
                assert page.get(address).status_code == 200
            found.append(len(caught))
        return min(found)

    ended(web, "upgrade", "succeeded", when=at(-90))
    watch(NOW)
    before = count()
    for number in range(40):
        make_node(f"more-{number}", pool=web, update_state="update_available")
    for number in range(5):
        ended(web, "upgrade", *["succeeded", "failed"] * 20, when=at(-80 + number))
    watch(NOW)
    assert count() == before


def test_the_watch_asks_as_much_for_many_pools(web: Pool) -> None:
    watch(NOW)
    with CaptureQueriesContext(connection) as few:
        watch(NOW)
    for number in range(20):
        pool = make_pool(f"p{number}")
        make_node(f"n{number}", pool=pool, update_state="update_available")
    with CaptureQueriesContext(connection) as many:
        watch(NOW)
    assert len(many) == len(few) == 6
