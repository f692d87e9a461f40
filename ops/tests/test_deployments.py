"""Deployments of a cluster: another image, the revision before, and what is said while and after the rolling update goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput
from nodes.models import Node
from nodes.tests.api.client import Api
from nodes.tests.make import make_cluster, make_pool, make_user
from nodes.tests.pages import signed_in
from ops import registry
from ops.engine import claim_due, run_step, start_queued
from ops.kubernetes.deployments import Deployment, ReplicaSet, before, rollout
from ops.models import ApprovalRule, ClusterAccess, ClusterDeployment, LogLine, Operation
from ops.services import control
from ops.services.clusters.deployments import IMAGE, ROLLBACK, request_change
from ops.tests.kube import Kube, make_kube
from ops.wording import check_sentence, note_sentence, result_sentence, wait_sentence
from tests.kubeapps import Controller

pytestmark = pytest.mark.django_db
OLD, NEW, BAD = (f"registry.example/web:{tag}" for tag in ("1", "2", "broken"))
START = clock.now()


class Killed(BaseException):
    """The worker died."""


class Shop:
    """A cluster with one Deployment that has been rolled out, and an engine that is driven by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = START
        patch.setattr(clock, "now", lambda: self.now)
        patch.setattr(registry, "ask", lambda _reference: registry.Found("there", f"sha256:{'a' * 64}"))
        self.kube: Kube = make_kube(patch, make_cluster("prod"))
        self.api, self.cluster = self.kube.api, self.kube.cluster
        self.controller = Controller(self.api)
        self.cluster.add_deployment("web", OLD, replicas=3)
        self.settles()
        self.api.done.clear()
        self.look()

    def settles(self) -> None:
        for _ in range(12):
            self.controller.step()

    def look(self) -> None:
        self.kube.look(self.now)

    @property
    def row(self) -> ClusterDeployment:
        return ClusterDeployment.objects.select_related("access__cluster").get(name="web")

    def ask(self, kind: str = IMAGE, actor: Any = SYSTEM, **over: Any) -> Operation:
        params = {"container": "c", "image": NEW} if kind == IMAGE else {}
        told = {"reason": "release", "actor": actor, "now": self.now, **over}
        answer = request_change(row=self.row, kind=kind, params={**params, **told.pop("params", {})}, **told)
        self.operation = answer.operations[0]
        return self.operation

    def round(self) -> Operation:
        self.now += timedelta(seconds=4)
        start_queued(self.now)
        for operation, lease in claim_due(self.now):
            with suppress(Killed):
                run_step(operation, lease, self.now)
        self.operation.refresh_from_db()
        return self.operation

    def work(self, until: Callable[[Operation], bool] = lambda one: one.ended_at is not None) -> Operation:
        for _ in range(60):
            one = self.round()
            if until(one):
                return one
            self.controller.step()
            self.now = max([self.now, *filter(None, (one.lease_until, one.due_at))])
        raise AssertionError((one.state, one.step, one.wait_reason, one.wait_params, one.result))

    @property
    def image(self) -> str:
        spec: dict[str, Any] = self.cluster.deployment("web")["spec"]["template"]["spec"]
        return str(spec["containers"][0]["image"])


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(monkeypatch)


def said(one: Operation) -> str:
    return result_sentence(one.result, one.result_params)


def waits(one: Operation) -> str:
    return wait_sentence(one.wait_reason, one.wait_params)


def document(**over: Any) -> dict[str, Any]:
    status = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
    return {"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": {**status, **over}}


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({}, "done"),
        ({"observedGeneration": 1}, "unseen"),
        ({"updatedReplicas": 1}, "updating"),
        ({"replicas": 4}, "old_go"),
        ({"availableReplicas": 2}, "becoming_ready"),
        (
            {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
            "late",
        ),
        ({"observedGeneration": None, "replicas": "x", "conditions": "no"}, "unseen"),
    ],
)
def test_how_far_it_is_is_decided_as_kubectl_does(over: dict[str, Any], code: str) -> None:
    assert rollout(Deployment.read(document(**over))).code == code


def test_nothing_that_a_cluster_sends_breaks_the_reading() -> None:
    odds: tuple[dict[str, Any], ...] = (
        {},
        {"metadata": [], "spec": None, "status": 3},
        {"spec": {"template": {"spec": {"containers": ["x"]}}}},
    )
    for odd in odds:
        one = Deployment.read(odd)
        assert (one.images, before(one, [ReplicaSet.read(odd)])) == ({}, None)


def test_a_look_stores_what_is_there_and_forgets_what_went(shop: Shop) -> None:
    row = shop.row
    assert (row.images, row.revision, row.wanted, row.available, row.rollout) == ({"c": OLD}, 1, 3, 3, "done")
    shop.cluster.add_deployment("api", "registry.example/api:1", replicas=0)
    shop.look()
    assert ClusterDeployment.objects.count() == 2
    shop.cluster.call("DELETE", "/apis/apps/v1/namespaces/shop/deployments/api")
    shop.look()
    assert ClusterDeployment.objects.get() == row
    # Without the right the rest of the cluster is read as before.
    shop.api.denied.add("list deployments.apps")
    shop.look()
    access = ClusterAccess.objects.get()
    assert (access.state, access.missing) == ("good", ["list deployments.apps"])
    assert not ClusterDeployment.objects.exists()


def test_another_image_is_rolled_out_and_followed_to_the_end(shop: Shop) -> None:
    one = shop.ask()
    assert (one.node_id, one.pool_id, one.cluster_name, one.node_name) == (None, None, "prod", "shop/web")
    assert one.plan["target"]["registry"]["digest"] == f"sha256:{'a' * 64}"
    one = shop.work(lambda one: one.wait_reason == "rollout_updating")
    assert "of 3 pods of shop/web are new" in waits(one)
    one = shop.work()
    assert (one.state, said(one)) == ("succeeded", f"shop/web runs c={NEW}: all 3 pods are new and available.")
    assert (shop.image, shop.api.done) == (NEW, ["patch web"])
    assert shop.cluster.deployment("web")["metadata"]["annotations"]["fleetui.io/changed-by"] == one.pk.hex
    (effect,) = AuditEvent.objects.filter(action="operations.effect")
    assert json.loads(effect.after)["command"] == ["kubernetes", "set", "image", "shop/web", f"c={NEW}"]
    assert f"shop/web is now set to run c={NEW}." in [
        note_sentence(line.text, line.params) for line in LogLine.objects.filter(operation=one, stream="note")
    ]
    shop.ask()
    assert said(shop.work()) == f"Nothing to do: shop/web is set to run {NEW} already."


def test_it_goes_back_to_the_revision_before_as_rollout_undo_does(shop: Shop) -> None:
    shop.ask()
    shop.work()
    one = shop.ask(ROLLBACK)
    one = shop.work()
    assert one.state == "succeeded", said(one)
    assert shop.image == OLD
    found = shop.cluster.deployment("web")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert "pod-template-hash" not in found["spec"]["template"]["metadata"]["labels"]
    shop.ask(ROLLBACK)
    shop.work()
    assert shop.image == NEW


def test_what_never_starts_is_named_while_it_goes_on_and_when_its_deadline_passed(shop: Shop) -> None:
    shop.controller.absent.add(BAD)
    shop.ask(params={"image": BAD})
    one = shop.work(lambda one: one.wait_reason == "rollout_updating" and bool(one.wait_params["said"]))
    assert f'ImagePullBackOff: Back-off pulling image "{BAD}"' in waits(one)
    shop.controller.late.add("shop/web")
    one = shop.work()
    assert (one.state, one.result) == ("failed", "rollout_late")
    assert "1 of 3 pods are new, 3 old and new ones are available. ImagePullBackOff" in said(one)
    shop.controller.late.clear()
    shop.ask(ROLLBACK)
    assert shop.work().state == "succeeded"
    assert shop.image == OLD


def test_a_cancel_says_that_the_cluster_goes_on(shop: Shop) -> None:
    shop.controller.absent.add(BAD)
    shop.ask(params={"image": BAD})
    shop.work(lambda one: one.wait_reason == "rollout_updating")
    control.cancel(operation=shop.operation, actor=SYSTEM, now=shop.now)
    one = shop.work()
    assert one.state == "cancelled"
    assert "The rolling update of shop/web was begun, and goes on in the cluster" in said(one)
    assert shop.image == BAD


def test_somebody_else_who_changes_or_pauses_it_is_said(shop: Shop) -> None:
    shop.ask()
    shop.work(lambda one: one.wait_reason == "rollout_updating")
    containers = [{"name": "c", "image": "registry.example/web:3"}]
    shop.cluster.patch_deployment("web", {"spec": {"template": {"spec": {"containers": containers}}}})
    one = shop.work()
    assert (one.state, one.result) == ("failed", "rollout_superseded")
    assert "it is set to run c=registry.example/web:3 now" in said(one)
    shop.settles()
    shop.ask()
    shop.work(lambda one: one.wait_reason == "rollout_updating")
    shop.cluster.patch_deployment("web", {"spec": {"paused": True}})
    assert shop.work().result == "rollout_was_paused"
    # Paused from the start nothing is changed.
    shop.ask(ROLLBACK)
    one = shop.work()
    assert "are paused" in said(one)
    assert shop.image == NEW


def test_a_worker_that_dies_after_the_patch_does_not_patch_again(shop: Shop) -> None:
    def dies(method: str, _path: str) -> None:
        if method == "PATCH":
            shop.kube.transport.after = lambda _method, _path: None
            raise Killed

    shop.kube.transport.after = dies
    shop.ask()
    assert shop.work().state == "succeeded"
    assert (shop.api.done, shop.image) == (["patch web"], NEW)


def test_a_change_at_the_same_moment_is_met_with_another_look(shop: Shop) -> None:
    def interferes(method: str, _path: str) -> None:
        if method == "PATCH":
            shop.kube.transport.before = lambda _method, _path: None
            shop.cluster.patch_deployment("web", {"spec": {"replicas": 2}})

    shop.kube.transport.before = interferes
    shop.ask()
    one = shop.work()
    assert (one.state, one.result_params["wanted"]) == ("succeeded", 2)


def test_where_it_goes_back_to_is_told_once_however_often_others_write(shop: Shop) -> None:
    shop.ask()
    shop.work()
    replicas = iter((4, 5, 6))

    def interferes(method: str, _path: str) -> None:
        if method == "PATCH" and (count := next(replicas, None)):
            shop.cluster.patch_deployment("web", {"spec": {"replicas": count}})

    shop.kube.transport.before = interferes
    one = shop.ask(ROLLBACK)
    assert (shop.work().state, shop.image) == ("succeeded", OLD)
    assert next(replicas, None) is None
    assert LogLine.objects.filter(operation=one, text="goes_back_to").count() == 1


def test_one_that_was_deleted_and_made_anew_is_another_one(shop: Shop) -> None:
    shop.ask()
    shop.cluster.call("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web")
    shop.cluster.add_deployment("web", OLD)
    one = shop.work()
    assert (one.state, one.result, shop.image) == ("failed", "cluster_refused", OLD)
    assert said(one).startswith("shop/web was deleted in the cluster. ")


def test_one_that_is_deleted_while_it_is_followed_is_said(shop: Shop) -> None:
    shop.ask()
    shop.work(lambda one: one.wait_reason == "rollout_updating")
    shop.cluster.call("DELETE", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert said(shop.work()).startswith("shop/web was deleted in the cluster. ")


def test_rights_that_are_missing_and_an_access_that_is_gone_stop_it(shop: Shop) -> None:
    shop.api.denied.add("patch deployments.apps")
    shop.ask()
    one = shop.work()
    assert [check_sentence(check["code"], check["params"]) for check in one.result_params["checks"]]
    assert "patch deployments.apps" in said(one)
    shop.api.denied.clear()
    shop.ask()
    ClusterAccess.objects.all().delete()
    assert shop.work().result == "cluster_refused"


def test_a_registry_without_the_image_refuses_it_and_one_at_a_time_is_changed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "ask", lambda _reference: registry.Found("absent"))
    with pytest.raises(InvalidInput, match="The registry has no"):
        shop.ask()
    assert not Operation.objects.exists()
    monkeypatch.setattr(registry, "ask", lambda _reference: registry.Found("unknown", said="it asks for a sign-in"))
    shop.ask()
    with pytest.raises(Conflict, match="under way"):
        shop.ask(ROLLBACK)
    with pytest.raises(InvalidInput, match="no container"):
        shop.ask(params={"container": "sidecar"})


def test_an_approval_rule_holds_for_it(shop: Shop) -> None:
    ApprovalRule.objects.create(kind=IMAGE, approvers=1, set_by="user:a")
    one = shop.ask()
    assert shop.round().state == "awaiting_approval"
    boss = Api(make_user("boss", "admin"))
    assert boss.post(f"operations/{one.pk}/approve/", {}).status_code == 200
    assert shop.work().state == "succeeded"


def address(client: Client, name: str = "web") -> str:
    return f"/clusters/prod/deployments/shop/{name}/"


def test_the_pages_show_and_change_it(shop: Shop) -> None:
    page = signed_in(make_user("anna", "admin"))
    cluster = page.get("/clusters/prod/").content.decode()
    assert OLD in cluster
    assert address(page) in cluster
    form = page.get(address(page)).content.decode()
    assert 'value="c"' in form
    assert "Roll back" in form
    wrong = page.post(address(page), {"do": "image", "container": "c", "image": "web"})
    assert wrong.status_code == 422
    sent = page.post(address(page), {"do": "image", "container": "c", "image": NEW, "reason": "x"})
    one = shop.operation = Operation.objects.get()
    assert sent["Location"] == f"/operations/{one.pk}/"
    shop.work()
    shown = page.get(sent["Location"]).content.decode()
    assert f"shop/web runs c={NEW}" in shown
    assert page.get("/operations/").status_code == 200
    back = page.post(address(page), {"do": "rollback"})
    assert back.status_code == 302
    assert Operation.objects.filter(kind=ROLLBACK).count() == 1
    assert page.get(address(page, "none")).status_code == 404


def test_the_api_lists_and_changes_it_for_those_who_may_everywhere(shop: Shop) -> None:
    pool = make_pool("web", cluster=shop.kube.row)
    admin, mine = Api(make_user("anna", "admin")), Api(make_user("webadmin", ("admin", pool)))
    (found,) = admin.get("clusters/prod/deployments/").json()["results"]
    assert (found["namespace"], found["name"], found["images"]) == ("shop", "web", {"c": OLD})
    assert mine.get("clusters/prod/deployments/").json()["results"] == []
    place = "clusters/prod/deployments/shop/web"
    assert mine.post(f"{place}/image/", {"container": "c", "image": NEW}).status_code == 404
    viewer = Api(make_user("vera", "viewer"))
    assert viewer.post(f"{place}/image/", {"container": "c", "image": NEW}).status_code == 403
    plan = admin.post(f"{place}/image/", {"container": "c", "image": NEW, "dry_run": True}).json()
    assert plan["target"]["registry"]["state"] == "there"
    refused = admin.post(f"{place}/image/", {"container": "c", "image": "web"})
    assert (refused.status_code, refused.json()["field"]) == (400, "image")
    key = {"idempotency_key": "k1"}
    made = admin.post(f"{place}/image/", {"container": "c", "image": NEW}, **key)
    again = admin.post(f"{place}/image/", {"container": "c", "image": NEW}, **key)
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json() == again.json()
    assert Operation.objects.count() == 1
    assert admin.post(f"{place}/rollback/", {}).status_code == 409
    assert not Node.objects.exists()
