"""Rows of containers, kept in step with facts, and the pages and addresses that list them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from nodes.models import ContainerOnNode, Node
from nodes.services.containers import replace_containers, rows_of
from nodes.services.differences import events
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_facts, make_node
from nodes.tests.pages import signed_in

V1, V2 = "sha256:" + "a1" * 32, "sha256:" + "a2" * 32
APP = "r.example/shop/app"


def container(name: str, *, tag: str = "v1", **over: Any) -> dict[str, Any]:
    given = {"id": name * 4, "name": name, "image": f"{APP}:{tag}", "image_id": f"id-{tag}", "state": "running"}
    return {
        **given,
        "health": None,
        "unit": None,
        "ports": [],
        "started_at": "2026-11-01T10:00:00Z",
        "labels": {},
        **over,
    }


def section(*containers: dict[str, Any], units: Any = (), runtime: str = "podman") -> dict[str, Any]:
    images = [
        {"id": f"id-{tag}", "names": [f"{APP}:{tag}"], "digests": [f"{APP}@{digest}"], "size_bytes": 5}
        for tag, digest in (("v1", V1), ("v2", V2))
    ]
    runtimes = [{"name": runtime, "version": "5.4.2", "containers": list(containers), "images": images}]
    return {"containers": {"runtimes": runtimes, "units": list(units)}}


def unit(name: str, kind: str = "quadlet", **over: Any) -> dict[str, Any]:
    source = f"/etc/containers/systemd/{name}.container" if kind == "quadlet" else f"/etc/systemd/system/{name}.service"
    given = {"name": f"{name}.service", "kind": kind, "source": source, "container": name, "image": f"{APP}:v1"}
    return {**given, "dropins": [], **over}


def put(node: Node, *containers: dict[str, Any], units: Any = (), runtime: str = "podman") -> None:
    document = section(*containers, units=units, runtime=runtime)
    make_facts(node, **document)
    replace_containers({node.pk: document})


def test_by_whom_a_container_is_run() -> None:
    units = [unit("web"), unit("shop", "unit"), unit("gone")]
    found = section(container("web"), container("shop"), container("hand"), units=units)
    rows = {row.name: row for row in rows_of(make_id(), found)}
    assert {name: row.managed_by for name, row in rows.items()} == {
        "web": "quadlet",
        "shop": "unit",
        "hand": "hand",
        "gone": "quadlet",
    }
    assert (rows["gone"].state, rows["gone"].digest) == ("absent", V1)
    assert (rows["web"].repository, rows["web"].tag, rows["web"].digest) == (APP, "v1", V1)
    pod = section(container("etcd"), runtime="containerd")
    assert rows_of(make_id(), pod)[0].managed_by == "cluster"


def test_the_units_of_root_run_no_container_of_another_user() -> None:
    (mine, *rest) = rows_of(make_id(), section(container("web"), units=[unit("web")], runtime="podman-user"))
    assert (mine.managed_by, [row.state for row in rest]) == ("hand", ["absent"])


def make_id() -> Any:
    return make_node_unsaved().pk


def make_node_unsaved() -> Node:
    return Node(name="n", address="192.0.2.1")


@pytest.mark.django_db
def test_only_what_differs_is_written() -> None:
    node = make_node("n1")
    replace_containers({node.pk: section(container("web"), container("shop"))})
    before = {row.name: row.pk for row in ContainerOnNode.objects.filter(node=node)}
    replace_containers({node.pk: section(container("web"), container("shop", tag="v2"))})
    after = {row.name: (row.pk, row.tag) for row in ContainerOnNode.objects.filter(node=node)}
    assert after["web"] == (before["web"], "v1")
    assert after["shop"][1] == "v2"
    assert after["shop"][0] != before["shop"]
    replace_containers({node.pk: section()})
    assert not ContainerOnNode.objects.filter(node=node).exists()


def test_what_an_earlier_fleetui_did_not_read_is_no_change() -> None:
    def document(**changes: Any) -> dict[str, Any]:
        boot = {"boot_id": "x", "booted_at": None}
        rest = {"deployments": [], "os": {"family": "fcos"}, "health": {"failed_units": []}, "boot": boot}
        return {**rest, **section(container("web", **changes))}

    old = document()
    del old["containers"]["units"]
    for name in ("image_id", "health", "unit", "ports"):
        del old["containers"]["runtimes"][0]["containers"][0][name]
    assert events(old, document()) == []
    changed = [("facts_changed", {"sections": ["containers"]})]
    assert events(old, document(state="exited")) == changed
    # The labels of a container are named by people: one that came is a change.
    assert events(document(labels={"a": "1"}), document(labels={"a": "1", "b": "2"})) == changed


@pytest.fixture
def fleet(cast: Cast) -> Cast:
    put(cast.web_node, container("web"), container("cache", tag="v2"), units=[unit("web")])
    put(cast.db_node, container("web", tag="v2", health="unhealthy"))
    return cast


def test_which_nodes_run_an_image_at_which_digest(fleet: Cast) -> None:
    client = signed_in(fleet.owner)
    images = client.get("/containers/").content.decode()
    assert APP in images
    assert images.count("a1a1a1a1a1a1") > 0
    page = client.get(f"/containers/list/?repository={APP}&digest={V2}").content.decode()
    assert "cache" in page
    assert fleet.db_node.name in page
    assert "By hand" in page
    assert "unhealthy" in page
    assert "Quadlet" not in page.partition("<tbody>")[2]


def test_a_person_sees_the_containers_of_nodes_that_they_may_see(fleet: Cast) -> None:
    """The viewer sees the pool web only; a stranger nothing."""
    page = signed_in(fleet.viewer).get("/containers/list/").content.decode()
    assert fleet.web_node.name in page
    assert fleet.db_node.name not in page
    counted = Api(fleet.viewer).get("containers/images/").json()["results"]
    assert [(one["tag"], one["nodes"]) for one in counted] == [("v1", 1), ("v2", 1)]


@pytest.mark.parametrize("address", ["/containers/", "/containers/list/", "/containers/list/?state=running&pool=web"])
def test_pages_cost_the_same_however_many_nodes(fleet: Cast, address: str, django_assert_max_num_queries: Any) -> None:
    client = signed_in(fleet.owner)
    for number in range(60):
        put(make_node(f"m{number}", pool=fleet.web_node.pool), container("web"))
    with django_assert_max_num_queries(16):
        page = client.get(address)
    assert page.status_code == 200
    assert b"Next page" in page.content or address == "/containers/"


def test_the_next_page_goes_on_where_this_one_ends(fleet: Cast) -> None:
    api = Api(fleet.owner)
    first = api.get("containers/images/?limit=1").json()
    second = api.get(f"containers/images/?limit=1&after={first['next']}").json()
    assert [one["tag"] for one in (*first["results"], *second["results"])] == ["v1", "v2"]
    assert second["next"] is None
    assert api.get("containers/images/?after=x").status_code == 400
    no_digest = base64.urlsafe_b64encode(b'["a", "b", "\\u0000"]').decode()
    assert api.get(f"containers/images/?after={no_digest}").status_code == 400


def test_empty_pages_teach(cast: Cast) -> None:
    client = signed_in(cast.owner)
    for address in ("/containers/", "/containers/list/"):
        assert "No containers yet" in client.get(address).content.decode()
        assert "Clear the filters" in client.get(f"{address}?q=nothing").content.decode()
    assert "The filter health was left out" in client.get("/containers/?health=odd").content.decode()


def test_the_api_says_the_same(fleet: Cast) -> None:
    api = Api(fleet.owner)
    rows = api.get(f"containers/?repository={APP}&tag=v2&sort=name").json()["results"]
    assert [(one["name"], one["digest"], one["health"]) for one in rows] == [
        ("cache", V2, None),
        ("web", V2, "unhealthy"),
    ]
    mine = api.get(f"nodes/{fleet.web_node.name}/containers/").json()["results"]
    assert [(one["name"], one["managed_by"], one["image"]) for one in mine] == [
        ("cache", "hand", f"{APP}:v2"),
        ("web", "quadlet", f"{APP}:v1"),
    ]


def test_the_tab_of_a_node_shows_containers_units_and_images(fleet: Cast) -> None:
    page = signed_in(fleet.owner).get(f"/nodes/{fleet.web_node.name}/?tab=containers").content.decode()
    for text in (
        "/etc/containers/systemd/web.container",
        "web.service",
        "Quadlet",
        "Images on the host",
        "a1a1a1a1a1a1",
    ):
        assert text in page


def test_a_drop_in_of_ours_is_told_with_the_drift_and_counts_for_none(fleet: Cast) -> None:
    path = "/etc/containers/systemd/web.container.d/50-fleetui-image.conf"
    other = "/etc/containers/systemd/web.container.d/10-memory.conf"
    node = make_node("changed", pool=fleet.web)
    make_facts(node, **section(container("web"), units=[unit("web", dropins=[other, path], image=f"{APP}:v2")]))
    told = Api(fleet.owner).get("nodes/changed/drift/").json()
    assert told["on_purpose"] == [{"path": path, "unit": "web.service", "image": f"{APP}:v2"}]
    assert told["differences"] == []
    page = signed_in(fleet.owner).get("/nodes/changed/ignition/").content.decode()
    assert path in page
    assert other not in page


def test_a_digest_is_found_by_name_where_the_runtime_says_no_id() -> None:
    (row,) = rows_of(make_id(), section(container("web", image_id=None), runtime="docker"))
    assert row.digest == V1


def test_a_container_that_names_the_id_of_its_image_runs_the_image_of_that_id() -> None:
    called = {"image": "sha256:id-v1", "image_id": "sha256:id-v1"}
    (row,) = rows_of(make_id(), section(container("etcd", **called), runtime="containerd"))
    assert (row.repository, row.tag, row.digest) == (APP, "v1", V1)
    called = {"image": "sha256:" + "f" * 64, "image_id": "sha256:" + "f" * 64}
    (row,) = rows_of(make_id(), section(container("gone", **called), runtime="containerd"))
    assert (row.repository, row.tag, row.digest) == (called["image"], "", "")


def test_an_image_is_used_where_the_runtime_names_it_without_an_id(cast: Cast) -> None:
    document = section(
        container("web", image_id=None), container("tool", image_id=None, image="tool"), runtime="docker"
    )
    images = document["containers"]["runtimes"][0]["images"]
    images.append({"id": "id-tool", "names": ["tool:latest"], "digests": [], "size_bytes": 5})
    make_facts(cast.web_node, **document)
    page = signed_in(cast.owner).get(f"/nodes/{cast.web_node.name}/?tab=containers").content.decode()
    used = {name: f'data-label="Used">{word}' for name, word in (("v1", "yes"), ("v2", "<span"), ("tool", "yes"))}
    table = page.partition("Images on the host")[2]
    for name, wanted in used.items():
        row = next(part for part in table.split("<tr") if f"{name}" in part and 'data-label="Used"' in part)
        assert wanted in row, name
