"""What the palette finds and offers, by the rights of who asks."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleetui.access.models import User
from nodes.models import Node, SavedView
from nodes.tests.cast import Cast, cast
from nodes.tests.make import make_cluster, make_config, make_node, make_pool
from nodes.tests.pages import signed_in
from ops.palette import PLACES

__all__ = ["cast"]


def found(user: User, **query: str) -> dict[str, list[str]]:
    """Labels by group."""
    groups: dict[str, list[str]] = {}
    for one in results(user, **query):
        groups.setdefault(one["group"], []).append(one["label"])
    return groups


def results(user: User, **query: str) -> list[dict[str, Any]]:
    response = signed_in(user).get("/palette/", query)
    assert response.status_code == 200
    answer: list[dict[str, Any]] = response.json()["results"]
    return answer


def test_nodes_are_found_by_their_words(cast: Cast) -> None:
    make_node("cache-1", pool=cast.web, address="10.9.9.9", labels={"rack": "r7"})
    for words in ("cache", "10.9.9", "rack:r7", "cache 10.9"):
        nodes = [one for one in results(cast.owner, q=words) if one["group"] == "Nodes"]
        assert [(one["label"], one["url"]) for one in nodes] == [("cache-1", "/nodes/cache-1/")]
    assert results(cast.owner, q="nothing at all\0") == []


def test_the_node_that_is_named_whole_stands_before_those_that_only_hold_the_words(cast: Cast) -> None:
    for number in range(20):
        make_node(f"a-{number:02}", pool=cast.web, address=f"10.9.8.1{number:02}")
    make_node("z-last", pool=cast.web, address="10.9.8.1")
    make_node("a-00-z-last", pool=cast.web)
    for words in ("10.9.8.1", "z-last"):
        labels = found(cast.owner, q=words)["Nodes"]
        assert labels[0] == "z-last"
        assert labels.count("z-last") == 1
        assert len(labels) <= 12


def test_pools_clusters_and_views_are_found(cast: Cast) -> None:
    make_pool("webshop", cluster=make_cluster("web-cluster"))
    SavedView.objects.create(owner=cast.owner, name="Web old", query="kernel_older=6.11", columns=["kernel"])
    SavedView.objects.create(owner=cast.owner, name="Web all", query="q=web", is_shared=True)
    groups = found(cast.owner, q="web")
    assert groups["Pools"] == ["web", "webshop"]
    assert groups["Clusters"] == ["web-cluster"]
    assert groups["Saved views"] == ["Web all", "Web old"]
    seen = found(cast.viewer, q="web")
    assert (seen["Pools"], seen["Nodes"], seen["Saved views"]) == (["web"], ["web-1"], ["Web all"])
    assert "Clusters" not in seen


def test_actions_go_by_rights(cast: Cast) -> None:
    assert {"Add node", "Import nodes", "Add pool", "Add user"} <= set(found(cast.owner)["Actions"])
    operator = set(found(cast.operator)["Actions"])
    assert "Add node" in operator
    assert not {"Add pool", "Add user"} & operator
    assert "Add node" not in found(cast.viewer)["Actions"]
    assert found(cast.owner, q="import nod")["Actions"] == ["Import nodes"]
    assert signed_in(cast.outsider).get("/palette/").status_code == 403


def test_every_place_exists_and_opens(cast: Cast) -> None:
    client = signed_in(cast.owner)
    for place in PLACES:
        assert client.get(reverse(place.address)).status_code == 200, place


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("health", "/settings/health/"),
        ("notif", "/settings/notifications/"),
        ("provisioner", "/settings/provisioners/"),
        ("schedules", "/operations/schedules/"),
        ("held", "/operations/holds/"),
        ("host keys", "/nodes/-/host-keys/"),
        ("duplicates", "/nodes/-/duplicates/"),
        ("jump", "/credentials/jump-hosts/"),
        ("calendar", "/certificates/calendar/"),
        ("over time", "/history/"),
        ("timeline", "/timeline/"),
    ],
)
def test_each_page_is_found_once_by_its_name(cast: Cast, words: str, address: str) -> None:
    assert [one["url"] for one in results(cast.owner, q=words) if one["group"] == "Pages"] == [address]
    assert "/settings/health/" not in [one["url"] for one in results(cast.viewer, q="health")]


def test_what_can_be_done_with_the_node_of_the_page(cast: Cast) -> None:
    at = "/nodes/web-1/"
    assert found(cast.operator, at=at)["web-1"] == [
        "Poll web-1 now", "Put web-1 into maintenance", "Edit web-1", "Compare web-1 with another node", "Timeline of web-1",
    ]  # fmt: skip
    assert found(cast.viewer, at=at)["web-1"] == ["Compare web-1 with another node", "Timeline of web-1"]
    assert "db-1" not in found(cast.viewer, at="/nodes/db-1/")
    assert found(cast.operator, at=at, q="maint")["web-1"] == ["Put web-1 into maintenance"]
    Node.objects.filter(name="web-1").update(lifecycle="maintenance")
    assert "End the maintenance of web-1" in found(cast.operator, at=at)["web-1"]
    for odd in (
        "/nodes/",
        "/nodes/-/export/",
        "//evil.example/nodes/web-1/",
        "nonsense",
        "/pools/web/",
    ):
        assert "web-1" not in found(cast.operator, at=odd), odd


def test_an_offered_deed_works_as_it_is_offered(cast: Cast) -> None:
    client = signed_in(cast.operator)
    offered = {one["label"]: one for one in results(cast.operator, at="/nodes/web-1/") if one.get("method") == "post"}
    assert offered["Put web-1 into maintenance"]["confirm"] == "Put web-1 into maintenance"
    for one in offered.values():
        assert client.post(one["url"], one["fields"])["Location"] == "/nodes/web-1/"
    node = Node.objects.get(name="web-1")
    assert node.lifecycle == "maintenance"
    assert node.poll_requested_at is not None


@pytest.mark.parametrize("text", ["", "web"])
def test_the_palette_costs_the_same_whatever_the_fleet(cast: Cast, text: str) -> None:
    client = signed_in(cast.owner)

    def count() -> int:
        client.get("/palette/", {"q": text, "at": "/nodes/web-1/"})
        with CaptureQueriesContext(connection) as queries:
            client.get("/palette/", {"q": text, "at": "/nodes/web-1/"})
        return len(queries)

    few = count()
    for number in range(40):
        make_node(f"web-x{number}", pool=make_pool(f"web-p{number}"), health="degraded")
    assert count() == few
    assert sum(one["group"].startswith("Nodes") for one in results(cast.owner, q=text)) == 12


def test_a_cluster_or_pool_that_is_named_whole_stands_before_its_nodes(cast: Cast) -> None:
    pool = make_pool("prod-web", cluster=make_cluster("prod"))
    make_node("prod-web-1", pool=pool)
    first = results(cast.owner, q="Prod")[0]
    assert (first["group"], first["url"]) == ("Pools", "/pools/prod-web/")
    assert [one["group"] for one in results(cast.owner, q="prod")][:3] == ["Pools", "Clusters", "Nodes"]
    assert results(cast.owner, q="prod-w")[0]["group"] == "Nodes"


def test_configs_are_found_by_those_who_may_see_them(cast: Cast) -> None:
    make_config("edge-machines", cast.db)
    for user, expected in ((cast.owner, ["edge-machines"]), (cast.viewer, [])):
        found = results(user, q="edge-mach")
        assert [one["label"] for one in found if one["group"] == "Ignition configs"] == expected
