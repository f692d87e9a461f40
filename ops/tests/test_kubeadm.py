"""Renewals by kubeadm on one simulated control-plane node: what is restarted, what is proved, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from fleetui.core.errors import InvalidInput
from nodes.models import Certificate, CertificateSource
from nodes.tests.make import make_facts, make_node, make_user
from nodes.tests.pages import signed_in
from ops.actions.kubeadm import ready_to_renew
from ops.services.request import checked_params
from ops.tests.test_engine_kills import Run
from ops.wording import check_sentence, result_sentence
from simfleet.answers import kubeadm
from simfleet.answers.certificates import PKI, files
from simfleet.model import HostPlan

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: list[Run] = []

    def run(**params: Any) -> Run:
        made.append(Run("kubeadm_renew", monkeypatch, **params))
        return made[-1]

    yield run
    for one in made:
        one.machine.loop.close()


def on_host(run: Run) -> dict[str, str]:
    return {path: text for _label, path, text in files(run.machine.host, run.machine.now())}


def said(run: Run) -> str:
    return result_sentence(run.operation.result, run.operation.result_params)


def refused(run: Run) -> list[str]:
    checks: list[Mapping[str, Any]] = run.operation.result_params["checks"]
    return [check_sentence(one["code"], one["params"]) for one in checks]


def until(run: Run, step: str) -> None:
    for _round in range(60):
        if run.operation.step == step:
            return
        run.rounds(1)
    raise AssertionError(run.operation.step)


def test_all_are_renewed_and_every_pod_runs_with_its_new_one(runs: Any) -> None:
    run = runs(certificate="all")
    CertificateSource.objects.create(kind="host", node=run.node, due_at=run.now + timedelta(days=9))
    old = on_host(run)
    assert run.rounds().state == "succeeded", run.operation.result_params
    new = on_host(run)
    assert {path for path in old if old[path] != new[path]} == {path for path in old if not path.endswith("ca.crt")}
    assert said(run).startswith("8 certificates were renewed, hold until ")
    assert said(run).endswith("in use by etcd, kube-apiserver, kube-controller-manager, kube-scheduler.")
    assert {pod: run.machine.host.starts[pod] for pod in kubeadm.PODS} == dict.fromkeys(kubeadm.PODS, 1)
    assert run.machine.left_behind() == []
    assert CertificateSource.objects.get().due_at <= run.now


def test_one_alone_restarts_what_holds_it(runs: Any) -> None:
    run = runs(certificate="front-proxy-client")
    old = on_host(run)
    assert run.rounds().state == "succeeded"
    new = on_host(run)
    assert [path for path in old if old[path] != new[path]] == [f"{PKI}front-proxy-client.crt"]
    assert run.machine.host.starts.get("kube-apiserver") == 1
    assert "etcd" not in run.machine.host.starts


def test_a_pod_that_serves_the_old_one_is_told(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs(certificate="apiserver")
    run.rounds(1)
    old = on_host(run)[f"{PKI}apiserver.crt"]
    until(run, "see_pods")
    run.machine.host.runs["kube-apiserver"] = old
    assert run.rounds(2).wait_reason == "pods_serve_old"
    assert run.rounds().state == "failed"
    assert said(run) == "The certificates were renewed, and after 5 min kube-apiserver still served another one."


def test_a_restart_that_was_killed_leaves_no_manifest_aside(runs: Any) -> None:
    run = runs(certificate="apiserver")
    run.machine.transaction_s = 4000
    until(run, "restart_pods")
    run.rounds(2)
    (unit,) = [one for one in run.machine.host.units.values() if "restart-pods" in one.name]
    assert kubeadm.is_away(run.machine.host, "kube-apiserver")
    unit.active, unit.sub, unit.result, unit.exit_status = "failed", "failed", "signal", 9
    assert run.rounds().state == "failed"
    assert not kubeadm.is_away(run.machine.host, "kube-apiserver")
    assert run.machine.left_behind() == []


def test_a_host_that_restarts_in_the_middle_gets_its_manifest_back(runs: Any) -> None:
    run = runs(certificate="apiserver")
    run.machine.transaction_s = 4000
    until(run, "restart_pods")
    run.rounds(2)
    assert kubeadm.is_away(run.machine.host, "kube-apiserver")
    run.machine.reboot(run.machine.host)
    assert run.rounds().result == "boot_changed"
    assert not kubeadm.is_away(run.machine.host, "kube-apiserver")


def test_a_cancel_in_the_middle_lets_the_restart_end(runs: Any) -> None:
    run = runs(certificate="apiserver")
    until(run, "restart_pods")
    run.rounds(2)
    run.cancel()
    assert run.rounds().state == "cancelled"
    assert not kubeadm.is_away(run.machine.host, "kube-apiserver")
    assert run.machine.left_behind() == []


def test_what_stands_against_it_changes_nothing(runs: Any) -> None:
    run = runs(certificate="all")
    old = on_host(run)
    run.machine.host.written["no-key ca"] = ""
    assert run.rounds().result == "preflight"
    assert refused(run) == [
        "pki/ca.key is not on the host: with an external CA, kubeadm renews nothing. Have them signed where the key is."
    ]
    run.machine.host.written = {**old, f"{kubeadm.AWAY}/etcd.yaml": "kind: Pod\n"}
    run.ask("kubeadm_renew")
    assert run.rounds().result == "preflight"
    assert refused(run)[0].startswith("Manifests of static pods lie in /etc/kubernetes/fleetui-restart (etcd.yaml)")
    run.machine.host.written = dict(old)
    run.ask("kubeadm_renew", certificate="super-admin.conf")
    assert run.rounds().result == "preflight"
    assert refused(run) == [
        "Of the certificates that kubeadm renews, what was asked for (super-admin.conf) is not on the host."
    ]
    assert on_host(run) == old


def test_a_host_outside_of_control_planes_is_refused_in_its_plan(runs: Any) -> None:
    run = runs(host=HostPlan("web-01", "web"), certificate="all")
    (plan,) = run.plan("kubeadm_renew")
    assert plan.refused == "busy"
    assert run.rounds().result == "preflight"
    assert refused(run)[0].startswith("It is no node of a control plane")


def test_its_button_is_on_control_planes_and_its_plan_names_what_kubeadm_renews() -> None:
    admin = signed_in(make_user("admin", "admin"))
    for name, role in (("plane-1", "control-plane"), ("worker-1", "worker")):
        node = make_node(name)
        make_facts(node, kubernetes={"role": role}, boot={"boot_id": "b"})
        source = CertificateSource.objects.create(kind="host", node=node)
        place = {"place": f"{PKI}etcd/server.crt", "use": "etcd_server", "form": "x509", "key_type": "ecdsa"}
        ends = {"not_after": node.created_at + timedelta(days=30), "fingerprint": "f" * 64, "subject": "CN=etcd"}
        Certificate.objects.create(source=source, **place, **ends)
        page = admin.get(f"/nodes/{name}/?tab=certificates").content.decode()
        assert ('value="etcd-server"' in page) == ('value="kubeadm_renew"' in page) == (role == "control-plane")
        given = {"kind": "kubeadm_renew", "ids": str(node.pk), "hours": "4", "again": "1", "certificate": "etcd-server"}
        page = admin.post("/operations/-/plan/", given).content.decode()
        assert '<option value="etcd-server" selected>' in page
        assert "kubeadm certs renew etcd-server" in page
        assert "Never are two control planes of a cluster worked on at once" in page
        assert ("It is no node of a control plane" in page) == (role == "worker")


NOW = "2026-11-27T12:00:00+00:00"
PLANE: dict[str, Any] = {
    "kubeadm": "v1.36.2",
    "kubelet": "active",
    "keys": ["ca", "etcd/ca", "front-proxy-ca"],
    "away": [],
    "pods": {"etcd": "1.2", "kube-apiserver": "3.4"},
    "health": {"etcd": "200", "kube-apiserver": "403"},
    "served": {},
    "certificates": {
        "apiserver": {"fingerprint": "a", "until": "2027-01-01T00:00:00+00:00"},
        "etcd-server": {"fingerprint": "b", "until": "2027-01-02T00:00:00+00:00"},
    },
    "authorities": {"ca": "2036-01-01T00:00:00+00:00", "etcd/ca": "2036-01-01T00:00:00+00:00"},
    "at": NOW,
}
EXPIRED = {**PLANE["certificates"], "apiserver": {"fingerprint": "a", "until": "2026-11-26T00:00:00+00:00"}}


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({}, ["to_renew", "control_plane_answers"]),
        ({"kubeadm": ""}, ["kubeadm_absent block"]),
        ({"kubelet": "failed"}, ["kubelet_inactive block", "to_renew", "control_plane_answers"]),
        ({"pods": {}}, ["no_control_plane block"]),
        ({"pods": {}, "away": ["kube-apiserver.yaml"]}, ["manifests_aside block", "no_control_plane block"]),
        ({"keys": ["etcd/ca"]}, ["to_renew", "external_authority block", "control_plane_answers"]),
        # With an etcd of somebody else, its authority is no matter of ours.
        (
            {"keys": ["ca"], "pods": {"kube-apiserver": "3.4"}, "health": {"kube-apiserver": "200"}},
            ["to_renew", "control_plane_answers"],
        ),
        (
            {"authorities": {"ca": NOW}},
            ["to_renew", "authority_expired block", "authority_absent block", "control_plane_answers"],
        ),
        (
            {"authorities": {"ca": "2027-06-01T00:00:00+00:00", "etcd/ca": "2036-01-01T00:00:00+00:00"}},
            ["to_renew", "authority_ends warn", "control_plane_answers"],
        ),
        ({"health": {"etcd": "200", "kube-apiserver": "500"}}, ["to_renew", "control_plane_ill block"]),
        ({"health": {"etcd": "", "kube-apiserver": ""}}, ["to_renew", "health_unknown block"]),
        (
            {"health": {"etcd": "000", "kube-apiserver": "000"}, "certificates": EXPIRED},
            ["to_renew", "expired_and_down warn"],
        ),
    ],
)
def test_what_the_checks_say(changed: dict[str, Any], codes: list[str]) -> None:
    found = ready_to_renew({"control_plane": {**PLANE, **changed}}, {}, {}, {})
    assert [f"{one.code} {one.level}".removesuffix(" ok") for one in found] == codes
    assert all(check_sentence(one.code, one.params) for one in found)


def test_the_cluster_has_to_bear_it(runs: Any) -> None:
    run = runs(in_cluster=True, certificate="apiserver")
    run.kube.cluster.add_node("n3", is_control_plane=True, ready="False")
    assert run.rounds().result == "preflight"
    assert refused(run) == [
        "Other nodes of the control plane are not Ready: n3. The cluster would not bear a restart here."
    ]
    run.kube.cluster.set_status("n3")
    run.ask("kubeadm_renew", certificate="apiserver")
    until(run, "see_pods")
    assert not run.kube.cluster.is_cordoned("n1")
    run.kube.api.fails = lambda _method, path: (503, {}) if path.endswith("/n1") else None
    assert run.rounds(6).wait_reason == "cluster_silent"
    run.kube.api.fails = lambda _method, _path: None
    assert run.rounds().state == "succeeded"
    assert run.operation.plan["cluster"]["name"] == "n1"


@pytest.mark.parametrize(
    ("params", "field"),
    [({"certificate": "ca"}, "certificate"), ({"certificate": 7}, "certificate"), ({"more": 1}, "more")],
)
def test_parameters_that_are_refused(params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_params("kubeadm_renew", params)
    assert caught.value.field == f"params.{field}"
    assert caught.value.mend


def test_parameters_as_they_are_kept() -> None:
    assert checked_params("kubeadm_renew", {"certificate": "all"}) == {}
    assert checked_params("kubeadm_renew", {"certificate": "apiserver"}) == {"certificate": "apiserver"}
