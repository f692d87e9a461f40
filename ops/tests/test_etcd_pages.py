"""The members of etcd on the pages and in the API: asked now for a plan, and as an operation saw them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client

from fleetui.access.models import RoleBinding
from fleetui.core.errors import NotAllowed
from nodes.hosts.errors import ConnectionRefused
from nodes.models import Cluster, Node, Pool
from nodes.tests.make import make_node, make_user, principal
from nodes.tests.pages import signed_in
from ops.models import Operation, PoolProvisioner, Provisioner
from ops.services.replacing import planes as service
from ops.services.replacing.policies import set_policy
from ops.tests.planes import OfPlanes, Told, plane_facts

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


class Site:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told = told = Told()
        self.run = OfPlanes(monkeypatch, told, joins=told.join)
        names = {node.pk: node.name for node in Node.objects.all()}

        @contextmanager
        def connected(target: Any, **_options: Any) -> Iterator[Any]:
            name = names[target.node_id]
            if name in told.down:
                raise ConnectionRefused(name, 22)

            class Connection:
                def run(self, argv: Any, **_options: Any) -> Any:
                    return _Result(*told.run(name, argv))

            yield Connection()

        monkeypatch.setattr(service, "connected", connected)


class _Result:
    def __init__(self, status: int, out: bytes, err: bytes) -> None:
        self.exit_status, self.stdout, self.stderr = status, out, err


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


def test_the_members_are_asked_now(site: Site) -> None:
    client = signed_in(make_user("boss", "admin"))
    page = client.get("/nodes/n1/etcd/").content.decode()
    assert "The member n1 (a1) is removed from etcd by n2. That leaves 2 members with a vote (healthy: 2)" in page
    assert page.count("is removed</span>") == 1
    site.told.turns("n3", is_healthy=False)
    found = client.get("/api/v1/nodes/n1/etcd/").json()
    assert (found["removes"]["id"], found["asked"], found["kind"]) == ("a1", "n2", "stacked")
    assert found["before"] == {"voters": 3, "healthy": 2, "needed": 2, "spare": 0}
    assert [(one["code"], one["level"]) for one in found["checks"]] == [("etcd_quorum_lost", "block")]
    assert "and 1 of them healthy: a quorum needs 2. Mend first: n3." in found["checks"][0]["sentence"]
    site.told.down |= {"n2", "n3"}
    found = client.get("/api/v1/nodes/n1/etcd/").json()
    assert (found["members"], found["checks"][0]["code"]) == ([], "etcd_unread")


def test_few_wait_for_hosts_at_once(site: Site) -> None:
    client = signed_in(make_user("boss", "admin"))
    for _one in range(service.LOOKS_AT_ONCE):
        assert service._looks.acquire(blocking=False)
    try:
        assert "Others are asking control planes" in client.get("/nodes/n1/etcd/").content.decode()
        assert client.get("/api/v1/nodes/n1/etcd/").status_code == 409
    finally:
        for _one in range(service.LOOKS_AT_ONCE):
            service._looks.release()
    assert client.get("/api/v1/nodes/n1/etcd/").status_code == 200


def test_only_who_may_ask_for_it_has_hosts_asked(site: Site) -> None:
    viewer = signed_in(make_user("eve", "viewer"))
    assert viewer.get("/nodes/n1/etcd/").status_code == 403
    assert viewer.get("/api/v1/nodes/n1/etcd/").status_code == 403
    assert Client().get("/api/v1/nodes/n1/etcd/").status_code == 401
    boss = signed_in(make_user("boss", "admin"))
    make_node("web-9")
    assert boss.get("/nodes/web-9/etcd/").status_code == 404
    assert boss.get("/api/v1/nodes/web-9/etcd/").status_code == 404
    assert RoleBinding.objects.count() == 2


def in_two_pools() -> tuple[Pool, Pool]:
    """n1 has a pool of its own now; it and that of the others are of one cluster."""
    cluster = Cluster.objects.create(name="prod")
    own = Pool.objects.create(name="cp-a", cluster=cluster)
    Pool.objects.exclude(pk=own.pk).update(cluster=cluster)
    pool = Pool.objects.get(name="web")
    Pool.objects.filter(pk=own.pk).update(intended_version=pool.intended_version)
    PoolProvisioner.objects.create(pool=own, provisioner=Provisioner.objects.get())
    Node.objects.filter(name="n1").update(pool=own)
    return own, pool


def test_who_may_not_reach_the_others_neither_sees_nor_removes_them(site: Site) -> None:
    """Its own pool is not enough: one of another pool would remove the member, and lose a vote beside it."""
    own, pool = in_two_pools()
    user = make_user("ann", ("admin", own))
    Operation.objects.update(state="cancelled", ended_at=site.run.now)
    ann, boss = signed_in(user), signed_in(make_user("boss", "admin"))
    for path, status in (("/nodes/n1/etcd/", 403), ("/api/v1/nodes/n1/etcd/", 403)):
        answer = ann.get(path)
        assert answer.status_code == status
        assert "n2" not in answer.content.decode()
        assert boss.get(path).status_code == 200
    body = {"kind": "replace", "nodes": ["n1"], "reason": "x", "dry_run": True}
    (refused,) = ann.post("/api/v1/operations/", body, "application/json").json()["refused"]
    assert "one of them would remove its etcd member" in str(refused)
    assert "n2" not in str(refused)
    with pytest.raises(NotAllowed):
        set_policy(pool=own, after_minutes=30, reason="x", actor=principal(user), now=site.run.now)
    RoleBinding.objects.create(user=user, role="operator", pool=pool)
    assert signed_in(user).get("/api/v1/nodes/n1/etcd/").status_code == 200


def test_who_may_not_reach_the_others_ends_it_but_does_not_let_it_go_on(site: Site) -> None:
    """The next step may remove the member; an end removes nothing."""
    own, pool = in_two_pools()
    user = make_user("ann", ("operator", own))
    row = site.run.operation
    Operation.objects.filter(pk=row.pk).update(pool=own, state="needs_attention", step="leave_etcd")
    ann, path = signed_in(user), f"/api/v1/operations/{row.pk}/"
    assert ann.post(f"{path}go-on/", {"reason": "x"}, "application/json").status_code == 403
    page = ann.get(f"/operations/{row.pk}/").content.decode()
    assert ('name="go_on"' in page, "End as failed" in page) == (False, True)
    ann.post(f"/operations/{row.pk}/resolve/", {"go_on": "1"})
    row.refresh_from_db()
    assert row.state == "needs_attention"
    assert ann.post(f"{path}resolve/", {"reason": "x"}, "application/json").status_code == 200
    Operation.objects.filter(pk=row.pk).update(state="needs_attention")
    RoleBinding.objects.create(user=user, role="operator", pool=pool)
    assert 'name="go_on"' in ann.get(f"/operations/{row.pk}/").content.decode()
    assert ann.post(f"{path}go-on/", {"reason": "x"}, "application/json").status_code == 200


def test_the_plan_and_the_operation_show_them(site: Site) -> None:
    client, run = signed_in(make_user("boss", "admin")), site.run
    path = f"/operations/{run.operation.pk}/"
    page = client.get(path).content.decode()
    assert 'hx-get="/nodes/n1/etcd/"' in page
    assert "asks over SSH what etcd consists of (n2, n3)" in page
    run.rounds(until="member_leaves")
    page = client.get(path).content.decode()
    assert 'hx-get="/nodes/n1/etcd/"' not in page
    assert "Members of etcd" in page
    assert page.count("is removed</span>") == 1
    run.rounds()
    run.check()
    page = client.get(path).content.decode()
    assert (page.count("was removed</span>"), page.count('"ui-tag">the new one</span>')) == (1, 1)
    assert "on the host n2: <code>sudo -n sh -c … fleetui-etcd-remove a1 https://10.0.0.1:2380</code>" in page
    seen = client.get(f"/api/v1/operations/{run.operation.pk}/machine/").json()["etcd"]
    assert (seen["removes"]["id"], seen["removed"], seen["joined"]) == ("a1", True, "a4")
    plane_facts(run.node, "10.0.0.4", run.now)
    form = {"kind": "replace", "ids": str(run.node.pk), "again": "1", "hours": "4"}
    plan = client.post("/operations/-/plan/", form)
    assert 'hx-get="/nodes/n1/etcd/"' in plan.content.decode()
