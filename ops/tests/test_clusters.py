"""The access to a cluster: tried, sealed, never shown; and what the cluster says of its nodes, on pages and in the API."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.audit.models import AuditEvent
from fleetui.core import clock, crypto
from nodes.hosts.machine_id import derived_id
from nodes.models import Cluster, Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast, cast
from nodes.tests.make import make_facts, make_node
from nodes.tests.pages import signed_in
from ops.kubernetes import ClusterNode as Seen
from ops.kubernetes import transport
from ops.models import ClusterAccess, ClusterNode, Cordon
from ops.services.clusters import access as services
from ops.services.clusters.matching import Ours, pair
from ops.services.clusters.refresh import EVERY, claim_due, refresh
from ops.tests.kube import SERVER, Kube, make_kube
from tests.kubeapi import TOKEN, api_server

pytestmark = pytest.mark.django_db
__all__ = ["cast"]
MACHINE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def prod(cast: Cast) -> Cluster:
    cluster = Cluster.objects.create(name="prod")
    for pool in (cast.web, cast.db):
        pool.cluster = cluster
        pool.save()
    return cluster


@pytest.fixture
def kube(prod: Cluster, monkeypatch: pytest.MonkeyPatch) -> Kube:
    return make_kube(monkeypatch, prod)


def shown(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


# The sign-in


def test_an_access_is_tried_over_tls_kept_sealed_and_never_shown(
    cast: Cast, prod: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "forbid", None)
    page, api = signed_in(cast.owner), Api(cast.owner)
    assert "does not know the API" in shown(page.get("/clusters/prod/"))
    with api_server() as server:
        text = server.kubeconfig()
        answer = page.post("/clusters/prod/access/", {"kubeconfig": text})
        assert (answer.status_code, answer["Location"]) == (302, "/clusters/prod/#api")
        access = ClusterAccess.objects.get()
        assert (access.version, access.how, access.missing, access.server) == ("v1.36.2", "certificate", [], server.url)
        assert services.opened(access).key == server.certificates.client_key
        server.api.denied = {"patch nodes", "delete pods"}
        body = {"server": server.url, "ca": server.certificates.ca, "token": TOKEN}
        found = api.put("clusters/prod/access/", body)
        assert found.status_code == 200, found.content
        assert found.json()["missing_rights"] == ["patch nodes", "delete pods"]
        for wrong, field, said in (
            ({**body, "token": "wrong"}, "token", "does not know this sign-in"),
            ({**body, "server": "https://127.0.0.1:1"}, "server", "Nothing answers at https://127.0.0.1:1."),
            ({"kubeconfig": "kind: Pod"}, "kubeconfig", "no kubeconfig"),
            ({**body, "kubeconfig": text}, "kubeconfig", "or an address with a token"),
        ):
            refused = api.put("clusters/prod/access/", wrong)
            assert refused.status_code == 400
            (problem,) = refused.json()["errors"]
            assert problem["field"] == field
            assert said in str(problem)
            assert "BEGIN" not in refused.content.decode()
        server.api.denied = {"list pods"}
        again = page.post("/clusters/prod/access/", {"kubeconfig": text}).content.decode()
        assert "list pods" in again
        assert "client-key-data" not in again
        server.api.fails = lambda _method, _path: (429, {"message": "too many requests"})
        (problem,) = api.put("clusters/prod/access/", body).json()["errors"]
        assert problem["mend"] == "Try it again in a minute."
    access.refresh_from_db()
    assert (access.how, access.revision) == ("token", 2)
    secrets = (TOKEN, server.certificates.client_key.splitlines()[1])
    page_text = page.get("/clusters/prod/").content.decode() + page.get("/clusters/prod/access/").content.decode()
    everything = page_text + api.get("clusters/prod/access/").content.decode() + access.sealed
    audit = list(AuditEvent.objects.filter(action="clusters.set_access").values_list("after", flat=True))
    assert len(audit) == 2
    for secret in secrets:
        assert secret not in everything + str(audit)
    assert api.delete("clusters/prod/access/").status_code == 204
    assert api.get("clusters/prod/access/").status_code == 404


def test_only_admins_of_everything_give_an_access(cast: Cast, kube: Kube) -> None:
    for user in (cast.operator, cast.viewer):
        assert signed_in(user).get("/clusters/prod/access/").status_code == 403
        assert Api(user).put("clusters/prod/access/", {"kubeconfig": "x"}).status_code == 403
        assert Api(user).post("clusters/prod/access/look/").status_code == 403
        assert signed_in(user).post("/clusters/prod/access/delete/").status_code == 403
        assert Api(user).get("clusters/prod/access/").json()["server"] == SERVER
    assert Api(cast.outsider).get("clusters/prod/access/").status_code == 403
    assert ClusterAccess.objects.count() == 1


def test_seals_are_rotated_and_bound_to_their_row(kube: Kube, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["ab" * 32, *settings.ENCRYPTION_KEYS]
    assert services.rotate_seals() == 1
    assert services.rotate_seals() == 0
    kube.access.refresh_from_db()
    assert crypto.sealed_with_newest(kube.access.sealed)
    assert services.opened(kube.access).token == "t"


def test_an_access_stays_while_something_is_cordoned_by_it(cast: Cast, kube: Kube) -> None:
    name = kube.cluster.add_node()
    Cordon.objects.create(access=kube.access, name=name, uid=kube.cluster.node(name)["metadata"]["uid"], by="op")
    refused = Api(cast.owner).delete("clusters/prod/access/")
    assert refused.status_code == 409
    assert name in refused.json()["detail"]
    again = Api(cast.owner).put("clusters/prod/access/", {"server": SERVER, "token": "t2"})
    assert again.status_code == 200, again.content
    kube.api.nodes[name]["metadata"]["uid"] = "another"
    refused = Api(cast.owner).put("clusters/prod/access/", {"server": SERVER, "token": "t3"})
    assert "another cluster" in refused.content.decode()


def test_of_two_first_accesses_one_is_kept_and_a_deleted_cluster_gets_none(
    cast: Cast, prod: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial takes seconds, in which somebody else may be quicker."""
    body = {"server": SERVER, "token": "t2"}

    def quicker(_given: Any, before: Any, _field: str) -> services.Tried:
        if before is None:
            ClusterAccess.objects.create(cluster=prod, server=SERVER, how="token", sealed="s", set_by="user:other")
        return services.Tried("v1.36.2", [])

    monkeypatch.setattr(services, "_tried", quicker)
    refused = Api(cast.owner).put("clusters/prod/access/", body)
    assert (refused.status_code, "meanwhile" in refused.json()["detail"]) == (409, True)
    assert ClusterAccess.objects.get().set_by == "user:other"
    ClusterAccess.objects.all().delete()

    def deleted(*_given: Any) -> services.Tried:
        cast.web.cluster = cast.db.cluster = None
        cast.web.save()
        cast.db.save()
        prod.delete()
        return services.Tried("v1.36.2", [])

    monkeypatch.setattr(services, "_tried", deleted)
    assert Api(cast.owner).put("clusters/prod/access/", body).status_code == 409


# What the cluster says


def test_what_no_cluster_says_is_left_out_or_told_and_stops_no_look(cast: Cast, kube: Kube) -> None:
    """PostgreSQL takes no NUL, no row twice in one statement, and no longer name."""
    for name, over in (("web-1", {"uid": "u\0id"}), ("x" * 254, {}), ("web\0-2", {})):
        kube.cluster.add_node(name)
        kube.api.nodes[name]["metadata"] |= over
    twice = kube.cluster.add_node("twice")
    kube.api.nodes["again"] = kube.api.nodes[twice]
    kube.api.nodes["web-1"]["spec"]["taints"] = [{"key": "a\0b", "effect": "NoSchedule"}]
    kube.cluster.add_pod("web-1", "cache\0", emptydir=True)
    kube.look(clock.now())
    assert ClusterAccess.objects.get().state == "good"
    rows = {row.name: row for row in ClusterNode.objects.all()}
    assert sorted(rows) == ["twice", "web-1"]
    assert (rows["web-1"].uid, rows["web-1"].taints) == ("uid", ["ab:NoSchedule"])
    assert rows["web-1"].stands_against["local"] == ["shop/cache"]


def test_what_cannot_be_stored_is_a_state_and_is_tried_again(
    cast: Cast, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_given: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("ops.services.clusters.refresh._store", fails)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        kube.look(clock.now())
    access = ClusterAccess.objects.get()
    assert (access.state, access.problem, access.lease) == ("failing", "fault", None)


def test_a_cluster_whose_lists_never_end_is_given_up(cast: Cast, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.kubernetes.api.MOST_NODES", 10)
    kube.api.fails = lambda _method, path: (
        (200, {"items": [], "metadata": {"continue": "on"}}) if path == "/api/v1/nodes" else None
    )
    kube.look(clock.now())
    assert (ClusterAccess.objects.get().problem, ClusterNode.objects.count()) == ("garbled", 0)
    monkeypatch.setattr("ops.kubernetes.api.LONGEST_S", -1.0)
    kube.look(clock.now())
    assert ClusterAccess.objects.get().problem == "timed_out"


def test_a_look_stores_what_the_cluster_says_and_finds_our_nodes(cast: Cast, kube: Kube) -> None:
    make_facts(cast.web_node)
    Node.objects.filter(pk=cast.web_node.pk).update(machine_id=derived_id(MACHINE))
    make_node("web-9", pool=cast.web, address="10.9.9.9")
    first = kube.cluster.add_node("ip-10-0-0-1", machine_id=MACHINE)
    kube.cluster.add_node("DB-1.example", ready="False")
    kube.cluster.add_node("stranger")
    for number in range(2):
        kube.cluster.add_pod(first, f"web-{number}", app="web")
    kube.cluster.set_budget("web", "web", min_available=2)
    kube.cluster.add_pod(first, "ds", owner="DaemonSet")
    kube.cluster.add_pod(first, "cache", emptydir=True)
    kube.cluster.add_pod(first, "bare", owner="")
    kube.cluster.add_pod(first, "over", phase="Succeeded")
    kube.cluster.cordon(first)
    kube.look(clock.now())
    rows = {row.name: row for row in ClusterNode.objects.select_related("node")}
    assert {name: (row.node and row.node.name, row.matched_by) for name, row in rows.items()} == {
        "ip-10-0-0-1": ("web-1", "machine"),
        "DB-1.example": ("db-1", "name"),
        "stranger": (None, ""),
    }
    row = rows[first]
    assert (row.ready, row.is_cordoned, row.pods, row.version) == ("True", True, 5, "v1.36.2")
    assert row.stands_against["budgets_count"] == 2
    assert row.stands_against["local"] == ["shop/cache"]
    page = shown(signed_in(cast.owner).get("/clusters/prod/"))
    assert "Cordoned by somebody else, and left so." in page
    assert "Disruption budgets hold 2 pods: shop/web-0 (shop/web), shop/web-1 (shop/web)." in page
    assert "1 pod keeps data in an emptyDir volume: shop/cache." in page
    assert "1 not ready" in page
    node_page = shown(signed_in(cast.owner).get("/nodes/web-1/"))
    assert "In its cluster" in node_page
    assert "by its machine id" in node_page
    listed = Api(cast.owner).get("clusters/prod/nodes/?cordoned=true").json()["results"]
    assert [(one["name"], one["node"], one["pods"]) for one in listed] == [(first, "web-1", 5)]
    # A viewer of one pool sees the nodes of that pool, and no stranger.
    assert Api(cast.viewer).names("clusters/prod/nodes/") == [first]
    assert "stranger" not in shown(signed_in(cast.viewer).get("/clusters/prod/"))


def test_a_node_that_left_the_cluster_goes_and_unchanged_rows_are_not_written(cast: Cast, kube: Kube) -> None:
    kube.cluster.add_node("web-1")
    gone = kube.cluster.add_node("web-2")
    kube.look(clock.now())
    before = dict(ClusterNode.objects.values_list("name", "pk"))
    del kube.api.nodes[gone]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        kube.look(clock.now())
    assert not [one for one in queries if "INSERT" in one["sql"]]
    assert dict(ClusterNode.objects.values_list("name", "pk")) == {"web-1": before["web-1"]}


def test_a_silent_api_is_a_state_with_a_sentence_and_the_old_rows_stay(cast: Cast, kube: Kube) -> None:
    kube.cluster.add_node("web-1")
    kube.look(clock.now())
    kube.api.fails = lambda _method, _path: (503, {"message": "etcd is away"})
    for _time in range(3):
        kube.look(clock.now())
    access = ClusterAccess.objects.get()
    assert (access.state, access.problem, access.failures) == ("failing", "server_error", 3)
    assert access.due_at > clock.now() + 3 * EVERY
    assert ClusterNode.objects.count() == 1
    make_facts(cast.web_node)
    for page in ("/clusters/prod/", "/nodes/web-1/"):
        assert "The API itself failed (503): etcd is away" in shown(signed_in(cast.owner).get(page))
    found = Api(cast.owner).get("clusters/prod/access/").json()
    assert (found["state"], found["problem"]) == ("failing", "server_error")
    assert "Look at the log" in found["problem_sentence"]
    kube.api.fails = lambda _method, _path: None
    kube.look(clock.now())
    assert ClusterAccess.objects.get().state == "good"


def test_a_claim_is_taken_once_and_a_change_of_access_voids_a_look(cast: Cast, kube: Kube) -> None:
    now = clock.now()
    ((access, lease),) = claim_due(now)
    assert claim_due(now) == []
    assert claim_due(now + timedelta(minutes=6)) != []
    assert refresh(access, lease) is False
    ClusterAccess.objects.update(lease=None, lease_until=None, due_at=now)
    ((access, lease),) = claim_due(now)

    def changed(_method: str, _path: str) -> None:
        ClusterAccess.objects.update(revision=9)

    kube.transport.before = changed
    assert refresh(access, lease) is False
    assert ClusterNode.objects.count() == 0


def test_what_nobody_needs_cordoned_is_uncordoned_by_the_next_look(cast: Cast, kube: Kube) -> None:
    ours, others, theirs = (kube.cluster.add_node(name) for name in ("ours", "kept", "theirs"))
    for name, by in ((ours, "op-1"), (others, "op-2")):
        kube.cluster.call(
            "PATCH",
            f"/api/v1/nodes/{name}",
            {"metadata": {"annotations": {"fleetui.io/cordoned-by": by}}, "spec": {"unschedulable": True}},
        )
        uid = kube.cluster.node(name)["metadata"]["uid"]
        Cordon.objects.create(access=kube.access, name=name, uid=uid, by=by, is_kept=name == others)
    kube.cluster.cordon(theirs)
    Cordon.objects.create(access=kube.access, name=theirs, uid=kube.cluster.node(theirs)["metadata"]["uid"], by="op-3")
    Cordon.objects.create(access=kube.access, name="gone", uid="x", by="op-4")
    kube.look(clock.now())
    assert [kube.cluster.is_cordoned(name) for name in (ours, others, theirs)] == [False, True, True]
    assert list(Cordon.objects.values_list("name", flat=True)) == [others]
    assert AuditEvent.objects.filter(action="clusters.uncordon").count() == 1
    kube.cluster.cordon(others, is_on=False)
    kube.look(clock.now())
    assert not Cordon.objects.exists()
    assert "fleetui.io/cordoned-by" not in kube.cluster.node(others)["metadata"]["annotations"]


def test_an_uncordon_that_is_refused_is_not_told_as_done(cast: Cast, kube: Kube) -> None:
    name = kube.cluster.add_node()
    mark = {"metadata": {"annotations": {"fleetui.io/cordoned-by": "op-1"}}, "spec": {"unschedulable": True}}
    kube.cluster.call("PATCH", f"/api/v1/nodes/{name}", mark)
    Cordon.objects.create(access=kube.access, name=name, uid=kube.cluster.node(name)["metadata"]["uid"], by="op-1")
    kube.api.denied = {"patch nodes"}
    for _time in range(2):
        kube.look(clock.now())
    assert Cordon.objects.count() == 1
    assert not AuditEvent.objects.filter(action="clusters.uncordon").exists()
    kube.api.denied = set()
    kube.look(clock.now())
    assert not Cordon.objects.exists()
    assert AuditEvent.objects.filter(action="clusters.uncordon").count() == 1


def test_an_uncordon_whose_worker_died_before_it_told_is_told_by_the_next_look(cast: Cast, kube: Kube) -> None:
    """The mark goes with the cordon, in one patch: the row alone is left to say so."""
    name = kube.cluster.add_node()
    uid = kube.cluster.node(name)["metadata"]["uid"]
    Cordon.objects.create(access=kube.access, name=name, uid=uid, by="op-1")
    kube.look(clock.now())
    assert not Cordon.objects.exists()
    assert AuditEvent.objects.get(action="clusters.uncordon").after == f'{{"node":"{name}","operation":"op-1"}}'


def test_a_cluster_with_our_cordon_says_what_to_do_about_it(cast: Cast, kube: Kube) -> None:
    Pool.objects.update(cluster=None)
    Cordon.objects.create(access=kube.access, name="n1", uid="u", by="op")
    refused = Api(cast.owner).delete("clusters/prod/")
    assert refused.status_code == 409
    assert refused.json()["mend"].startswith("FleetUI has cordoned nodes of it: uncordon them first")


def test_pages_cost_the_same_for_one_node_and_for_forty(cast: Cast, kube: Kube) -> None:
    client = signed_in(cast.owner)

    def cost(page: str) -> int:
        client.get(page)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        return len(queries)

    make_facts(cast.web_node)
    kube.cluster.add_node("web-1")
    kube.look(clock.now())
    few = [cost(page) for page in ("/clusters/prod/", "/nodes/web-1/")]
    for number in range(40):
        kube.cluster.add_node(f"n{number}")
    kube.look(clock.now())
    assert [cost(page) for page in ("/clusters/prod/", "/nodes/web-1/")] == few


def test_a_pair_is_the_only_one_of_its_kind() -> None:
    def ours(pk: int, **over: Any) -> Ours:
        given = {"name": f"n{pk}", "address": f"10.0.0.{pk}", "machine_id": "", "hostname": "", "labels": {}, **over}
        return Ours(pk=pk, **given)

    def theirs(name: str, **over: Any) -> Any:
        status = {"nodeInfo": {"machineID": over.pop("machine", "")}}
        status["addresses"] = [{"type": "InternalIP", "address": over.pop("address", "")}]  # type: ignore[assignment]
        return Seen.read(
            {"metadata": {"name": name}, "spec": {"providerID": over.pop("provider", "")}, "status": status}
        )

    assert pair([theirs("a", machine=MACHINE)], [ours(1, machine_id=derived_id(MACHINE))]) == {"a": (1, "machine")}
    clones = [ours(1, machine_id=derived_id(MACHINE), name="a"), ours(2, machine_id=derived_id(MACHINE))]
    assert pair([theirs("a", machine=MACHINE)], clones) == {"a": (1, "name")}
    assert pair([theirs("a", provider="aws:///x/i-1")], [ours(1, labels={"provider-id": "aws:///x/i-1"})]) == {
        "a": (1, "provider")
    }
    assert pair([theirs("a.example")], [ours(1, hostname="a")]) == {"a.example": (1, "name")}
    assert pair([theirs("a", address="10.0.0.1")], [ours(1)]) == {"a": (1, "address")}
    assert pair([theirs("a", address="10.0.0.1"), theirs("b", address="10.0.0.1")], [ours(1)]) == {}
    # The surer kind wins, and its node is not given twice.
    both = [ours(1, labels={"provider-id": "p"}), ours(2, name="a")]
    assert pair([theirs("a", provider="p"), theirs("b", address="10.0.0.2")], both) == {
        "a": (1, "provider"),
        "b": (2, "address"),
    }


def test_what_was_typed_of_a_secret_is_not_drawn_again(cast: Cast, prod: Cluster) -> None:
    page = signed_in(cast.owner).post("/clusters/prod/access/", {"kubeconfig": "users: [{name: very-secret}]"})
    assert page.status_code == 422
    assert "It has no context" in page.content.decode()
    assert "very-secret" not in page.content.decode()
