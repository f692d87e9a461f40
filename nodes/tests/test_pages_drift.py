"""Drift on the page of a node and in the API: who sees it, what it says, and what it never says."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from nodes.drift import Comparison, Difference, Sort, Unlooked, What
from nodes.models import Drift, IgnitionConfig, Node
from nodes.services.drift import checks
from nodes.services.drift.checks import Failure
from nodes.services.drift.states import settle
from nodes.services.ignition.intent import intend, set_applied
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_config, make_token, make_version
from nodes.tests.test_drift import DISKS

pytestmark = pytest.mark.django_db
PAGE, API = "/nodes/web-1/ignition/", "/api/v1/nodes/web-1/drift/"
FOUND = Comparison(
    (
        Difference("disks", "/dev/vdb data", What.MISSING, Sort.REPLACEMENT),
        Difference(
            "files",
            "/etc/motd",
            What.CONTENTS,
            Sort.IN_PLACE,
            diff=(("removed", "born <b>so</b>"), ("added", "by hand")),
        ),
        Difference("files", "/etc/join", What.CONTENTS, Sort.IN_PLACE, is_secret=True),
        Difference("users", "core", What.KEY_ADDED, Sort.IN_PLACE, "", "ssh-ed25519 SHA256:abc mallory"),
        Difference("files", "/etc/machine-id", What.CONTENTS, Sort.OS, reason="made_at_first_boot"),
    ),
    (Unlooked("users", "core", "password"),),
)


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nodes.api.drift", "nodes.views.ignition.drift"):
        monkeypatch.setattr(f"{module}.nudge_drift", lambda: None)


def compared(node: Node, result: Comparison | Failure = FOUND) -> Node:
    version = make_version(make_config("edge", node.pool) if node.pool else make_config("edge"), state="approved")
    node = set_applied(node=node, version=version, actor=SYSTEM, now=NOW)
    lease, _ids = checks.claim(NOW)
    assert checks.store(node=node, lease=lease, result=result, secrets=[], asked_at=None, now=NOW)
    return node


def get(client: Client, user: Any, address: str) -> str:
    client.force_login(user)
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_names_each_difference_with_its_class(cast: Cast, client: Client) -> None:
    compared(cast.web_node)
    page = get(client, cast.viewer, PAGE)
    classes = [
        page.index(f'<caption class="visually-hidden">{word}')
        for word in ("Needs replacement", "Can be put", "Made by")
    ]
    assert classes == sorted(classes)
    for text in (
        "/dev/vdb data",
        "/etc/motd",
        "born &lt;b&gt;so&lt;/b&gt;",
        "by hand",
        "SHA256:abc mallory",
        "key was added",
    ):
        assert text in page
    assert "the contents are not shown" in page
    assert "systemd writes it on the first boot" in page
    assert "Passwords are not compared" in page
    assert "Check now" not in page


def test_nothing_to_compare_with_is_said(cast: Cast, client: Client) -> None:
    assert "Nothing to compare with" in get(client, cast.owner, PAGE)


def test_a_failure_says_why_and_shows_what_the_host_said(cast: Cast, client: Client) -> None:
    compared(cast.web_node, Failure("not_understood", {"question": "systemctl", "why": "cut"}, "<what> is this"))
    page = get(client, cast.operator, PAGE)
    assert "What the host said of its units was not understood." in page
    assert "&lt;what&gt; is this" in page
    assert "Check now" in page


def test_the_page_costs_as_much_with_many_differences_as_with_one(cast: Cast, client: Client) -> None:
    node = compared(cast.web_node)
    client.force_login(cast.owner)
    client.get(PAGE)

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            client.get(PAGE)
        return len(caught)

    one = queries()
    many = [Difference("files", f"/etc/{at}", What.MODE, Sort.IN_PLACE, "0644", "0666").as_json() for at in range(300)]
    Drift.objects.filter(pk=node.pk).update(differences=many, in_place_count=3000)
    assert queries() == one
    assert "2,702 more differences" in get(client, cast.owner, PAGE)


def test_a_check_by_hand_needs_the_right_and_is_in_the_log(cast: Cast, client: Client) -> None:
    compared(cast.web_node)
    client.force_login(cast.viewer)
    assert client.post(f"{PAGE}check/").status_code == 403
    client.force_login(cast.operator)
    assert client.post(f"{PAGE}check/").status_code == 302
    assert Drift.objects.get(pk=cast.web_node.pk).requested_at is not None
    assert AuditEvent.objects.filter(action="ignition.check_drift").count() == 1
    assert "under way" in get(client, cast.operator, PAGE)
    assert client.post("/nodes/db-1/ignition/check/").status_code == 404


def test_the_api_tells_the_same(cast: Cast, client: Client) -> None:
    compared(cast.web_node)
    headers = {"authorization": f"Bearer {make_token(cast.operator)}"}
    told = client.get(API, headers=headers).json()
    assert (told["state"], told["counts"]) == ("needs_replacement", {"os": 1, "in_place": 3, "replacement": 1})
    assert told["differences"][1]["diff"] == [["removed", "born <b>so</b>"], ["added", "by hand"]]
    assert told["not_looked_at"] == [{"section": "users", "subject": "core", "why": "password"}]
    asked = client.post(f"{API}check/", headers=headers)
    assert (asked.status_code, asked.json()["url"]) == (202, API)
    assert client.get(API, headers=headers).json()["is_requested"] is True


def test_what_the_intended_version_does_to_disks_is_the_reason(cast: Cast, client: Client) -> None:
    node = compared(cast.web_node, Comparison((), ()))
    headers = {"authorization": f"Bearer {make_token(cast.operator)}"}
    assert client.get(API, headers=headers).json()["intended_disks"] == []
    assert node.pool is not None
    newer = make_version(IgnitionConfig.objects.get(name="edge"), source=DISKS, state="approved")
    intend(pool=node.pool, version=newer, actor=SYSTEM, now=NOW)
    settle(NOW)
    told = client.get(API, headers=headers).json()
    assert (told["state"], told["counts"]["replacement"], told["differences"]) == ("needs_replacement", 0, [])
    assert [one["sentence"] for one in told["intended_disks"]][:1] == ["Erases all of /dev/vdb."]
    assert {one["section"] for one in told["intended_disks"]} == {"disks"}
    page = get(client, cast.owner, PAGE)
    assert "Only a new machine gets what edge version 2, which the pool intends, does to the disks." in page
    assert "Erases all of /dev/vdb." in page
    assert "Everything on the host is as edge version 1 says." in page


def test_a_node_without_a_version_cannot_be_compared(cast: Cast, client: Client) -> None:
    headers = {"authorization": f"Bearer {make_token(cast.operator)}"}
    told = client.get(API, headers=headers).json()
    assert (told["state"], told["checked_at"], told["differences"]) == ("unknown", None, [])
    assert client.post(f"{API}check/", headers=headers).status_code == 409


def test_lists_filter_by_state(cast: Cast, client: Client) -> None:
    compared(cast.web_node)
    headers = {"authorization": f"Bearer {make_token(cast.owner)}"}
    found = client.get("/api/v1/nodes/?ignition_state=needs_replacement,behind", headers=headers).json()
    assert [(row["name"], row["ignition_state"]) for row in found["results"]] == [("web-1", "needs_replacement")]
    page = get(client, cast.owner, "/nodes/?ignition_state=needs_replacement&columns=ignition_state")
    assert "web-1" in page
    assert "db-1" not in page
    assert "Needs replacement" in page


def test_the_page_of_a_pool_counts_its_nodes_by_state(cast: Cast, client: Client) -> None:
    node = compared(cast.web_node)
    assert node.applied_version is not None
    cast.web.intended_version = node.applied_version
    cast.web.save()
    page = get(client, cast.viewer, "/pools/web/ignition/")
    assert "ignition_state=needs_replacement" in page
