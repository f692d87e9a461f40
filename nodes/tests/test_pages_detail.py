"""The node page: what it shows in every state of a node, and what people do on it."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from nodes.hosts.drivers.zincati import NOT_TOML
from nodes.hosts.facts import (
    Address,
    Agent,
    Boot,
    Container,
    Containers,
    Deployment,
    FailedUnit,
    Filesystem,
    Hardware,
    Health,
    IgnoredFile,
    Interface,
    Network,
    Os,
    Runtime,
    Session,
    Storage,
    Unread,
)
from nodes.hosts.facts import Facts as HostFacts
from nodes.models import Facts, HostKey, Measurement, Node
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, make_event, make_facts, make_host_key, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from nodes.views.tabs import NAMES

pytestmark = pytest.mark.django_db
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


@pytest.fixture
def admin() -> Client:
    return signed_in(make_user("admin", "admin"))


def page(response: Any) -> str:
    return str(response.content.decode())


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


@pytest.mark.parametrize(
    ("family", "mode", "warns"),
    [
        ("fcos", "enforcing", False),
        ("fcos", "permissive", True),
        ("flatcar", "permissive", False),
        ("flatcar", "disabled", True),
    ],
)
def test_selinux_is_pointed_out_where_it_is_not_as_the_os_is_shipped(
    admin: Client, family: str, mode: str, warns: bool
) -> None:
    make_facts(make_node("bare", os_family=family), security={"selinux": mode})
    shown = (
        admin.get("/nodes/bare/?tab=health").content.decode().partition("<dt>SELinux</dt>")[2].partition("</div>")[0]
    )
    assert mode in shown
    assert ('data-level="warn"' in shown) == warns


def with_facts(node: Node, raw: bytes = b"", **over: Any) -> Facts:
    document = HostFacts(os=Os(family="fcos", name="Fedora CoreOS"), **over).as_json()
    facts = Facts.objects.create(
        node=node, generation=1, read_at=NOW, hash="f" * 64, document=document, raw=zlib.compress(raw) if raw else b""
    )
    Node.objects.filter(pk=node.pk).update(facts=facts)
    return facts


def all_facts(text: str) -> dict[str, Any]:
    """Facts of every kind, with the same text wherever a host can put one."""
    return {
        "deployments": (
            Deployment(0, "a", version=text, checksum=text, origin=text, image=text, staged=True, layered=(text,), overrides=(text,)),
            Deployment(1, "b", version=text, booted=True, pinned=True, signature=text, unlocked=text),
            Deployment(2, "c", version=text, rollback=True, removed=(text,), end_of_life=text),
        ),
        "agent": Agent(
            name=text, status_text=text, config={text: {text: text, "list": [text]}}, files_read=(text,),
            files_ignored=(IgnoredFile(text, text),), node_uuid=text,
        ),
        "health": Health(system_state=text, failed_units=(FailedUnit(text, text, text),)),
        "boot": Boot(boot_id=text, kernel=text, arguments=(text,)),
        "hardware": Hardware(model=text, vendor=text, cpu_model=text, virtualization=text),
        "sessions": (Session(text, text, text),),
        "network": Network(text, (Interface(text, text, text, 1500, text, (Address(text, 24, text),)),)),
        "storage": Storage((Filesystem(text, text, text, 1),)),
        "containers": Containers((Runtime(text, text, (Container(text, text, text, text, text),)),)),
        "unread": (Unread("zincati_status", "not_understood", text, 1, text, text),),
    }  # fmt: skip


def framed(**sections: bytes) -> bytes:
    frames = [
        b"@@FLEETUI 0123456789abcdef %s 0 %d 0\n%s\n" % (name.encode(), len(out), out) for name, out in sections.items()
    ]
    return b"".join(frames) + b"@@FLEETUI 0123456789abcdef end %d\n" % len(sections)


def test_what_one_may_not_see_is_not_there(cast: Cast) -> None:
    viewer = signed_in(cast.viewer)
    assert viewer.get("/nodes/web-1/").status_code == 200
    assert viewer.get("/nodes/db-1/").status_code == 404
    assert viewer.get("/nodes/loose-1/").status_code == 404
    assert viewer.get(f"/nodes/{cast.web_node.pk}/").status_code == 200
    assert signed_in(cast.outsider).get("/nodes/web-1/").status_code == 403


@pytest.mark.parametrize("action", ["poll", "lifecycle", "delete", "host-key", "edit"])
def test_what_one_may_see_but_not_change_is_refused(cast: Cast, action: str) -> None:
    assert signed_in(cast.viewer).post(f"/nodes/web-1/{action}/").status_code == 403
    assert signed_in(cast.operator).post(f"/nodes/db-1/{action}/").status_code == 404
    assert "nodes:poll" not in page(signed_in(cast.viewer).get("/nodes/web-1/"))


@pytest.mark.parametrize("action", ["poll", "lifecycle", "delete", "host-key"])
def test_changes_are_posts(admin: Client, action: str) -> None:
    make_node("a")
    assert admin.get(f"/nodes/a/{action}/").status_code == 405


@pytest.mark.parametrize("tab", [*NAMES, "no-such-tab"])
def test_every_tab_escapes_what_a_host_says(admin: Client, tab: str) -> None:
    node = make_node("a", labels={"k": HOSTILE}, os_name=HOSTILE, booted_version=HOSTILE[:100], kernel=HOSTILE)
    with_facts(node, framed(zincati_status=HOSTILE.encode()), **all_facts(HOSTILE))
    Measurement.objects.create(node=node, at=NOW, document={"filesystems": [{"mount": HOSTILE, "used_percent": 97.0}]})
    make_event(node, "units_failed", params={"units": [HOSTILE]})
    make_host_key(node, "pinned", decided_by=HOSTILE, reason=HOSTILE)
    make_host_key(node, "offered")
    make_host_key(node, "refused", reason=HOSTILE)
    response = admin.get(f"/nodes/a/?tab={tab}")
    assert response.status_code == 200
    assert "<script>alert" not in page(response)
    assert "<img src=x" not in page(response)
    assert "style=" not in page(response)


@pytest.mark.parametrize("tab", NAMES)
def test_every_tab_stands_without_facts(admin: Client, tab: str) -> None:
    make_node("a", reachability="never_seen", facts_at=None, last_seen_at=None, booted_at=None)
    assert admin.get(f"/nodes/a/?tab={tab}").status_code == 200


def test_the_number_of_queries_does_not_grow(admin: Client) -> None:
    node = make_node("a", pool=make_pool("web"))
    with_facts(node, **all_facts("x"))
    admin.get("/nodes/a/")
    with CaptureQueriesContext(connection) as few:
        admin.get("/nodes/a/?tab=timeline")
    for number in range(60):
        make_event(node, "rebooted", params={"version": str(number)})
        make_host_key(node, "replaced")
    with CaptureQueriesContext(connection) as many:
        response = admin.get("/nodes/a/?tab=timeline")
    assert len(few) == len(many) <= 17
    assert "after=" in page(response)


def test_deployments_stand_in_boot_order(admin: Client) -> None:
    node = make_node("a")
    with_facts(
        node,
        deployments=(
            Deployment(0, "n", version="44.2", staged=True),
            Deployment(1, "o", version="44.1", booted=True, pinned=True),
        ),
    )
    text = page(admin.get("/nodes/a/")).partition("Deployments in boot order")[2]
    assert (
        text.index("Next boot")
        < text.index("44.2")
        < text.index(">Booted<")
        < text.index("Pinned")
        < text.index("<code>44.1</code>")
    )


def test_it_says_why_it_is_not_updating(admin: Client) -> None:
    node = make_node(
        "a", update_state="deferred", update_state_reason="user_session",
        update_state_params={"version": "44.2", "agent": "Zincati", "count": 1, "ttys": ["pts/0"]},
    )  # fmt: skip
    with_facts(node)
    text = page(admin.get("/nodes/a/"))
    assert "Why is it not updating?" in text
    assert "a user is signed in on pts/0" in text
    assert "sign out" in text


def test_it_says_since_when_it_is_up_to_date(admin: Client) -> None:
    with_facts(make_node("a"))
    text = page(admin.get("/nodes/a/"))
    assert "Up to date since" in text
    assert "Why is it not updating?" not in text


def test_an_unreachable_node_says_since_when_why_and_what_to_do(admin: Client) -> None:
    params = {"address": "10.0.0.9", "phase": "connect"}
    node = make_node(
        "a", reachability="unreachable", reachability_reason="timed_out", reachability_params=params, failures=4,
        failing_since=NOW, last_error_kind="timed_out", last_error_params=params,
    )  # fmt: skip
    with_facts(node)
    text = page(admin.get("/nodes/a/"))
    assert "10.0.0.9 did not answer the connection in time." in text
    assert "no firewall drops the connection" in text
    assert "4 contacts failed in a row" in text
    assert "what was known last" in text
    assert "Old facts" in text


def test_a_refused_first_key_does_not_wait(admin: Client) -> None:
    node = make_node("a", reachability="never_seen", failures=2, failing_since=NOW, last_error_kind="key_unknown")
    refused = make_host_key(node, "refused")
    node.last_error_params = {"address": "10.0.0.9", "seen": refused.fingerprint}
    node.save()
    text = page(admin.get("/nodes/a/"))
    assert "The host shows a key that was refused" in text
    assert "First contact fails" not in text
    node.last_error_params = {"address": "10.0.0.9", "seen": "SHA256:another"}
    node.save()
    assert "a key that was refused" not in page(admin.get("/nodes/a/"))


def test_a_key_mismatch_shows_both_keys(admin: Client) -> None:
    node = make_node("a", reachability="key_mismatch", reachability_reason="key_mismatch")
    pinned, offered = make_host_key(node, "pinned"), make_host_key(node, "offered")
    text = page(admin.get("/nodes/a/"))
    assert text.index("Trusted key") < text.index(pinned.fingerprint) < text.index(offered.fingerprint)
    assert "All contact has stopped" in text
    assert "Accept the key" in text


def test_a_node_that_was_never_contacted_waits(admin: Client) -> None:
    make_node("a", reachability="never_seen", reachability_reason="not_contacted", facts_at=None, last_seen_at=None)
    assert "Waiting for first contact" in page(admin.get("/nodes/a/"))


@pytest.mark.parametrize(
    ("reason", "told"), [(NOT_TOML, "does not start with /etc/b"), ("hidden", "does not read /etc/a")]
)
def test_a_spoilt_file_of_settings_is_told_before_one_that_is_merely_not_read(
    admin: Client, reason: str, told: str
) -> None:
    files = (IgnoredFile("/etc/a", "hidden files are not read"), IgnoredFile("/etc/b", reason))
    with_facts(make_node("a"), agent=Agent(name="Zincati", files_ignored=files))
    assert f"The update agent {told}" in page(admin.get("/nodes/a/"))


def test_who_may_import_releases_is_led_there(cast: Cast) -> None:
    Node.objects.filter(pk=cast.web_node.pk).update(update_state="unknown", update_state_reason="no_releases")
    with_facts(cast.web_node)
    link = '<a href="/settings/releases/import/">Import the releases of its stream.</a>'
    assert link in page(signed_in(cast.owner).get("/nodes/web-1/"))
    assert "<span>Import the releases of its stream.</span>" in page(signed_in(cast.viewer).get("/nodes/web-1/"))


def test_a_live_refresh_gets_the_body_only(admin: Client) -> None:
    make_node("a")
    response = admin.get("/nodes/a/", headers={"HX-Request": "true"})
    assert "<html" not in page(response)
    assert 'id="node-body"' in page(response)
    assert "HX-Request" in response["Vary"]


def test_the_raw_output_is_kept_with_what_was_not_understood(admin: Client) -> None:
    node = make_node("a", unread_sections=1)
    with_facts(
        node, framed(os_release=b"NAME=x", zincati_status=b"gibberish"),
        unread=(Unread("zincati_status", "not_understood", "Line 1 is no status line.", 0, "", "gibberish"),),
    )  # fmt: skip
    text = page(admin.get("/nodes/a/?tab=raw"))
    assert "Line 1 is no status line." in text
    assert "gibberish" in text
    assert "NAME=x" in text


def test_the_raw_output_is_downloaded_and_never_shown_as_a_page(admin: Client) -> None:
    node = make_node("a")
    with_facts(node, b"<html>what the host printed")
    response = admin.get("/nodes/a/raw/")
    assert response.content == b"<html>what the host printed"
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"] == 'attachment; filename="a.txt"'
    make_node("b")
    assert admin.get("/nodes/b/raw/").status_code == 404


def test_poll_now(cast: Cast) -> None:
    response = signed_in(cast.operator).post("/nodes/web-1/poll/")
    assert response["Location"] == "/nodes/web-1/"
    assert said(response) == ["web-1 is polled now."]
    cast.web_node.refresh_from_db()
    assert cast.web_node.poll_requested_at is not None


def test_maintenance_on_and_off_and_retire_with_a_reason(admin: Client) -> None:
    make_node("a")
    for wanted in ("maintenance", "active", "retired"):
        admin.post("/nodes/a/lifecycle/", {"lifecycle": wanted, "reason": "new disk"})
        assert Node.objects.get(name="a").lifecycle == wanted
    event = AuditEvent.objects.order_by("-seq").first()
    assert event is not None
    assert (event.action, event.subject, event.reason) == ("nodes.set_lifecycle", "node:a", "new disk")
    response = admin.post("/nodes/a/lifecycle/", {"lifecycle": "gone"})
    assert "not a lifecycle" in said(response)[-1]


def test_a_node_is_deleted_only_when_its_name_is_typed(admin: Client) -> None:
    make_node("a")
    admin.post("/nodes/a/delete/", {"confirm": "b"})
    assert Node.objects.filter(name="a").exists()
    response = admin.post("/nodes/a/delete/", {"confirm": "a", "reason": "sold"})
    assert response["Location"] == "/nodes/"
    assert not Node.objects.filter(name="a").exists()
    assert AuditEvent.objects.filter(action="nodes.delete", reason="sold").exists()


def test_a_key_is_accepted_with_a_reason(cast: Cast) -> None:
    old, offered = make_host_key(cast.web_node, "pinned"), make_host_key(cast.web_node, "offered")
    given = {"decision": "accept", "fingerprint": offered.fingerprint, "reason": "reinstalled"}
    response = signed_in(cast.operator).post("/nodes/web-1/host-key/", given)
    assert response.status_code == 302
    offered.refresh_from_db()
    old.refresh_from_db()
    assert (offered.state, offered.reason, old.state) == ("pinned", "reinstalled", "replaced")


def test_a_key_is_refused(admin: Client) -> None:
    node = make_node("a")
    offered = make_host_key(node, "offered")
    admin.post("/nodes/a/host-key/", {"decision": "refuse", "fingerprint": offered.fingerprint})
    offered.refresh_from_db()
    assert offered.state == "refused"


def test_only_the_key_that_was_shown_is_decided_about(admin: Client) -> None:
    node = make_node("a")
    offered = make_host_key(node, "offered")
    response = admin.post("/nodes/a/host-key/", {"decision": "accept", "fingerprint": "SHA256:another"})
    assert "not offered any more" in said(response)[0]
    offered.refresh_from_db()
    assert offered.state == "offered"
    assert not HostKey.objects.filter(state="pinned").exists()
    assert admin.post("/nodes/a/host-key/", {"decision": "", "fingerprint": offered.fingerprint}).status_code == 404


def test_the_timeline_is_worded_and_paged(admin: Client) -> None:
    node = make_node("a")
    for number in range(55):
        make_event(
            node,
            "upgraded",
            params={"before": f"44.{number}", "after": f"44.{number + 1}"},
            at=clock.now() - timedelta(minutes=number),
        )
    first = admin.get("/nodes/a/?tab=timeline")
    assert "Upgraded from 44.0 to 44.1" in page(first)
    assert "Upgraded from 44.54 to 44.55" not in page(first)
    older = admin.get("/nodes/a/" + first.context["older_url"])
    assert "Upgraded from 44.54 to 44.55" in page(older)
    assert older.context["newer_url"]


@pytest.mark.parametrize("os", [{}, {"name": "Flatcar"}, {"pretty_name": None, "name": None}])
def test_a_node_whose_facts_lack_the_name_of_the_system_has_its_page(admin: Client, os: dict[str, Any]) -> None:
    make_facts(make_node("bare"), os=os)
    page = admin.get("/nodes/bare/?tab=health")
    assert page.status_code == 200
    assert (">Flatcar</dd>" in page.content.decode()) == ("Flatcar" in os.values())
