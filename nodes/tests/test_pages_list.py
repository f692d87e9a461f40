"""The nodes list: who sees what, filters in the address, keyset pages, and polls of a selection."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from nodes.models import Node
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_cluster, make_node, make_pool, make_user
from nodes.tests.pages import signed_in

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture
def admin() -> Client:
    return signed_in(make_user("admin", "admin"))


def names(response: Any) -> list[str]:
    return re.findall(r'<span class="n-name"><a href="/nodes/([^"/]+)/" title', response.content.decode())


def link(response: Any, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', response.content.decode())
    return found[1].replace("&amp;", "&") if found else ""


def test_strangers_are_sent_to_sign_in(client: Client) -> None:
    response = client.get("/nodes/")
    assert response.status_code == 302
    assert "next=/nodes/" in response["Location"]


def test_a_viewer_sees_the_nodes_of_the_own_pools_only(cast: Cast) -> None:
    assert names(signed_in(cast.viewer).get("/nodes/")) == ["web-1"]
    assert names(signed_in(cast.owner).get("/nodes/")) == ["db-1", "loose-1", "web-1"]


def test_who_has_no_role_is_refused(cast: Cast) -> None:
    assert signed_in(cast.outsider).get("/nodes/").status_code == 403


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("pool=web", ["a"]),
        ("pool=web,db", ["a", "b"]),
        ("cluster=prod", ["a"]),
        ("health=degraded", ["b"]),
        ("reason=disk_full", ["b"]),
        ("needs_attention=true", ["b"]),
        ("version=44.1", ["c"]),
        ("label=rack:r1", ["a"]),
        ("q=10.9.9", ["c"]),
        ("lifecycle=retired", ["d"]),
        ("pool=db&health=healthy", []),
    ],
)
def test_filters_stand_in_the_address(admin: Client, query: str, expected: list[str]) -> None:
    make_node("a", pool=make_pool("web", cluster=make_cluster("prod")), labels={"rack": "r1"})
    make_node("b", pool=make_pool("db"), health="degraded", health_reason="disk_full")
    make_node("c", booted_version="44.1", address="10.9.9.1")
    make_node("d", lifecycle="retired")
    assert names(admin.get(f"/nodes/?{query}")) == expected


def test_retired_nodes_are_left_out_and_said_to_be(admin: Client) -> None:
    make_node("a")
    make_node("d", lifecycle="retired")
    response = admin.get("/nodes/")
    assert names(response) == ["a"]
    assert "1 retired node is not shown" in response.content.decode()
    make_node("web-old", lifecycle="retired")
    assert "1 retired node is not shown" in admin.get("/nodes/?q=web").content.decode()
    assert "not shown" not in admin.get("/nodes/?q=a&health=degraded").content.decode()


def test_all_of_an_unusable_filter_is_not_offered(admin: Client) -> None:
    make_node("a")
    assert "data-bulk-no-all" not in admin.get("/nodes/?pool=web").content.decode()
    assert "data-bulk-no-all" in admin.get("/nodes/?fact=driver=ixgbe").content.decode()


def test_a_filter_that_cannot_be_used_is_named(admin: Client) -> None:
    make_node("a")
    response = admin.get("/nodes/?health=sick")
    assert response.status_code == 200
    assert "health" in response.content.decode()
    assert "sick" in response.content.decode()


@pytest.mark.parametrize(("query", "meant"), [("os_family=fcos", "os"), ("helth=degraded", "health")])
def test_a_filter_that_does_not_exist_is_named_with_what_was_meant(admin: Client, query: str, meant: str) -> None:
    make_node("a")
    text = admin.get(f"/nodes/?{query}").content.decode()
    assert f"The filter {query.partition('=')[0]} was left out: There is no such filter. Did you mean {meant}" in text
    assert "data-bulk-no-all" in text
    usual = admin.get("/nodes/?sort=name&per_page=50&columns=pool&view=all&after=x&before=x&os=fcos")
    assert "There is no such filter" not in usual.content.decode()


def test_where_rows_are_cards_a_menu_sorts(admin: Client) -> None:
    make_node("a")
    page = admin.get("/nodes/?sort=-name&q=a").content.decode()
    menu = page.partition("n-sort")[2].partition("</details>")[0]
    assert 'href="?sort=name&amp;q=a" aria-current="true">Name<' in menu
    assert 'sort=health&amp;q=a" aria-current="false">Health</a>' in menu.replace("-health", "health")


def test_an_axis_is_sorted_by_how_much_it_asks_for_attention(admin: Client) -> None:
    make_node("a")
    make_node("b", reachability="never_seen")
    make_node("c", reachability="unreachable")
    make_node("d", reachability="key_mismatch")
    assert names(admin.get("/nodes/?sort=reachability")) == ["d", "c", "b", "a"]
    assert names(admin.get("/nodes/?sort=-reachability")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "sort",
    ["name", "-name", "pool", "-pool", "version", "-version", "health", "-update_state", "last_seen", "-last_seen"],
)
def test_every_order_walks_the_whole_list_there_and_back(admin: Client, sort: str) -> None:
    pools = [make_pool(f"p{number}") for number in range(3)]
    for number in range(120):
        make_node(
            f"n{number:03}",
            pool=pools[number % 4] if number % 4 < 3 else None,
            booted_version=f"44.{number % 5}",
            health="degraded" if number % 7 == 0 else "healthy",
            last_seen_at=NOW - timedelta(seconds=number % 9) if number % 6 else None,
        )
    pages = [admin.get(f"/nodes/?sort={sort}")]
    while following := link(pages[-1], "next"):
        pages.append(admin.get(f"/nodes/{following}"))
    walked = [name for page in pages for name in names(page)]
    assert len(walked) == len(set(walked)) == 120
    assert [len(names(page)) for page in pages] == [50, 50, 20]
    assert "101–120 of 120" in pages[-1].content.decode()
    back = admin.get(f"/nodes/{link(pages[-1], 'prev')}")
    assert names(back) == names(pages[1])
    assert "51–100 of 120" in back.content.decode()


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WzEsMl0", "W3sidCI6ImgifSwiYSIsMV0", "WzEsImEiLDFd"])
def test_a_broken_cursor_shows_the_first_page(admin: Client, cursor: str) -> None:
    make_node("a")
    for sort in ("name", "last_seen", "health"):
        assert admin.get(f"/nodes/?after={cursor}&sort={sort}").status_code == 200


def test_page_sizes(admin: Client) -> None:
    for number in range(101):
        make_node(f"n{number:03}")
    assert len(names(admin.get("/nodes/?per_page=100"))) == 100
    assert len(names(admin.get("/nodes/?per_page=7"))) == 50


def test_counts_are_exact_up_to_the_limit(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.querysets.COUNT_LIMIT", 3)
    monkeypatch.setattr("nodes.views.list.COUNT_LIMIT", 3)
    for number in range(3):
        make_node(f"n{number}")
    assert "1–3 of 3 nodes" in admin.get("/nodes/").content.decode()
    make_node("n3")
    assert "1–4 of 3+ nodes" in admin.get("/nodes/").content.decode()


def test_without_nodes_the_page_teaches(admin: Client) -> None:
    page = admin.get("/nodes/").content.decode()
    assert "No nodes yet" in page
    assert "make demo" in page


def test_without_a_match_the_filters_can_be_cleared(admin: Client) -> None:
    make_node("a")
    page = admin.get("/nodes/?q=nothing-like-it").content.decode()
    assert "No node matches" in page
    assert "Clear the filters" in page


def test_a_live_refresh_gets_the_table_only(admin: Client) -> None:
    make_node("a")
    response = admin.get("/nodes/?pool=", headers={"HX-Request": "true"})
    assert names(response) == ["a"]
    assert "<html" not in response.content.decode()
    assert "HX-Request" in response["Vary"]
    assert "HX-Request" in admin.get("/nodes/")["Vary"]


def test_a_live_refresh_keeps_the_page(admin: Client) -> None:
    for number in range(60):
        make_node(f"n{number:03}")
    second = admin.get(f"/nodes/{link(admin.get('/nodes/?q=n'), 'next')}")
    live = re.search(r'data-live="([^"]+)"', second.content.decode())
    assert live is not None
    refreshed = admin.get(live[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert names(refreshed) == names(second)
    assert len(names(second)) == 10


def test_a_row_says_when_it_changed(admin: Client) -> None:
    node = make_node("a")
    before = re.findall(r'data-rev="(\w+)"', admin.get("/nodes/").content.decode())
    assert before == re.findall(r'data-rev="(\w+)"', admin.get("/nodes/").content.decode())
    Node.objects.filter(pk=node.pk).update(health="degraded")
    assert before != re.findall(r'data-rev="(\w+)"', admin.get("/nodes/").content.decode())


def test_what_a_host_says_is_escaped(admin: Client) -> None:
    make_node(
        "a", os_name="<b>os</b>", os_family="unknown", booted_version="<script>alert(1)</script>", health="degraded",
        health_reason="units_failed", health_params={"count": 1, "units": ['"><img src=x onerror=alert(1)>']},
    )  # fmt: skip
    page = admin.get("/nodes/").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>os" not in page


def test_the_number_of_queries_does_not_grow_with_the_fleet(admin: Client) -> None:
    pool = make_pool("web")
    make_node("first", pool=pool)
    admin.get("/nodes/")
    with CaptureQueriesContext(connection) as few:
        admin.get("/nodes/")
    for number in range(59):
        make_node(f"n{number}", pool=pool if number % 2 else None, health="degraded" if number % 3 else "healthy")
    with CaptureQueriesContext(connection) as many:
        admin.get("/nodes/?per_page=100")
    assert len(few) == len(many) <= 11


def test_the_filter_panel_counts_what_a_person_may_see(cast: Cast) -> None:
    panel = signed_in(cast.viewer).get("/nodes/-/filter-panel/", {"pool": "web", "sort": "-name"})
    text = panel.content.decode()
    assert 'href="?sort=-name" data-filter-option data-text="Pool: web" aria-current="true"' in text
    assert "Pool: db" not in text
    assert "network.interfaces.driver" in text
    assert signed_in(cast.outsider).get("/nodes/-/filter-panel/").status_code == 403


def test_the_list_asks_for_its_filter_panel_with_the_filters_that_are_set(admin: Client) -> None:
    make_node("a")
    text = admin.get("/nodes/?health=degraded").content.decode()
    assert 'hx-get="/nodes/-/filter-panel/?health=degraded"' in text
    assert "data-filter-option" not in text


def test_poll_now_makes_the_selected_nodes_due(cast: Cast) -> None:
    client = signed_in(cast.operator)
    response = client.post(
        reverse("nodes:poll_many"), {"id": [str(cast.web_node.pk), str(cast.db_node.pk), "nonsense"]}
    )
    assert response.status_code == 302
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["1 node is polled now."]
    cast.web_node.refresh_from_db()
    cast.db_node.refresh_from_db()
    assert cast.web_node.poll_requested_at is not None
    assert cast.db_node.poll_requested_at is None


def test_poll_now_reaches_all_that_match(admin: Client) -> None:
    sick = [make_node(f"s{number}", health="degraded") for number in range(3)]
    make_node("fine")
    given = {"all": "1", "filter": "health=degraded", "without": [str(sick[0].pk)]}
    response = admin.post(reverse("nodes:poll_many"), given)
    assert response["Location"] == "/nodes/?health=degraded"
    polled = set(Node.objects.exclude(poll_requested_at=None).values_list("name", flat=True))
    assert polled == {"s1", "s2"}


def test_a_filter_that_cannot_be_used_polls_nothing(admin: Client) -> None:
    make_node("a")
    admin.post(reverse("nodes:poll_many"), {"all": "1", "filter": "health=sick"})
    assert not Node.objects.exclude(poll_requested_at=None).exists()


def test_a_viewer_may_not_poll(cast: Cast) -> None:
    client = signed_in(cast.viewer)
    assert client.post(reverse("nodes:poll_many"), {"id": [str(cast.web_node.pk)]}).status_code == 403
    assert "data-bulk" not in client.get("/nodes/").content.decode()


def test_polling_is_a_post(admin: Client) -> None:
    page = admin.get(reverse("nodes:poll_many"))
    assert (page.status_code, page.headers["Allow"]) == (405, "POST")
    assert "Go back to the page with the form" in page.content.decode()
