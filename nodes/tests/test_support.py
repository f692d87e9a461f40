"""End of support: entered or imported, what ends first counts, and pages, filter and REST agree."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from nodes.hosts.facts import Facts as HostFacts
from nodes.hosts.facts import Os
from nodes.models import Facts, Node, SupportEnd
from nodes.releases.support import SupportEnd as Rule
from nodes.releases.support import end_of
from nodes.services.releases import import_releases
from nodes.services.support import add_support_end, unsupported
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_node, principal
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
PAST, FUTURE = date(2026, 1, 1), date(2099, 1, 1)


def shown(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode()))


def test_what_ends_first_counts() -> None:
    rules = [Rule("", "43", FUTURE, "fcos"), Rule("stable", "", PAST, "fcos"), Rule("lts", "43", PAST, "flatcar")]
    assert end_of(rules, "fcos", "stable", "43.20260101.3.0") == PAST
    assert end_of(rules, "fcos", "testing", "43.20260101.2.0") == FUTURE
    assert end_of(rules, "fcos", "testing", "430.1") is None
    assert end_of(rules, "flatcar", "stable", "43.2.0") is None
    assert end_of(rules, "fcos", "stable", "") is None


def test_the_filter_finds_what_the_rules_say(cast: Cast) -> None:
    make_node("old", booted_version="42.20250101.3.0")
    make_node("nearly", booted_version="420.1")
    make_node("other", os_family="flatcar", booted_version="42.1.0")
    make_node("unread", booted_version="")
    add_support_end(os_family="fcos", major="42", ends_on=PAST, actor=SYSTEM, now=NOW)
    add_support_end(os_family="fcos", major="44", ends_on=FUTURE, actor=SYSTEM, now=NOW)
    assert [node.name for node in unsupported(Node.objects.all(), clock.now())] == ["old"]
    assert Api(cast.owner).names("nodes/?unsupported=true") == ["old"]
    assert "old" not in Api(cast.owner).names("nodes/?unsupported=false")
    assert len(Api(cast.owner).names("nodes/?unsupported=false")) == Node.objects.count() - 1


def test_nothing_is_unsupported_without_rules(cast: Cast) -> None:
    assert Api(cast.owner).names("nodes/?unsupported=true") == []


def test_pages_say_since_when(cast: Cast) -> None:
    day = clock.now().date() - timedelta(days=10)
    add_support_end(os_family="fcos", major="44", ends_on=day, actor=SYSTEM, now=NOW)
    client = signed_in(cast.owner)
    said = f"unsupported since {day.isoformat()}"
    assert said in shown(client.get("/").content)
    assert said in shown(client.get("/pools/web/").content)
    document = HostFacts(os=Os(family="fcos", name="Fedora CoreOS")).as_json()
    facts = Facts.objects.create(node=cast.web_node, generation=1, read_at=NOW, hash="f" * 64, document=document)
    Node.objects.filter(pk=cast.web_node.pk).update(facts=facts)
    assert said in shown(client.get("/nodes/web-1/").content)
    assert said in shown(client.get("/settings/releases/").content)
    SupportEnd.objects.update(ends_on=clock.now().date() + timedelta(days=10))
    assert "supported until" in shown(client.get("/pools/web/").content)


def test_a_document_tells_and_an_admin_stands_above_it(cast: Cast) -> None:
    release = {"stream": "stable", "version": "43.20260101.3.0"}
    document = {"streams": ["stable"], "releases": [release], "support": [{"major": "43", "ends_on": "2026-12-02"}]}

    def taken() -> tuple[date, str]:
        import_releases(text=json.dumps(document), actor=SYSTEM, now=NOW)
        row = SupportEnd.objects.get()
        return row.ends_on, row.source

    assert taken() == (date(2026, 12, 2), "document")
    add_support_end(os_family="fcos", major="43", ends_on=FUTURE, actor=principal(cast.owner), now=NOW)
    assert taken() == (FUTURE, "admin")
    document["support"] = [{"major": "43", "ends_on": "soon"}]
    with pytest.raises(InvalidInput, match="ends_on"):
        taken()
    document["support"] = [{"major": "f43", "ends_on": "2026-12-02"}]
    with pytest.raises(InvalidInput, match="major"):
        taken()


def test_an_admin_enters_and_deletes_it_with_an_audit_event(cast: Cast) -> None:
    client = signed_in(cast.owner)
    given = {"os_family": "fcos", "stream": "", "major": "43", "ends_on": "2026-12-02", "note": "Fedora's calendar"}
    assert client.post("/settings/releases/-/support/", given).status_code == 302
    assert AuditEvent.objects.filter(action="releases.support_add", subject="support:fcos 43").count() == 1
    again = client.post("/settings/releases/-/support/", given)
    assert again.status_code == 422
    assert "is set already" in again.content.decode()
    assert client.post("/settings/releases/-/support/", {**given, "major": "f43"}).status_code == 422
    row = SupportEnd.objects.get()
    assert client.post(f"/settings/releases/-/support/{row.pk}/delete/").status_code == 302
    assert AuditEvent.objects.filter(action="releases.support_delete").count() == 1
    assert signed_in(cast.viewer).post("/settings/releases/-/support/", given).status_code == 403


def test_rest_sets_and_takes_away(cast: Cast) -> None:
    api = Api(cast.owner)
    made = api.post("releases/support/", {"os": "flatcar", "stream": "lts-2024", "ends_on": "2026-12-02"})
    assert made.status_code == 201
    listed = api.get("releases/support/").json()["results"]
    assert listed == [made.json()]
    assert (listed[0]["os"], listed[0]["stream"], listed[0]["major"]) == ("flatcar", "lts-2024", None)
    assert api.delete(f"releases/support/{made.json()['id']}/").status_code == 204
    assert api.delete(f"releases/support/{made.json()['id']}/").status_code == 404
    assert api.post("releases/support/", {"os": "plan9", "ends_on": "2026-12-02"}).status_code == 400
    assert Api(cast.viewer).post("releases/support/", {"ends_on": "2026-12-02"}).status_code == 403
