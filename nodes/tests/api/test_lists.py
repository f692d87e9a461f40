"""Lists: pages, orders, sparse fields, and refusals that name the mend."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from nodes.models import Node
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_node

pytestmark = pytest.mark.both_databases


def walk(api: Api, path: str, way: str = "next") -> list[list[str]]:
    pages, url = [], path
    while url:
        body = api.get(url).json()
        pages.append([row["name"] for row in body["results"]])
        url = body[way]
    return pages


def test_pages_hold_every_row_once_in_both_directions(cast: Cast) -> None:
    for number in range(7):
        make_node(f"n-{number}", last_seen_at=None if number % 3 == 0 else NOW - timedelta(minutes=number % 2))
    api = Api(cast.owner)
    for sort in ("name", "-name", "last_seen_at", "-last_seen_at", "pool", "-pool", "health", "-created_at"):
        pages = walk(api, f"nodes/?limit=3&sort={sort}")
        flat = [name for page in pages for name in page]
        assert sorted(flat) == sorted(Node.objects.values_list("name", flat=True)), sort
        assert [len(page) for page in pages] == [3, 3, 3, 1], sort
        last = f"nodes/?limit=3&sort={sort}"
        while (body := api.get(last).json())["next"]:
            last = body["next"]
        back = walk(api, last, "previous")
        assert [name for page in reversed(back) for name in page] == flat, sort


def test_empty_values_stand_last_in_both_directions(cast: Cast) -> None:
    api = Api(cast.owner)
    assert api.names("nodes/?sort=pool")[-1] == "loose-1"
    assert api.names("nodes/?sort=-pool")[-1] == "loose-1"


def test_rows_that_come_in_between_shift_no_page(cast: Cast) -> None:
    api = Api(cast.owner)
    first = api.get("nodes/?limit=2").json()
    make_node("aaa")
    second = api.get(first["next"]).json()
    assert [row["name"] for row in second["results"]] == ["web-1"]


@pytest.mark.parametrize(
    ("query", "field", "mend"),
    [
        ("limit=0", "limit", "1 to 1000"),
        ("limit=1001", "limit", "1 to 1000"),
        ("limit=x", "limit", "1 to 1000"),
        ("sort=color", "sort", "name, address"),
        ("cursor=zzzz", "cursor", "next"),
        ("cursor=%00", "cursor", "next"),
        ("fields=name,colour", "fields", "id, name"),
        ("colour=red", "colour", "limit, cursor"),
        ("health=sick", "health", "healthy, degraded or unknown"),
        ("needs_attention=perhaps", "needs_attention", "true or false"),
        ("facts_older_than=old", "facts_older_than", "12h"),
        ("booted_before=yesterday", "booted_before", "2026-11-22T10:00:00Z"),
        ("booted_before=2026-13-45", "booted_before", "2026-11-22T10:00:00Z"),
        ("q=a%00b", "q", ""),
        ("pool=a%00b", "pool", "Leave it out"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_mend(cast: Cast, query: str, field: str, mend: str) -> None:
    response = Api(cast.owner).get(f"nodes/?{query}")
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["field"] == field
    assert mend in body["mend"]
    assert body["errors"][0]["field"] == field
    assert body["request_id"] == response.headers["X-Request-ID"]


def test_a_cursor_of_another_order_is_refused(cast: Cast) -> None:
    api = Api(cast.owner)
    url = api.get("nodes/?limit=1").json()["next"]
    assert api.get(url + "&sort=-name").status_code == 400


def test_only_the_asked_fields_are_answered_and_read(cast: Cast) -> None:
    api = Api(cast.owner)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = api.get("nodes/?fields=name,health&sort=name")
    assert response.json()["results"][0] == {"name": "db-1", "health": "healthy"}
    listed = [query["sql"] for query in queries if 'FROM "nodes_node"' in query["sql"]]
    assert len(listed) == 1
    assert "booted" not in listed[0]
    assert api.get("nodes/web-1/?fields=name").json() == {"name": "web-1"}


@pytest.mark.parametrize(
    "path",
    [
        "nodes/",
        "pools/",
        "clusters/",
        "credentials/",
        "host-keys/",
        "releases/",
        "tokens/",
        "users/",
        "roles/",
        "audit/",
        "stats/",
    ],
)
def test_the_number_of_queries_does_not_grow(cast: Cast, path: str) -> None:
    from fleetui.access.models import RoleBinding, Token
    from nodes.tests.make import make_cluster, make_credential, make_host_key, make_pool, make_token, make_user

    api = Api(cast.owner)

    def count() -> int:
        api.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert api.get(path).status_code == 200
        return len(queries)

    make_token(cast.owner, pools=[cast.web.pk])
    make_cluster("first")
    before = count()
    for number in range(60):
        pool = make_pool(f"p-{number}", cluster=make_cluster(f"c-{number}"), credential=make_credential(f"k-{number}"))
        make_host_key(make_node(pool=pool))
        make_token(make_user(f"u-{number}", ("viewer", pool)), pools=[pool.pk])
    assert RoleBinding.objects.count() > 60
    assert Token.objects.count() > 60
    assert count() == before


def test_a_node_carries_what_the_issue_names(cast: Cast) -> None:
    node: dict[str, Any] = Api(cast.owner).get("nodes/web-1/").json()
    wanted = "id name address port os pool cluster labels generation lifecycle reachability health update_state booted staged rollback"
    assert set(wanted.split()) | {"facts_at", "last_seen_at", "boot_id", "booted_at", "kernel"} <= set(node)
    assert node["os"] == {
        "family": "fcos",
        "variant": "coreos",
        "version": "44.20261101.3.0",
        "stream": "stable",
        "name": "Fedora CoreOS",
    }
    assert set(node["booted"]) == {"version", "checksum", "origin", "image", "image_digest", "layered", "pinned"}
    assert node["staged"] is None
    assert node["pool"] == "web"
    assert (node["reachability"], node["health"], node["update_state"]) == ("reachable", "healthy", "up_to_date")
    assert node["reasons"]["health"]["sentence"]
    assert node["last_seen_at"] == "2026-11-22T10:00:00Z"


def test_the_api_is_english_whatever_the_browser_wants(cast: Cast) -> None:
    response = Api(cast.owner).get("nodes/web-1/", accept_language="th")
    assert response.headers["Content-Language"] == "en"
    assert response.json()["reasons"]["health"]["sentence"].isascii()


def test_unknown_addresses_are_problems_too(cast: Cast) -> None:
    for path in ("nope/", "nodes", "nodes/web-1", "nodes/%00/"):
        response = Api(cast.owner).get(path)
        assert response.status_code == 404, path
        assert response.headers["Content-Type"] == "application/problem+json"
