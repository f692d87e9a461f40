"""The client against an API server over HTTPS: our own one, or with KUBECONFIG a real one, by the same tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.kubernetes import Access, Api, Blocked, ClusterError, by_token, connect, from_kubeconfig
from ops.kubernetes import transport as transports
from ops.kubernetes.api import RIGHTS
from ops.kubernetes.deployments import ReplicaSet
from ops.kubernetes.objects import Budget, ClusterNode, Pod
from tests.kubeapi import TOKEN, Server, api_server
from tests.kubecluster import MERGE, Cluster

RECORDED = "kubernetes/recordings-1.36.json"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with api_server() as found:
        yield found


@pytest.fixture
def access(server: Server) -> Access:
    """To a real cluster where one is named, else to our own server."""
    path = os.environ.get("KUBECONFIG")
    return from_kubeconfig(Path(path).read_text() if path else server.kubeconfig())


@pytest.fixture
def cluster(access: Access) -> Iterator[Cluster]:
    found = Cluster.at(access)
    yield found
    found.close()


@pytest.fixture
def api(access: Access) -> Iterator[Api]:
    found = connect(access)
    yield found
    found.close()


def pod_of(api: Api, node: str, name: str) -> Pod:
    return next(one for one in api.pods(node) if one.name == name)


# With our own server and with a real one


def test_it_says_its_version_and_what_one_may(api: Api) -> None:
    assert api.version().startswith("v1.")
    assert api.missing() == []


def test_nodes_and_pods_are_read_page_by_page(api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.kubernetes.api.PAGE", 2)
    names = [cluster.add_node() for _number in range(5)]
    for number in range(5):
        cluster.add_pod(names[0], f"web-{number}")
    assert [one.name for one in api.nodes() if one.name in names] == sorted(names)
    assert sorted(one.name for one in api.pods(names[0])) == [f"web-{number}" for number in range(5)]
    assert list(api.pods(names[1])) == []
    found = api.node(names[0])
    assert (found.is_ready, found.cordoned, found.version, found.hostname) == (True, False, "v1.36.2", names[0])
    with pytest.raises(ClusterError) as refused:
        api.node("none")
    assert refused.value.kind == "not_found"


def test_volumes_on_paths_of_nodes_are_read(api: Api, cluster: Cluster) -> None:
    name = f"{cluster.space}-volume"
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [cluster.add_node()]}]}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "claimRef": {"namespace": cluster.space, "name": "data"},
        "local": {"path": "/mnt/data"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    document = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    cluster.post("/api/v1/persistentvolumes", {**document, "status": {"phase": "Bound"}})
    try:
        # A controller of a real cluster binds it; until then its phase says that nobody has it.
        cluster.call("PATCH", f"/api/v1/persistentvolumes/{name}/status", {"status": {"phase": "Bound"}}, MERGE)
        (found,) = [one for one in api.volumes() if one.name == name]
        assert (found.place, found.path, found.is_local) == (f"{cluster.space}/data", "/mnt/data", True)
        assert [one.name for one in api.nodes() if found.is_on(one, ())] == [cluster.nodes[-1]]
    finally:
        cluster.call("DELETE", f"/api/v1/persistentvolumes/{name}")


def test_a_cordon_is_marked_as_ours_and_lost_to_whoever_was_quicker(api: Api, cluster: Cluster) -> None:
    name = cluster.add_node()
    looked_at = api.node(name)
    api.cordon(looked_at, "op-1")
    found = api.node(name)
    assert (found.cordoned, found.cordoned_by) == (True, "op-1")
    with pytest.raises(ClusterError) as lost:
        api.cordon(looked_at, "op-2")
    assert lost.value.kind == "conflict"
    with pytest.raises(ClusterError) as late:
        api.uncordon(looked_at)
    assert late.value.kind == "conflict"
    api.uncordon(api.node(name))
    found = api.node(name)
    assert (found.cordoned, found.cordoned_by) == (False, "")


def test_a_node_is_deleted_as_it_was_seen_or_not_at_all(api: Api, cluster: Cluster) -> None:
    name = cluster.add_node()
    seen = api.node(name)
    cluster.set_status(name, machine_id="another")
    with pytest.raises(ClusterError, match="conflict"):
        api.remove(seen)
    assert api.node(name).machine_id == "another"
    api.remove(api.node(name))
    with pytest.raises(ClusterError, match="not_found"):
        api.node(name)


def test_the_image_of_a_deployment_is_patched_with_our_mark_or_lost_to_whoever_was_quicker(
    api: Api, cluster: Cluster
) -> None:
    cluster.add_deployment("web", "registry.example/web:1", replicas=0)
    looked_at = api.deployment(cluster.space, "web")
    assert (looked_at.images, looked_at.wanted, looked_at.changed_by) == ({"c": "registry.example/web:1"}, 0, "")
    found = api.set_image(looked_at, "c", "registry.example/web:2", by="op-1")
    assert (found.images["c"], found.changed_by) == ("registry.example/web:2", "op-1")
    assert found.generation == looked_at.generation + 1
    with pytest.raises(ClusterError) as lost:
        api.set_image(looked_at, "c", "registry.example/web:3", by="op-2")
    assert lost.value.kind == "conflict"
    with pytest.raises(ClusterError) as late:
        api.roll_back(looked_at, ReplicaSet("x", "", 1, {}, _template("registry.example/web:3")), by="op-2")
    assert late.value.kind == "conflict"
    now = api.deployment(cluster.space, "web")
    back = api.roll_back(now, ReplicaSet("x", "", 1, {}, _template("registry.example/web:1")), by="op-3")
    assert (back.images, back.changed_by) == ({"c": "registry.example/web:1"}, "op-3")
    assert f"{cluster.space}/web" in {one.place for one in api.deployments()}
    with pytest.raises(ClusterError) as gone:
        api.deployment(cluster.space, "none")
    assert gone.value.kind == "not_found"


def _template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def test_an_eviction_a_budget_does_not_allow_is_blocked_and_says_by_what(api: Api, cluster: Cluster) -> None:
    name = cluster.add_node()
    for number in range(3):
        cluster.add_pod(name, f"web-{number}", app="web")
    cluster.set_budget("web", "web", min_available=2)
    first = pod_of(api, name, "web-0")
    api.evict(first, dry_run=True)
    assert not pod_of(api, name, "web-0").is_going
    api.evict(first, grace_s=20)
    assert pod_of(api, name, "web-0").is_going
    budget = next(one for one in api.budgets() if one.place == f"{cluster.space}/web")
    assert (budget.allowed, budget.desired, budget.never_allows) == (0, 2, False)
    second = pod_of(api, name, "web-1")
    assert budget.covers(second)
    assert not budget.allows(second)
    for dry_run in (True, False):
        with pytest.raises(Blocked) as blocked:
            api.evict(second, dry_run=dry_run)
        assert "web needs 2 healthy pods" in str(blocked.value.params["said"])
    api.delete(second, grace_s=0)
    assert "web-1" not in cluster.names(name)
    with pytest.raises(ClusterError) as gone:
        api.evict(second)
    assert gone.value.kind == "not_found"
    cluster.add_pod(name, "web-1", app="web")
    with pytest.raises(ClusterError) as other:
        api.delete(second, grace_s=0)
    assert other.value.kind == "conflict"


def test_a_pod_of_two_budgets_is_never_evicted(api: Api, cluster: Cluster) -> None:
    name = cluster.add_node()
    cluster.add_pod(name, "web-0", app="web")
    cluster.set_budget("one", "web", min_available=0)
    cluster.set_budget("two", "web", min_available=0)
    with pytest.raises(ClusterError) as failed:
        api.evict(pod_of(api, name, "web-0"))
    assert (failed.value.kind, failed.value.params["status"]) == ("server_error", 500)
    assert "more than one PodDisruptionBudget" in failed.value.params["said"]


# How one gets in, with our own server


def test_a_token_and_a_certificate_get_in_and_nothing_else_does(server: Server) -> None:
    made = server.certificates
    assert connect(by_token(server=server.url, ca=made.ca, token=TOKEN)).version() == "v1.36.2"
    assert connect(from_kubeconfig(server.kubeconfig())).version() == "v1.36.2"
    with pytest.raises(ClusterError) as refused:
        connect(by_token(server=server.url, ca=made.ca, token="other")).version()
    assert refused.value.kind == "unauthorized"


def test_the_own_authority_holds_whatever_the_environment_says(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with api_server() as other:
        bundle = tmp_path / "bundle.pem"
        bundle.write_text(server.certificates.ca)
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(bundle))
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        # What the environment trusts is not trusted where another authority was given, and the other way round.
        with pytest.raises(ClusterError) as refused:
            connect(by_token(server=server.url, ca=other.certificates.ca, token=TOKEN)).version()
        assert refused.value.kind == "certificate"
        assert "signature" in refused.value.params["said"] or "issuer" in refused.value.params["said"]
        assert connect(by_token(server=other.url, ca=other.certificates.ca, token=TOKEN)).version() == "v1.36.2"


def test_a_name_that_the_certificate_does_not_hold_is_refused_unless_given(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    elsewhere = Access(f"https://localhost:{port}", server.certificates.ca, TOKEN)
    with pytest.raises(ClusterError) as refused:
        connect(elsewhere).version()
    assert refused.value.kind == "certificate"
    named = Access(f"https://localhost:{port}", server.certificates.ca, TOKEN, server_name="kubernetes")
    assert connect(named).version() == "v1.36.2"


def test_no_answer_is_said_as_what_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = server.certificates.ca
    for url, kind in (
        ("https://127.0.0.1:1", "unreachable"),
        ("https://no-such-name.invalid:6443", "no_name"),
    ):
        with pytest.raises(ClusterError) as silent:
            connect(Access(url, ca, TOKEN)).version()
        assert (silent.value.kind, silent.value.is_passing) == (kind, True)
    monkeypatch.setattr(transports, "forbid", lambda: "Inside a transaction.")
    with pytest.raises(transports.ContactForbidden):
        connect(Access(server.url, ca, TOKEN)).version()


def test_rights_that_are_missing_are_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        server.api, "denied", {"patch nodes", "create pods/eviction", "list poddisruptionbudgets.policy"}
    )
    api = connect(by_token(server=server.url, ca=server.certificates.ca, token=TOKEN))
    assert [str(one) for one in api.missing()] == [
        "list poddisruptionbudgets.policy",
        "patch nodes",
        "create pods/eviction",
    ]
    assert len({str(one) for one in RIGHTS}) == len(RIGHTS)


def test_what_is_no_api_is_said_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[tuple[int, Any]] = [(200, []), (302, {}), (503, {}), (429, {"message": "later"}), (410, {})]
    kinds = []
    for answer in answers:
        monkeypatch.setattr(server.api, "fails", lambda _method, _path, answer=answer: answer)
        with pytest.raises(ClusterError) as failed:
            connect(by_token(server=server.url, ca=server.certificates.ca, token=TOKEN)).version()
        kinds.append(failed.value.kind)
    assert kinds == ["garbled", "garbled", "server_error", "busy", "conflict"]


# What an API server 1.36 was recorded to say


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    folder = os.environ.get("FLEETUI_CORPUS")
    if not folder:
        pytest.skip("FLEETUI_CORPUS names no folder with recordings.")
    found: dict[str, Any] = json.loads(Path(folder, RECORDED).read_text())
    return found


def _answer(recorded: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    wanted = (method, path, status)
    return next(
        one["response"] for one in recorded["requests"] if (one["method"], one["path"], one["status"]) == wanted
    )


def test_recorded_documents_are_read(recorded: dict[str, Any]) -> None:
    nodes = [ClusterNode.read(one) for one in _answer(recorded, "GET", "/api/v1/nodes", 200)["items"]]
    assert [(one.name, one.ready, one.cordoned) for one in nodes] == [("n1", "True", False), ("n2", "True", False)]
    listed = _answer(recorded, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", 200)["items"]
    pods = [Pod.read(one) for one in listed]
    assert {one.owner for one in pods} == {"DaemonSet", "ReplicaSet"}
    (budget,) = [
        Budget.read(one) for one in _answer(recorded, "GET", "/apis/policy/v1/poddisruptionbudgets", 200)["items"]
    ]
    assert (budget.allowed, budget.healthy, budget.desired, budget.expected) == (1, 3, 2, 3)
    assert {budget.covers(one) for one in pods if one.labels.get("app") == "web"} == {True}
    assert {budget.covers(one) for one in pods if one.owner == "DaemonSet"} == {False}
    going = [Pod.read(one["object"]).is_going for one in recorded["pod_watch_events"]]
    assert any(going)


def test_our_server_answers_as_recorded(recorded: dict[str, Any]) -> None:
    """The same Status bodies, but for the names of pods."""
    with api_server() as server:
        cluster = Cluster.at(from_kubeconfig(server.kubeconfig()))
        node = cluster.add_node()
        for number in range(3):
            cluster.add_pod(node, f"web-{number}", app="web")
        cluster.set_budget("web", "web", min_available=2)
        space = f"/api/v1/namespaces/{cluster.space}/pods"

        def evict(name: str) -> dict[str, Any]:
            body = {"metadata": {"name": name, "namespace": cluster.space}}
            return server.api.handle("POST", f"{space}/{name}/eviction", {}, body)[1]

        was = {
            (one["status"], one["path"].endswith("/none/eviction")): one["response"]
            for one in recorded["requests"]
            if one["path"].endswith("/eviction")
        }
        assert evict("web-0") == was[201, False]
        assert evict("web-1") == was[429, False]
        assert evict("none") == was[404, True]
        missing = server.api.handle("GET", "/api/v1/nodes/none", {}, {})[1]
        assert missing == _answer(recorded, "GET", "/api/v1/nodes/none", 404)
        stale = {"metadata": {"resourceVersion": "1"}, "spec": {}}
        conflict = server.api.handle("PATCH", f"/api/v1/nodes/{node}", {}, stale)[1]
        assert {**conflict, "message": "", "details": {}} == {
            **_answer(recorded, "PUT", "/api/v1/nodes/n2", 409),
            "message": "",
            "details": {},
        }
        cluster.close()
