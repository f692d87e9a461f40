"""Over time and the timeline: filters in the address, numbers that are links, and nothing that one may not see."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleetui.core import clock
from nodes.models import Sample
from nodes.services.samples import take_samples
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_event, make_node, make_pool
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db


def shown(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode()))


def test_a_chart_has_its_numbers_in_legend_and_table(cast: Cast) -> None:
    make_node("w2", pool=cast.web, health="degraded", booted_version="43.20260101.3.0")
    take_samples(now=clock.now())
    page = signed_in(cast.owner).get("/history/?range=1h").content.decode()
    assert '<path class="ui-area" data-shade="0"' in page
    assert 'href="/nodes/?version=44.20261101.3.0"' in page
    assert "Every node was reachable the whole time." in page
    assert re.search(r'data-level="warn".*?Degraded.*?data-chart-value>1<', page, re.DOTALL)
    assert "style=" not in page


def test_where_no_node_is_none_is_said_to_be_well(cast: Cast) -> None:
    make_pool("empty")
    take_samples(now=clock.now())
    page = signed_in(cast.owner).get("/history/?range=1h&pool=empty").content.decode()
    assert "the whole time" not in page
    assert page.count("There were no nodes.") == 4
    assert "data-chart-plot" not in page


def test_pool_and_cluster_narrow_the_charts(cast: Cast) -> None:
    take_samples(now=clock.now())
    page = signed_in(cast.owner).get("/history/?range=1h&pool=web").content.decode()
    assert 'href="/nodes/?pool=web&amp;version=44.20261101.3.0"' in page
    assert re.search(r"44\.20261101\.3\.0</code><b[^>]*>1<", page)
    unknown = shown(signed_in(cast.viewer).get("/history/?pool=db").content)
    assert "Pool db is none that you may see." in unknown


def test_before_the_first_sample_it_says_when_there_will_be_one(cast: Cast) -> None:
    assert "The worker counts every minute" in shown(signed_in(cast.owner).get("/history/").content)


def test_the_number_of_queries_does_not_grow(cast: Cast) -> None:
    client = signed_in(cast.owner)

    def queries() -> int:
        # What pages keep for a minute is fresh at the second look, however long the test takes.
        client.get("/history/?range=1h")
        with CaptureQueriesContext(connection) as found:
            client.get("/history/?range=1h")
        return len(found)

    take_samples(now=clock.now())
    few = queries()
    for number in range(6):
        make_node(pool=make_pool(f"p{number}"), booted_version=f"43.2026010{number + 1}.3.0")
    Sample.objects.all().delete()
    take_samples(now=clock.now())
    assert few == queries() <= 11


def test_rest_gives_the_numbers_with_nulls_where_nobody_looked(cast: Cast) -> None:
    take_samples(now=clock.now())
    body = Api(cast.owner).get("stats/history/?kind=health&range=1h").json()
    assert (body["kind"], body["step_s"], len(body["at"])) == ("health", 60, 60)
    assert body["series"] == [{"value": "healthy", "nodes": [None] * 59 + [3]}]
    narrowed = Api(cast.viewer).get("stats/history/?kind=health&range=1h").json()
    assert narrowed["series"][0]["nodes"][-1] == 1


@pytest.mark.parametrize(
    ("query", "field"), [("kind=colour", "kind"), ("range=9y", "range"), ("pool=db", "pool"), ("cluster=x", "cluster")]
)
def test_rest_names_what_is_wrong(cast: Cast, query: str, field: str) -> None:
    answer = Api(cast.viewer).get(f"stats/history/?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_the_timeline_of_a_node_is_filtered_by_what_who_and_when(cast: Cast) -> None:
    now = clock.now()
    make_event(cast.web_node, "upgraded", params={"before": "1", "after": "2"}, at=now)
    make_event(cast.web_node, "node_edited", actor="user:anna", params={"fields": ["labels"]}, at=now)
    make_event(cast.web_node, "rebooted", at=now - timedelta(days=3), generation=2)
    client = signed_in(cast.viewer)

    def asked(query: str) -> str:
        return shown(client.get(f"/nodes/web-1/?tab=timeline&{query}").content)

    entries = r"Upgraded from 1 to 2|Rebooted|labels"
    page = asked("")
    assert len(re.findall(entries, page)) >= 3
    assert "Upgraded from 1 to 2" in asked("kind=upgraded")
    assert "anna changed" not in asked("kind=upgraded")
    assert "Upgraded from" not in asked("actor=user:anna")
    assert "Upgraded from" in asked("actor=fleetui")
    since = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%MZ")
    assert "Upgraded from" in asked(f"since={since}")
    assert "Upgraded from" not in asked(f"until={since}")
    assert "Upgraded from" not in asked("generation=2")
    assert "The filter kind was left out" in asked("kind=nonsense")
    assert "Nothing that happened matches" in asked("generation=7")


def test_the_words_of_a_sentence_are_found_in_any_language(cast: Cast) -> None:
    refused = {"reason": "refused", "address": "10.0.0.7", "port": 22}
    make_event(cast.web_node, "became_unreachable", params=refused)
    make_event(cast.web_node, "upgraded", params={"before": "43.1", "after": "43.2"}, actor="user:anna")
    make_event(cast.web_node, "became_reachable", params={"minutes": 3})
    client = signed_in(cast.viewer)

    def found(text: str, language: str = "en") -> list[str]:
        page = shown(
            client.get("/nodes/web-1/", {"tab": "timeline", "q": text}, headers={"Accept-Language": language}).content
        )
        return re.findall("refused the connection|Upgraded from|Reachable again|ปฏิเสธ", page)

    assert (
        found("Refused") == found("unreachable 10.0.0.7") == found("connection on port") == ["refused the connection"]
    )
    assert found("43.2") == found("upgraded anna") == ["Upgraded from"]
    assert found("again after minutes") == ["Reachable again"]
    assert found("refused anna") == found("no-such-word") == []
    assert found("ปฏิเสธ", "th")[:1] == ["ปฏิเสธ"]


def test_rest_takes_the_same_filters(cast: Cast) -> None:
    make_event(cast.web_node, "upgraded")
    make_event(cast.web_node, "rebooted", actor="user:anna")
    make_event(cast.db_node, "rebooted")

    def kinds(path: str, user: Any = cast.viewer) -> list[str]:
        return [row["kind"] for row in Api(user).get(path).json()["results"]]

    assert kinds("nodes/web-1/timeline/?kind=upgraded") == ["upgraded"]
    assert kinds("nodes/web-1/timeline/?actor=user:anna") == ["rebooted"]
    assert kinds("timeline/?kind=rebooted") == ["rebooted"]
    assert len(kinds("timeline/?kind=rebooted", cast.owner)) == 2
    assert Api(cast.owner).get("timeline/?kind=rebooted&pool=db").json()["results"][0]["node"] == "db-1"
    assert Api(cast.owner).get("timeline/?kind=nonsense").status_code == 400


def test_the_timeline_of_the_fleet_shows_the_own_pools_only(cast: Cast) -> None:
    make_event(cast.web_node, "rebooted")
    make_event(cast.db_node, "rebooted")
    page = shown(signed_in(cast.viewer).get("/timeline/").content)
    assert "web-1 Rebooted" in page
    assert "db-1" not in page
    assert "db-1 Rebooted" in shown(signed_in(cast.owner).get("/timeline/?pool=db").content)


def test_the_timeline_pages_by_keyset(cast: Cast) -> None:
    for _ in range(60):
        make_event(cast.web_node, "rebooted")
    client = signed_in(cast.owner)
    page = client.get("/timeline/?kind=rebooted").content.decode()
    older = re.search(r'rel="next" href="(\?[^"]+)"', page)
    assert older
    assert "kind=rebooted" in older[1]
    second = client.get(f"/timeline/{older[1].replace('&amp;', '&')}").content.decode()
    assert second.count("ui-timeline-mark") == 10
