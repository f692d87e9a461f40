"""Draining a node of a cluster: what is refused before, what is waited for, how it ends, and whose cordon is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import InvalidInput
from nodes.models import Node
from nodes.tests.make import make_user
from nodes.tests.pages import signed_in
from ops.kubernetes import ClusterError
from ops.models import ClusterAccess, Cordon, LogLine, Operation
from ops.services import control
from ops.services.plan import NodePlan
from ops.services.request import checked_params, preview
from ops.tests.kube import Kube
from ops.tests.test_engine_kills import Run
from ops.wording import check_sentence, note_sentence, refusal_sentence, result_sentence, wait_sentence

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a run of a kind on a node of the shop's cluster; closes its loop afterwards."""
    made: list[Run] = []

    def run(kind: str = "drain", **params: Any) -> Run:
        made.append(Run(kind, monkeypatch, in_cluster=True, **params))
        return made[-1]

    yield run
    for one in made:
        one.machine.loop.close()


def kube_of(run: Run) -> Kube:
    assert run.kube
    return run.kube


def held(run: Run) -> None:
    """The ReplicaSet makes no new pods: the budget lets one go, and then none."""
    kube_of(run).makes_new = False
    kube_of(run).cluster.end("web-2")
    kube_of(run).api.poddisruptionbudgets["shop/web"]["spec"]["minAvailable"] = 1


def until(run: Run, reason: str) -> Operation:
    """Let it go on until it waits for that."""
    for _round in range(60):
        run.rounds(1)
        if run.operation.wait_reason == reason or run.operation.ended_at:
            break
    assert run.operation.wait_reason == reason, (run.operation.state, run.operation.result, run.operation.result_params)
    return run.operation


def log_of(run: Run) -> list[str]:
    lines = LogLine.objects.filter(operation=run.operation, stream="note").order_by("seq")
    return [note_sentence(line.text, line.params) for line in lines]


def effects() -> list[list[str]]:
    """What was recorded as done to the cluster, in order."""
    events = AuditEvent.objects.filter(action="operations.effect").order_by("seq").values_list("after", flat=True)
    return [json.loads(event)["command"] for event in events]


def said(run: Run) -> str:
    return result_sentence(run.operation.result, run.operation.result_params)


def checks_of(plan: NodePlan) -> str:
    return " ".join(check_sentence(one.code, one.params) for one in plan.checks)


def test_a_drain_evicts_by_the_budget_and_leaves_the_node_cordoned(runs: Any) -> None:
    run = runs()
    run.rounds()
    run.check("whole")
    assert run.operation.state == "succeeded"
    assert said(run) == "Drained: 2 pods went. The node stays cordoned until it is uncordoned here."
    changes = [one for one in kube_of(run).api.done if not one.startswith("delete shop/web")]
    assert changes == ["cordon n1", "evict shop/web-0", "evict shop/web-1"]
    assert "Evicted shop/web-0." in log_of(run)
    assert effects() == [
        ["kubernetes", "cordon", "n1"],
        ["kubernetes", "evict", "shop/web-0"],
        ["kubernetes", "evict", "shop/web-1"],
    ]
    # What was drained stays so until an uncordon is asked for.
    run.ask("uncordon")
    run.rounds()
    assert (run.operation.state, said(run)) == ("succeeded", "n1 takes new pods again.")
    assert not kube_of(run).cluster.is_cordoned("n1")
    assert not Cordon.objects.exists()


def test_a_budget_that_holds_is_named_with_the_pod_and_its_limit_is_kept(runs: Any) -> None:
    run = runs(drain_limit_s=60)
    held(run)
    operation = until(run, "budget_holds")
    sentence = wait_sentence(operation.wait_reason, operation.wait_params)
    assert "The disruption budget shop/web does not let shop/web-1 go" in sentence
    assert "web needs 1 healthy pods and has 1 currently" in sentence
    assert kube_of(run).cluster.is_cordoned("n1")
    run.rounds()
    assert operation.pk == run.operation.pk
    run.operation.refresh_from_db()
    assert (run.operation.state, run.operation.result) == ("failed", "drain_late")
    assert said(run).endswith(
        "1 pod is still there (budget shop/web): shop/web-1. Nothing further was done, and the cordon is taken back. "
        "See what keeps these pods, then ask again."
    )
    assert run.left_behind() == []
    # Asking is no change: it was told once for each pod, however often the API was asked.
    assert [words[1] for words in effects()] == ["cordon", "evict", "uncordon"]


def test_a_limit_may_end_with_force(runs: Any) -> None:
    run = runs(drain_limit_s=60, drain_ending="force")
    held(run)
    run.rounds()
    assert (run.operation.state, run.operation.result) == ("succeeded", "node_drained")
    assert "delete shop/web-1" in kube_of(run).api.done
    assert "evict shop/web-1" not in kube_of(run).api.done


def test_a_limit_may_end_with_a_question(runs: Any) -> None:
    run = runs(drain_limit_s=60, drain_ending="ask")
    held(run)
    run.rounds()
    assert (run.operation.state, run.operation.result) == ("needs_attention", "drain_late")
    assert kube_of(run).cluster.is_cordoned("n1")
    assert said(run).endswith(
        "The node stays cordoned. Go on gives its pods as much time again; End as failed takes back the cordon."
    )
    kube_of(run).cluster.delete_budget("web")
    control.resolve(operation=run.operation, go_on=True, actor=SYSTEM, now=run.now)
    run.operation.refresh_from_db()
    run.rounds()
    assert (run.operation.state, run.operation.result) == ("succeeded", "node_drained")


def test_ended_by_a_person_it_uncordons(runs: Any) -> None:
    run = runs(drain_limit_s=60, drain_ending="ask")
    held(run)
    run.rounds()
    control.resolve(operation=run.operation, go_on=False, actor=SYSTEM, now=run.now)
    run.operation.refresh_from_db()
    run.rounds()
    assert run.operation.state == "failed"
    assert run.left_behind() == []


def test_a_cancel_and_a_deadline_uncordon(runs: Any) -> None:
    run = runs()
    held(run)
    until(run, "budget_holds")
    run.cancel()
    run.rounds()
    assert (run.operation.state, run.left_behind()) == ("cancelled", [])
    assert "Uncordoned n1." in log_of(run)
    run = runs(drain_limit_s=86_400)
    held(run)
    until(run, "budget_holds")
    run.now += timedelta(hours=5)
    run.rounds()
    assert (run.operation.state, run.left_behind()) == ("timed_out", [])


@pytest.mark.parametrize("ends_well", [True, False])
def test_what_others_cordoned_stays_so(runs: Any, ends_well: bool) -> None:
    run = runs("reboot", soak_s=0, drain_limit_s=60)
    kube_of(run).cluster.cordon("n1")
    if not ends_well:
        held(run)
    run.rounds()
    assert run.operation.state == ("succeeded" if ends_well else "failed")
    assert run.machine.reboots == ends_well
    assert kube_of(run).cluster.is_cordoned("n1")
    assert not Cordon.objects.exists()
    assert any("Somebody else had cordoned n1" in line for line in log_of(run))


def test_what_would_be_lost_is_named_before_anything_changes(runs: Any) -> None:
    run = runs()
    cluster = kube_of(run).cluster
    cluster.add_pod("n1", "cache", emptydir=True)
    cluster.add_pod("n1", "bare", owner="")
    cluster.add_pod("n1", "static", owner="", mirror=True)
    run.rounds()
    assert (run.operation.state, run.operation.result) == ("failed", "preflight")
    assert "1 pod keeps data in an emptyDir volume, which would be lost: shop/cache." in said(run)
    assert "1 pod has no controller that would start it elsewhere: shop/bare." in said(run)
    assert kube_of(run).api.done == []
    run.ask("drain", delete_emptydir=True, delete_unmanaged=True)
    run.rounds()
    assert run.operation.state == "succeeded"
    assert cluster.names("n1") == ["ds", "static"]


def test_a_budget_that_never_allows_and_missing_rights_are_found_before(runs: Any) -> None:
    run = runs()
    kube = kube_of(run)
    kube.api.poddisruptionbudgets["shop/web"]["spec"]["minAvailable"] = 3
    kube.api.denied = {"create pods/eviction", "delete pods"}
    run.rounds()
    assert kube.api.done == []
    assert (
        "The disruption budget shop/web never lets shop/web-0 go: it needs 3 pods well, which is all of them."
        in said(run)
    )
    assert "FleetUI lacks rights in its cluster: create pods/eviction." in said(run)
    kube.cluster.set_budget("second", "web", min_available=0)
    kube.api.denied = set()
    run.ask("drain")
    run.rounds()
    assert "2 pods have more than one disruption budget" in said(run)


def test_a_silent_api_is_waited_for_and_a_refusal_ends_it(runs: Any) -> None:
    run = runs()
    kube = kube_of(run)
    until(run, "evicts")
    works = kube.transport.before

    def away(_method: str, _path: str) -> None:
        raise ClusterError("server_error", status=503, said="etcd is away")

    kube.transport.before = away
    operation = until(run, "cluster_silent")
    assert "The API itself failed (503): etcd is away" in wait_sentence(operation.wait_reason, operation.wait_params)
    run.cancel()
    run.rounds()
    # It cannot be uncordoned: that is a person's matter, and the next look's.
    assert (run.operation.state, run.operation.result) == ("needs_attention", "not_uncordoned")
    control.resolve(operation=run.operation, go_on=False, actor=SYSTEM, now=run.now)
    run.operation.refresh_from_db()
    run.rounds()
    assert run.operation.state == "failed"
    assert Cordon.objects.filter(is_kept=False).exists()
    kube.transport.before = works
    assert run.left_behind() == []


def test_a_refused_eviction_fails_and_uncordons(runs: Any) -> None:
    run = runs()
    kube = kube_of(run)
    until(run, "evicts")
    kube.api.denied = {"create pods/eviction"}
    run.rounds()
    assert (run.operation.state, run.operation.result) == ("failed", "cluster_refused")
    assert "cannot create" in said(run)
    assert run.left_behind() == []


def test_a_node_that_was_replaced_meanwhile_is_uncordoned_by_the_next_look(runs: Any) -> None:
    run = runs()
    held(run)
    until(run, "budget_holds")
    Node.objects.filter(pk=run.node.pk).update(generation=2)
    run.rounds()
    assert run.operation.state == "void"
    assert run.left_behind() == []


# Before a restart


def test_a_reboot_drains_first_and_uncordons_when_the_cluster_says_ready(runs: Any) -> None:
    run = runs("reboot", soak_s=0)
    kube = kube_of(run)
    stuck: list[str] = []
    boots = kube.cluster.set_status

    def late(name: str, **given: Any) -> None:
        # The kubelet registers some looks after the restart: until then the API repeats what it knew before.
        if run.machine.reboots and len(stuck) < 3:
            stuck.append(run.operation.wait_reason)
            return
        boots(name, **given)

    kube.cluster.set_status = late  # type: ignore[method-assign]
    seen = []
    for _round in range(60):
        run.rounds(1)
        seen.append((run.operation.wait_reason, run.operation.wait_params))
        if run.operation.ended_at:
            break
    run.check("whole")
    assert run.operation.state == "succeeded"
    waits = [wait_sentence(reason, params) for reason, params in seen if reason == "not_healthy_yet"]
    assert any("The cluster still speaks of n1 as it was before the restart." in one for one in waits)
    steps = list(run.operation.steps.order_by("number", "attempt").values_list("name", flat=True))
    assert steps == ["preflight", "cordon", "drain", "reboot", "await_boot", "settle", "soak", "tidy"]
    assert run.left_behind() == []


def test_it_is_not_uncordoned_while_not_ready_and_says_so_at_the_end(runs: Any) -> None:
    run = runs("reboot", soak_s=0)
    boots = kube_of(run).cluster.set_status

    def never(name: str, **given: Any) -> None:
        boots(name, **{**given, "ready": "False" if run.machine.reboots else "True"})

    kube_of(run).cluster.set_status = never  # type: ignore[method-assign]
    run.rounds()
    assert (run.operation.state, run.operation.result) == ("failed", "unhealthy")
    assert "The cluster does not count n1 as ready." in said(run)
    assert run.left_behind() == []


def test_draining_may_be_left_out_and_the_plan_says_so(runs: Any) -> None:
    run = runs("reboot", soak_s=0, drain=False)
    assert [one["code"] for one in run.operation.plan["checks"] if one["code"] == "not_drained"]
    run.rounds()
    assert run.operation.state == "succeeded"
    assert kube_of(run).api.done == []
    kube_of(run).look(run.now)
    (plan,) = run.plan("upgrade")
    assert "It is drained first, and uncordoned afterwards: in shop it is n1." in checks_of(plan)
    assert "2 pods go, 1 stay" in checks_of(plan)
    assert plan.as_json()["cluster"]["name"] == "n1"
    (plan,) = run.plan("upgrade", drain=False)
    assert "cluster" not in plan.as_json()


def test_a_plan_without_the_cluster_says_why(runs: Any) -> None:
    run = runs("refresh")
    run.rounds()
    kube_of(run).api.nodes.pop("n1")
    kube_of(run).look(run.now)
    (plan,) = run.plan("drain")
    assert refusal_sentence(plan.refused, plan.params).startswith("No node of shop is this one")
    (plan,) = run.plan("reboot")
    assert "No node of shop is this one, so it is not drained" in checks_of(plan)
    ClusterAccess.objects.all().delete()
    (plan,) = run.plan("drain")
    assert "give it on the page of the cluster" in refusal_sentence(plan.refused, plan.params)
    (plan,) = run.plan("reboot")
    assert "drained" not in checks_of(plan)
    (plan,) = run.plan("reboot", drain=True)
    assert "FleetUI has no access to the API of shop, so it is not drained." in checks_of(plan)


def test_a_plan_costs_the_same_for_one_node_and_for_many(runs: Any) -> None:
    run = runs("refresh")
    run.rounds()

    def cost(nodes: list[Node]) -> int:
        with CaptureQueriesContext(connection) as queries:
            preview(nodes=nodes, kind="reboot", params={}, actor=SYSTEM, now=run.now)
        return len(queries)

    one = list(Node.objects.select_related("pool__cluster"))
    few = cost(one)
    for number in range(9):
        Node.objects.create(name=f"more-{number}", address="127.0.0.2", pool=run.node.pool)
    assert cost(list(Node.objects.select_related("pool__cluster"))) == few


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"drain_limit_s": 5}, "drain_limit_s"),
        ({"drain_limit_s": True}, "drain_limit_s"),
        ({"grace_s": -1}, "grace_s"),
        ({"drain_ending": "hope"}, "drain_ending"),
        ({"delete_emptydir": "yes"}, "delete_emptydir"),
        ({"soak_s": 5}, "soak_s"),
    ],
)
def test_params_are_checked(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_params("drain", params)
    assert refused.value.field == f"params.{field}"
    assert refused.value.mend
    assert "%(" not in refused.value.message + refused.value.mend


def test_the_form_offers_draining_where_a_cluster_knows_the_node(runs: Any) -> None:
    run = runs("refresh")
    run.rounds()
    client = signed_in(make_user("anna", "admin"))
    known = {"kind": "reboot", "ids": str(run.node.pk), "again": "1", "hours": "4", "soak_s": "0"}
    page = client.post("/operations/-/plan/", {**known, "drain": "on", "drain_limit_s": "900", "drain_ending": "skip"})
    html = page.content.decode()
    assert "Drain it first, and uncordon it afterwards" in html
    assert "in shop it is n1" in html
    assert "It is not drained first, as asked for" in client.post("/operations/-/plan/", known).content.decode()
    gone = {**known, "go": "1", "drain": "on", "grace_s": "0", "drain_ending": "ask", "reason": "x"}
    client.post("/operations/-/plan/", gone)
    operation = Operation.objects.exclude(kind="refresh").get()
    assert operation.params == {"soak_s": 0, "grace_s": 0, "drain_ending": "ask"}
    ClusterAccess.objects.all().delete()
    assert "Drain it first" not in client.post("/operations/-/plan/", known).content.decode()
