"""Ignition of a pool and of a node in the browser: what they should have, what machines were born with, and their values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import IgnitionValue, IgnitionVersion, Node, Pool
from nodes.services.ignition import intent, values
from nodes.services.provisioning.offer import provision
from nodes.tests.cast import Cast
from nodes.tests.make import BUTANE, NOW, make_config, make_version, principal
from nodes.tests.pages import signed_in, text_of, url

pytestmark = pytest.mark.django_db
SOURCE = BUTANE.replace("{motd}", "hello")


class TestPoolAndNode:
    SOURCE = "# fleetui:variable join secret -- Token\n# fleetui:variable ntp string = pool.ntp.org\n" + SOURCE.replace(
        "inline: hello", 'inline: "${fleetui:join} ${fleetui:ntp}"'
    )

    def test_a_pool_chooses_among_approved_versions(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config, state="approved")
        make_version(config, state="in_review")
        browser = signed_in(cast.operator)
        page = browser.get(url("pool_ignition", "web"))
        assert [one["value"] for one in page.context["choices"]] == ["edge/1"]
        browser.post(url("pool_ignition_choose", "web"), {"version": "edge/1", "reason": "go"})
        assert Pool.objects.get(pk=cast.web.pk).intended_version == IgnitionVersion.objects.get(number=1)
        refused = browser.post(url("pool_ignition_choose", "web"), {"version": "edge/2"}, follow=True)
        assert "not approved" in text_of(refused)
        assert "edge version 1" in text_of(browser.get(url("pool", "web")))
        gone = browser.post(url("pool_ignition_choose", "web"), {"version": "none/9"}, follow=True)
        assert "There is no version none/9" in text_of(gone), "it may be gone since the page was read"
        assert Pool.objects.get(pk=cast.web.pk).intended_version == IgnitionVersion.objects.get(number=1)
        browser.post(url("pool_ignition_choose", "web"), {"version": ""})
        assert Pool.objects.get(pk=cast.web.pk).intended_version is None
        assert signed_in(cast.viewer).post(url("pool_ignition_choose", "web"), {"version": ""}).status_code == 403
        assert signed_in(cast.viewer).get(url("pool_ignition", "db")).status_code == 404

    def test_values_are_set_and_secrets_shown_to_nobody(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), source=self.SOURCE, state="approved")
        intent.intend(pool=cast.web, version=version, actor=SYSTEM, now=NOW)
        browser = signed_in(cast.operator)
        assert "join has no value" in text_of(browser.get(url("pool_ignition", "web")))
        given = {"name": "join", "value": "t0ken-of-web", "secret": "1"}
        browser.post(url("pool_ignition_value", "web"), given)
        browser.post(url("node_ignition_value", "web-1"), {"name": "ntp", "value": "ntp.example.org"})
        for page in (
            url("pool_ignition", "web"),
            url("node_ignition", "web-1"),
            f"{url('ignition_version', 'edge', 1)}?tab=rendered&node=web-1",
            url("detail", "web-1"),
        ):
            assert "t0ken-of-web" not in text_of(signed_in(cast.owner).get(page)), page
        rendered = text_of(browser.get(f"{url('ignition_version', 'edge', 1)}?tab=rendered&node=web-1"))
        assert "%5Bsecret%20join%5D%20ntp.example.org" in rendered
        assert "ntp.example.org" in text_of(browser.get(url("node_ignition", "web-1")))
        assert "user:" not in text_of(browser.get(url("node_ignition", "web-1"))), "people know names"
        browser.post(url("node_ignition_value", "web-1"), {"name": "ntp", "delete": "1"})
        assert [row.name for row in IgnitionValue.objects.all()] == ["join"]
        assert "no name of a variable" in text_of(
            browser.post(url("pool_ignition_value", "web"), {"name": "No", "value": "x"}, follow=True)
        )
        assert signed_in(cast.viewer).post(url("pool_ignition_value", "web"), given).status_code == 403
        assert "no node" in text_of(browser.get(f"{url('ignition_version', 'edge', 1)}?tab=rendered&node=db-1"))

    def test_a_secret_keeps_its_lines(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web), source=self.SOURCE, state="approved")
        intent.intend(pool=cast.web, version=version, actor=SYSTEM, now=NOW)
        browser = signed_in(cast.operator)
        for place in ("pool_ignition", "node_ignition"):
            page = text_of(browser.get(url(place, "web" if place.startswith("pool") else "web-1")))
            field = re.search(r'name="secret" value="1"><(\w+)[^>]* name="value"', page)
            assert field, place
            assert field[1] == "textarea", "browsers take the line ends out of what is pasted into a field of one line"
        for sent, kept in (("BEGIN\r\nkey\r\nEND\r\n", "BEGIN\nkey\nEND\n"), ("one-line\r\n", "one-line")):
            browser.post(url("pool_ignition_value", "web"), {"name": "join", "value": sent, "secret": "1"})
            assert values.values_of(cast.web)["join"].text == kept

    def test_a_node_says_what_it_was_born_with(self, cast: Cast) -> None:
        config = make_config("edge", cast.web)
        make_version(config, state="superseded")
        second = make_version(config, state="approved")
        intent.intend(pool=cast.web, version=second, actor=SYSTEM, now=NOW)
        browser = signed_in(cast.operator)
        browser.post(url("node_ignition_choose", "web-1"), {"version": "edge/1"})
        page = text_of(browser.get(url("node_ignition", "web-1")))
        assert "Behind" in page
        assert "noted by hand" in page
        browser.post(url("node_ignition_choose", "web-1"), {"version": "edge/2"})
        assert "As it should" in text_of(browser.get(url("node_ignition", "web-1")))
        assert signed_in(cast.viewer).post(url("node_ignition_choose", "web-1"), {}).status_code == 403

    def test_nodes_are_found_by_config_and_version(self, cast: Cast) -> None:
        version = make_version(make_config("edge", cast.web))
        Node.objects.filter(name="web-1").update(applied_version=version, applied_how="fetch", applied_at=NOW)
        browser = signed_in(cast.owner)
        for asked, expected in (("edge", 1), ("edge/1", 1), ("edge/2", 0), ("edge/x", 0), ("other", 0)):
            found = browser.get("/api/v1/nodes/", {"ignition": asked}).json()["results"]
            assert len(found) == expected, asked

    def test_pages_cost_the_same_for_any_number(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        version = make_version(make_config("edge", cast.web), source=self.SOURCE, state="approved")
        intent.intend(pool=cast.web, version=version, actor=SYSTEM, now=NOW)
        for number in range(12):
            values.set_value(place=cast.web, name=f"v{number}", value="x", actor=SYSTEM, now=NOW)
            values.set_value(place=cast.web_node, name=f"v{number}", value="x", actor=SYSTEM, now=NOW)
        browser = signed_in(cast.owner)
        for page in (url("pool_ignition", "web"), url("node_ignition", "web-1")):
            with django_assert_max_num_queries(18):
                browser.get(page)


def test_an_offer_that_has_ended_has_no_deadline(cast: Cast) -> None:
    version = make_version(make_config("edge", cast.web), source=SOURCE, state="approved")
    owner, now = principal(cast.owner), clock.now()
    made = [provision(node=cast.web_node, version=version, actor=owner, now=now).provisioning for _each in range(2)]
    page = text_of(signed_in(cast.owner).get(url("provision", cast.web_node.name)))
    assert page.count('data-label="Deadline"><time') == 1, "the second took the place of the first"
    assert page.count('data-label="Deadline"><span class="ui-nothing">') == 1
    assert all(f'data-copy="{one.fingerprint}"' in page for one in made)
