"""Clusters: the list, one cluster and REST count the same, and what one may see only."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nodes.models import Cluster, FactTerm, Node
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_node, make_pool
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def prod(cast: Cast) -> Cluster:
    """The pools web and db are in it; a node of web is degraded, one of db is retired."""
    cluster = Cluster.objects.create(name="prod", description="The shop")
    for pool in (cast.web, cast.db):
        pool.cluster = cluster
        pool.save()
    make_node("web-2", pool=cast.web, health="degraded", health_reason="units_failed", booted_version="43.20260101.3.0")
    make_node("db-9", pool=cast.db, lifecycle="retired")
    for node, version in (
        (cast.web_node, "v1.34.1"),
        (cast.db_node, "v1.33.5"),
        (Node.objects.get(name="db-9"), "v1.30.0"),
    ):
        FactTerm.objects.create(node=node, path="kubernetes.kubelet_version", value=version)
    return cluster


def shown(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode()))


def test_the_list_counts_nodes_states_versions_and_kubelets(cast: Cast, prod: Cluster) -> None:
    page = shown(signed_in(cast.owner).get("/clusters/").content)
    assert re.search(r"prod The shop 2 3 Needs? ?.*|prod The shop 2 3 1 0", page)
    assert "44.20261101.3.0 2" in page
    assert "v1.34.1 1" in page
    assert "v1.30.0" not in page


def test_versions_that_have_no_room_in_the_list_are_counted(cast: Cast, prod: Cluster) -> None:
    for day in (1, 2, 3):
        make_node(f"old-{day}", pool=cast.web, booted_version=f"42.2026010{day}.3.0")
    page = signed_in(cast.owner).get("/clusters/").content
    assert "2 more" in shown(page)
    assert "42.20260101.3.0" not in shown(page)
    assert "2 more" in shown(signed_in(cast.owner).get("/clusters/prod/").content)


def test_a_cluster_shows_troubles_pools_and_links(cast: Cast, prod: Cluster) -> None:
    html = signed_in(cast.owner).get("/clusters/prod/").content
    page = shown(html)
    assert "1 Failed units" in page
    assert "cluster=prod&amp;lifecycle=active&amp;health=degraded&amp;reason=units_failed" in html.decode()
    assert 'href="/pools/web/"' in html.decode()
    assert "fact=kubernetes.kubelet_version%3Dv1.34.1" in html.decode()
    assert "Versions over time" in page


def test_each_count_leads_to_as_many_nodes(cast: Cast, prod: Cluster) -> None:
    client = signed_in(cast.owner)
    page = client.get("/clusters/prod/").content.decode()
    links = set(re.findall(r'<a class="ui-tag" href="(/nodes/[^"]+)">.*?<b class="ui-num">(\d+)</b>', page))
    assert len(links) >= 4
    for url, count in links:
        assert f"of {count} node{'s' if count != '1' else ''}" in shown(
            client.get(url.replace("&amp;", "&")).content
        ), url


def test_one_sees_the_own_pools_only(cast: Cast, prod: Cluster) -> None:
    page = shown(signed_in(cast.viewer).get("/clusters/prod/").content)
    assert "2 nodes" in page
    assert "v1.33.5" not in page
    assert signed_in(cast.viewer).get("/clusters/other/").status_code == 404
    assert Api(cast.viewer).get("clusters/prod/").json()["nodes"] == 2


def test_rest_counts_as_the_page(cast: Cast, prod: Cluster) -> None:
    row: dict[str, Any] = Api(cast.owner).get("clusters/").json()["results"][0]
    assert (row["name"], row["pools"], row["nodes"], row["needing_attention"]) == ("prod", 2, 3, 1)
    assert row["health"] == {"healthy": 2, "degraded": 1, "unknown": 0}
    assert row["versions"] == {"44.20261101.3.0": 2, "43.20260101.3.0": 1}
    assert row["kubelet_versions"] == {"v1.34.1": 1, "v1.33.5": 1}
    assert Api(cast.owner).get("clusters/prod/").json() == row
    assert Api(cast.owner).get("clusters/?fields=name,nodes").json()["results"] == [{"name": "prod", "nodes": 3}]


def test_the_number_of_queries_does_not_grow(cast: Cast, prod: Cluster) -> None:
    client = signed_in(cast.owner)
    client.get("/clusters/")
    with CaptureQueriesContext(connection) as few:
        client.get("/clusters/")
    for number in range(5):
        pool = make_pool(f"p{number}", cluster=Cluster.objects.create(name=f"c{number}"))
        make_node(pool=pool, booted_version=f"44.{number}")
    with CaptureQueriesContext(connection) as many:
        client.get("/clusters/")
    assert len(few) == len(many) <= 11


def test_the_empty_page_teaches(cast: Cast) -> None:
    assert "No clusters yet" in shown(signed_in(cast.owner).get("/clusters/").content)
