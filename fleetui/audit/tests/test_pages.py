"""The audit log in the browser: search, filters, keyset pages, one event, and the proof of the chain."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fleetui.audit import tasks
from fleetui.audit.log import Entry, append
from fleetui.audit.models import AuditEvent, AuditHead

pytestmark = pytest.mark.django_db
URL = reverse("audit")


def signed_in(name: str, role: str = "auditor", pool: Any = None) -> Client:
    user = get_user_model()._default_manager.create(username=name)
    apps.get_model("access", "RoleBinding")._default_manager.create(user=user, role=role, pool=pool)
    made = Client()
    made.force_login(user)
    return made


def record(*entries: Entry) -> None:
    with transaction.atomic():
        append(entries)


def events(count: int) -> None:
    record(*(Entry(actor="user:anna", action="nodes.add", subject=f"node:n-{number}") for number in range(count)))


def seqs(page: Any) -> list[int]:
    return [row["event"].seq for row in page.context["rows"]]


def test_pages_follow_each_other_without_gap() -> None:
    browser = signed_in("audrey")
    events(120)
    first = browser.get(URL)
    second = browser.get(URL + first.context["older_url"])
    third = browser.get(URL + second.context["older_url"])
    top = AuditHead.objects.get(id=1).seq
    assert seqs(first) + seqs(second) + seqs(third) == list(range(top, 0, -1))
    assert third.context["older_url"] == ""
    assert seqs(browser.get(URL + third.context["newer_url"])) == seqs(second)
    assert first.context["newer_url"] == ""


def test_a_page_costs_the_same_however_long_the_log() -> None:
    browser = signed_in("audrey")
    events(60)
    browser.get(URL)
    with CaptureQueriesContext(connection) as few:
        browser.get(URL)
    events(300)
    with CaptureQueriesContext(connection) as many:
        browser.get(URL)
    assert len(many) == len(few)


def test_search_filters_and_chips() -> None:
    browser = signed_in("audrey")
    record(
        Entry(actor="user:anna", action="nodes.edit", subject="node:web-1", before={"port": 22}, after={"port": 2222}),
        Entry(actor="user:bert", action="nodes.delete", subject="node:db-1", reason="broken fan"),
        Entry(actor="anonymous", action="sign_in", subject="user:anna", outcome="refused"),
    )
    for query, subjects in [
        ({"q": "broken fan"}, ["node:db-1"]),
        ({"actor": "user:anna"}, ["node:web-1"]),
        ({"action": "nodes.edit,nodes.delete"}, ["node:db-1", "node:web-1"]),
        ({"outcome": "refused"}, ["user:anna"]),
        ({"since": "2126-01-01"}, []),
        ({"until": "2001-01-01"}, []),
    ]:
        page = browser.get(URL, query)
        assert [row["event"].subject for row in page.context["rows"]] == subjects, query
        assert bool(page.context["chips"]) == ("q" not in query)
    wrong = browser.get(URL, {"since": "soon"})
    assert "is not a moment" in wrong.content.decode()
    assert wrong.status_code == 200


def test_the_search_for_nodes_keeps_what_was_searched_among_nodes_only() -> None:
    browser = signed_in("audrey")
    field = re.compile(r'<input id="search"[^>]* value="([^"]*)"')
    assert field.findall(browser.get(URL, {"q": "broken fan"}).content.decode()) == [""]
    assert field.findall(browser.get("/nodes/", {"q": "web"}).content.decode()) == ["web"]


def test_one_event_shows_what_changed() -> None:
    browser = signed_in("audrey")
    before = {"port": 22, "labels": {"rack": "r1"}, "gone": "x", "same": 1}
    after = {"port": 2222, "labels": {"rack": "r2"}, "same": 1, "evil": "<script>alert(1)</script>"}
    record(Entry(actor="user:anna", action="nodes.edit", subject="node:web-1", before=before, after=after))
    event = AuditEvent.objects.get(action="nodes.edit")
    page = browser.get(reverse("audit_event", args=[event.seq]))
    kinds = {change["name"]: (change["kind"], change["old"], change["new"]) for change in page.context["changes"]}
    assert kinds["port"] == ("changed", "22", "2222")
    assert kinds["labels"] == ("changed", "rack=r1", "rack=r2")
    assert kinds["gone"] == ("removed", "x", "")
    assert kinds["same"][0] == "same"
    assert "<script>alert(1)" not in page.content.decode()
    assert event.hash in page.content.decode()
    assert browser.get(reverse("audit_event", args=[10**6])).status_code == 404
    assert browser.get(f"/audit/{10**30}/").status_code == 404


def test_the_chain_is_proved_and_a_changed_row_is_named(tmp_path: Any, settings: Any) -> None:
    settings.DATA_DIR = tmp_path
    browser = signed_in("audrey")
    events(5)
    assert browser.get(URL).context["anchor"] is None
    tasks.anchor()
    page = browser.get(URL)
    assert page.context["anchor"]["seq"] == page.context["head_seq"]
    verify = reverse("audit_verify")
    assert "events match their hashes" in browser.post(verify, follow=True).content.decode()
    AuditHead.objects.update(hash="0" * 64)
    assert "its head says" in browser.post(verify, follow=True).content.decode()
    assert browser.get(verify).status_code == 405


def test_only_readers_of_the_whole_log_come_in() -> None:
    web = apps.get_model("nodes", "Pool")._default_manager.create(name="web")
    events(1)
    for browser in (signed_in("vera", "viewer"), signed_in("paula", "auditor", web)):
        assert browser.get(URL).status_code == 403
        assert browser.get(reverse("audit_event", args=[1])).status_code == 403
        assert browser.post(reverse("audit_verify")).status_code == 403
    assert Client().get(URL).status_code == 302
