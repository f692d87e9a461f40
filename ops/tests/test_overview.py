"""The overview: every number is a link to what it counts, whoever looks and however large the fleet is."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fleetui.access.models import User
from nodes.models import Release, Stream
from nodes.tests.make import NOW, make_event, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.models import Operation
from ops.tests.test_merging import operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return signed_in(make_user("admin", "admin"))


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def a_fleet() -> None:
    web, db = make_pool("web"), make_pool("db")
    make_node("w1", pool=web)
    make_node(
        "w2",
        pool=web,
        health="degraded",
        health_reason="disk_full",
        health_params={"mount": "/boot", "used_percent": 95},
    )
    make_node(
        "w3",
        pool=web,
        health="degraded",
        health_reason="disk_full",
        health_params={"mount": "/boot", "used_percent": 99},
    )
    make_node(
        "d1", pool=db, reachability="unreachable", reachability_reason="timed_out", booted_version="43.20260101.3.0"
    )
    make_node("d2", pool=db, health="degraded", health_reason="units_failed", lifecycle="maintenance")
    make_node("d3", pool=db, health="degraded", health_reason="units_failed", lifecycle="retired")
    make_node("n1", reachability="never_seen", reachability_reason="key_unknown", failures=1, booted_version="")
    make_event(make_node("w4", pool=web), "staged", params={"version": "44.2"})


def test_the_first_run_teaches(admin: Client) -> None:
    page = admin.get("/").content.decode()
    assert "No nodes yet" in page
    assert "make demo" in page
    assert "Add the first node" in page


def test_every_count_leads_to_as_many_nodes(admin: Client) -> None:
    a_fleet()
    page = admin.get("/").content.decode()
    bars = re.findall(r'href="(/nodes/\?[^"]+)" aria-label="[^"]*: (\d+)"', page)
    attention = re.findall(r'href="(/nodes/\?[^"]+)"><span class="ui-state".*?<b class="ui-num">(\d+)</b>', page)
    legend = re.findall(r'<li><a href="(/nodes/\?[^"]+)"><svg class="ui-swatch".*?<b class="ui-num">(\d+)</b>', page)
    assert len(bars) == 10
    assert len(attention) >= 3
    assert len(legend) == 3
    for url, count in {*bars, *attention, *legend}:
        shown = text_of(admin.get(url.replace("&amp;", "&")).content.decode())
        assert (f"of {count} node" if count != "0" else "No node matches") in shown, url


def test_attention_is_grouped_by_reason_without_maintenance(admin: Client) -> None:
    a_fleet()
    shown = text_of(admin.get("/").content.decode())
    assert "2 /boot above 90 %" in shown
    assert "1 No answer in time" in shown
    assert "1 Host key waits to be accepted" in shown
    assert "Failed units" not in shown
    assert "1 retired, not counted" in shown


def test_versions_have_their_age_where_it_is_known(admin: Client) -> None:
    a_fleet()
    stream = Stream.objects.create(name="stable")
    Release.objects.create(stream=stream, version="44.20261101.3.0", released_at=NOW)
    page = admin.get("/").content.decode()
    assert (
        page.index("<code>44.20261101.3.0</code>")
        < page.index("<code>43.20260101.3.0</code>")
        < page.index("not known")
    )
    assert re.search(r"44\.20261101\.3\.0</code><span class=\"ui-muted\">-?\d+ d old", page)


def test_many_versions_are_drawn_as_few(admin: Client) -> None:
    for month in range(1, 13):
        make_node(booted_version=f"44.2025{month:02}01.3.0")
    for month in range(1, 9):
        make_node(booted_version=f"45.2026{month:02}01.3.0")
    page = admin.get("/").content.decode()
    assert "9 older" in page
    assert "Show as a table" in page


def test_one_sees_the_own_pools_only() -> None:
    a_fleet()
    viewer = make_user("viewer", ("viewer", make_pool("edge")))
    make_node("e1", pool=viewer.bindings.get().pool)
    page = signed_in(viewer).get("/").content.decode()
    assert '<b class="ui-num">1</b> node' in page
    assert ">w4<" not in page
    assert "Recent activity" not in page


def test_who_has_no_role_is_refused() -> None:
    assert signed_in(make_user("outsider")).get("/").status_code == 403
    assert signed_in(User.objects.get()).get("/palette/").status_code == 403


def test_recent_changes_and_activity(admin: Client) -> None:
    a_fleet()
    admin.post("/nodes/w1/lifecycle/", {"lifecycle": "maintenance", "reason": "new disk"})
    shown = text_of(admin.get("/").content.decode())
    assert "w4 Staged 44.2" in shown
    assert "admin changed the lifecycle of w1 new disk" in shown


def test_the_number_of_queries_does_not_grow_with_the_fleet(admin: Client) -> None:
    make_event(make_node("first", pool=make_pool("web")))
    admin.get("/")
    with CaptureQueriesContext(connection) as few:
        admin.get("/")
    pools = [make_pool(f"p{number}") for number in range(5)]
    for number in range(59):
        node = make_node(
            pool=pools[number % 5], booted_version=f"44.{number % 9}", health="degraded" if number % 3 else "healthy"
        )
        make_event(node, "rebooted")
    with CaptureQueriesContext(connection) as many:
        admin.get("/")
    assert len(few) == len(many) <= 19


def test_a_live_refresh_gets_the_content_only(admin: Client) -> None:
    a_fleet()
    response = admin.get("/", headers={"HX-Request": "true"})
    assert "<html" not in response.content.decode()
    assert 'id="overview"' in response.content.decode()
    assert "HX-Request" in response["Vary"]


def test_what_hosts_say_is_escaped(admin: Client) -> None:
    hostile = "<script>alert(1)</script>"
    node = make_node(
        "a", booted_version=hostile, health="degraded", health_reason=hostile, health_params={"mount": hostile}
    )
    make_event(node, "units_failed", params={"units": [hostile]})
    assert "<script>alert" not in admin.get("/").content.decode()


def test_what_runs_is_named_to_whoever_may_see_it(admin: Client) -> None:
    web, db = make_pool("web"), make_pool("db")
    assert "Running operations" not in admin.get("/").content.decode()
    for number in range(8):
        pool = db if number == 0 else web
        began = operation(make_node(f"run-{number}", pool=pool), "running")
        Operation.objects.filter(pk=began.pk).update(pool=pool, started_at=NOW + timedelta(seconds=number))
    operation(make_node("waits", pool=web), "queued")
    page = admin.get("/").content.decode()
    assert "Running operations" in page
    assert re.findall(r"Reboot (run-\d|waits)</a>", page) == [f"run-{number}" for number in range(6)]
    assert "/operations/?state=cancelling,needs_attention,running,waiting" in page
    seen = signed_in(make_user("dan", ("viewer", db))).get("/").content.decode()
    assert re.findall(r"Reboot (run-\d|waits)</a>", seen) == ["run-0"]
    assert seen.count("Show all") == 0
