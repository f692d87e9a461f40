"""One change on many nodes."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.audit.verify import verify
from fleetui.core.errors import InvalidInput, NotAllowed
from nodes.models import Node, TimelineEvent
from nodes.services import bulk as services
from nodes.services.bulk import change_many, end_maintenance
from nodes.services.nodes import set_lifecycle
from nodes.tests.cast import Cast
from nodes.tests.make import NOW, PASSWORD, make_credential, make_jump_host, make_node, make_pool, make_token, principal

pytestmark = pytest.mark.django_db


def ids() -> list[Any]:
    return list(Node.objects.order_by("name").values_list("pk", flat=True))


def change(action: str, actor: Any = SYSTEM, **params: Any) -> Any:
    return change_many(ids=ids(), action=action, params=params, actor=actor, now=NOW)


def test_labels_are_set_and_removed() -> None:
    make_node("a", labels={"old": "1", "keep": "2"})
    make_node("b", labels={"new": "x"})
    outcome = change("labels", set={"new": "x"}, remove=["old"])
    assert (outcome.changed, outcome.unchanged) == (1, 1)
    node = Node.objects.get(name="a")
    assert (node.labels, node.revision) == ({"keep": "2", "new": "x"}, 2)
    assert "new:x" in node.search_text
    event = AuditEvent.objects.get(action="nodes.edit")
    assert event.subject == "node:a"
    assert "old" in event.before
    assert TimelineEvent.objects.get().params == {"fields": ["labels"]}
    assert verify().good


def test_pool_and_credential() -> None:
    make_node("a")
    pool, credential = make_pool("web"), make_credential()
    change("pool", pool=pool)
    change("credential", credential=credential)
    node = Node.objects.get()
    assert (node.pool, node.credential, node.poll_due_at) == (pool, credential, NOW)
    assert "web" in node.search_text


def test_the_jump_host_is_set_and_taken_away_again() -> None:
    make_node("a")
    make_node("b")
    row = make_jump_host("bastion")
    assert change("jump_host", jump_host=row).changed == 2
    node = Node.objects.get(name="a")
    assert (node.jump_host, node.poll_due_at, node.poll_requested_at) == (row, NOW, NOW)
    event = AuditEvent.objects.filter(action="nodes.edit").order_by("seq")[0]
    assert (event.before, event.after) == ('{"jump_host":null}', '{"jump_host":"bastion"}')
    assert change("jump_host", jump_host=row).unchanged == 2
    assert change("jump_host", jump_host=None).changed == 2
    assert Node.objects.get(name="a").jump_host is None


def test_maintenance_ends_by_itself_and_once() -> None:
    make_node("a")
    make_node("b")
    change("maintenance", until=NOW + timedelta(hours=4), reason="new disks")
    node = Node.objects.get(name="a")
    assert (node.lifecycle, node.lifecycle_reason, node.lifecycle_since) == ("maintenance", "new disks", NOW)
    assert end_maintenance(NOW + timedelta(hours=3)) == 0
    assert end_maintenance(NOW + timedelta(hours=5)) == 2
    assert end_maintenance(NOW + timedelta(hours=5)) == 0
    node.refresh_from_db()
    assert (node.lifecycle, node.maintenance_until) == ("active", None)
    assert AuditEvent.objects.filter(action="nodes.set_lifecycle", actor="system:fleetui").count() == 4


def test_an_end_that_has_passed_is_refused() -> None:
    make_node("a")
    with pytest.raises(InvalidInput) as refused:
        change("maintenance", until=NOW - timedelta(minutes=1))
    assert refused.value.field == "maintenance_until"


def test_one_node_has_an_end_too_and_can_have_another() -> None:
    node = make_node("a")
    set_lifecycle(node=node, lifecycle="maintenance", reason="", actor=SYSTEM, now=NOW)
    set_lifecycle(node=node, lifecycle="maintenance", reason="", until=NOW + timedelta(hours=1), actor=SYSTEM, now=NOW)
    node.refresh_from_db()
    assert (node.maintenance_until, node.revision) == (NOW + timedelta(hours=1), 3)
    set_lifecycle(node=node, lifecycle="active", reason="", actor=SYSTEM, now=NOW)
    node.refresh_from_db()
    assert node.maintenance_until is None


def test_retire_and_delete() -> None:
    make_node("a")
    assert change("retire", reason="sold").changed == 1
    assert Node.objects.get().lifecycle == "retired"
    assert change("delete", reason="gone").changed == 1
    assert not Node.objects.exists()
    assert AuditEvent.objects.filter(action="nodes.delete", reason="gone").count() == 1


def test_nobody_changes_what_is_not_theirs(cast: Cast) -> None:
    outcome = change("labels", principal(cast.operator), set={"a": "b"})
    assert (outcome.changed, outcome.not_allowed) == (1, 2)
    assert Node.objects.filter(labels__a="b").get() == cast.web_node
    outcome = change("delete", principal(cast.operator))
    assert (outcome.changed, outcome.not_allowed) == (1, 2)
    with pytest.raises(NotAllowed):
        change("pool", principal(cast.operator), pool=cast.db)


def test_a_thousand_nodes_in_few_transactions() -> None:
    Node.objects.bulk_create(Node(name=f"n{i}", address=f"10.0.{i // 250}.{i % 250}") for i in range(1000))
    assert change("labels", set={"a": "b"}).changed == 1000
    assert AuditEvent.objects.filter(action="nodes.edit").count() == 1000


def signed_in(user: Any) -> Client:
    client = Client()
    client.login(username=user.username, password=PASSWORD)
    return client


def test_the_page_freezes_the_selection(cast: Cast) -> None:
    client = signed_in(cast.owner)
    page = client.post("/nodes/-/bulk/", {"all": "1", "filter": "?pool=web"})
    assert b"Change 1 node" in page.content
    frozen = page.context["form"].initial["ids"]
    make_node("later", pool=cast.web)
    sent = {"ids": frozen, "action": "labels", "labels": "a=b\n-x"}
    # Back to the list that it came from, without the place in it.
    assert 'name="filter" value="?pool=web"' in page.content.decode()
    assert client.post("/nodes/-/bulk/", {**sent, "filter": "?pool=web&after=x"})["Location"] == "/nodes/?pool=web"
    assert list(Node.objects.filter(labels__a="b").values_list("name", flat=True)) == ["web-1"]
    assert client.post("/nodes/-/bulk/", {**sent, "labels": "nothing"}).status_code == 422
    assert client.post("/nodes/-/bulk/", {"filter": "?pool=nowhere", "all": "1"})["Location"] == (
        "/nodes/?pool=nowhere"
    )


def test_the_page_sets_a_jump_host_that_the_person_sees(cast: Cast) -> None:
    row = make_jump_host("bastion")
    sent = {"ids": str(cast.web_node.pk), "action": "jump_host", "jump_host": str(row.pk)}
    # An operator of the pool sees no jump host that its nodes are not reached through.
    assert signed_in(cast.operator).post("/nodes/-/bulk/", sent).status_code == 422
    done = signed_in(cast.owner).post("/nodes/-/bulk/", sent, follow=True)
    assert "1 node was changed." in done.content.decode()
    assert Node.objects.get(pk=cast.web_node.pk).jump_host == row
    again = signed_in(cast.owner).post("/nodes/-/bulk/", sent, follow=True)
    assert "0 nodes were changed. 1 was so already." in again.content.decode()


def test_many_nodes_ask_for_their_number(cast: Cast) -> None:
    for number in range(12):
        make_node(f"n{number}", pool=cast.web)
    client = signed_in(cast.owner)
    sent = {"ids": ",".join(str(pk) for pk in ids()), "action": "retire"}
    assert client.post("/nodes/-/bulk/", sent).status_code == 422
    assert client.post("/nodes/-/bulk/", {**sent, "count": str(len(ids()))}).status_code == 302
    assert not Node.objects.filter(lifecycle="active").exists()


def test_deleting_asks_for_the_number_however_few_they_are(cast: Cast) -> None:
    make_node("a", pool=cast.web)
    make_node("b", pool=cast.web)
    client = signed_in(cast.owner)
    chosen = [str(pk) for pk in Node.objects.filter(name__in=["a", "b"]).values_list("pk", flat=True)]
    sent = {"ids": ",".join(chosen), "action": "delete", "filter": "?pool=web"}
    for typed in ("", "1"):
        answer = client.post("/nodes/-/bulk/", {**sent, "count": typed})
        assert (answer.status_code, answer.context["form"]["count"].errors) == (
            422,
            ["Type the number of nodes as it is shown."],
        )
    assert Node.objects.filter(pk__in=chosen).count() == 2
    page = client.post("/nodes/-/bulk/", {**sent, "count": "2"}, follow=True).content.decode()
    assert "2 nodes were deleted." in page
    assert not Node.objects.filter(pk__in=chosen).exists()


def test_the_api(cast: Cast) -> None:
    client = Client(headers={"Authorization": f"Bearer {make_token(cast.operator)}"})

    def send(**body: Any) -> Any:
        return client.post("/api/v1/nodes/bulk/", body, content_type="application/json")

    answer = send(action="labels", filter={"pool": "web"}, set={"a": "b"}, dry_run=True)
    assert answer.json() == {
        **dict.fromkeys(("changed", "unchanged", "not_allowed", "gone"), 0),
        "nodes": 1,
        "stale": [],
        "refused": [],
        "why_refused": "",
    }
    missing = send(action="labels", names=["web-1", "db-1"], set={"a": "b"})
    assert (missing.status_code, missing.json()["field"], missing.json()["value"]) == (400, "names", "db-1")
    assert send(action="labels", names=["web-1"], set={"a": "b"}, expect_count=1).json()["changed"] == 1
    assert send(action="labels", filter={}, set={"a": "b"}, expect_count=7).status_code == 409
    assert send(action="labels", set={"a": "b"}).json()["field"] == "names"
    assert send(action="labels", filter={"colour": "red"}, set={"a": "b"}).json()["field"] == "filter"
    assert send(action="dance", filter={}).status_code == 400
    until = (NOW + timedelta(days=4000)).isoformat()
    assert send(action="maintenance", filter={}, maintenance_until=until, reason="x").json()["changed"] == 1
    shown = client.get("/api/v1/nodes/web-1/").json()
    assert (shown["lifecycle"], shown["lifecycle_reason"]) == ("maintenance", "x")
    assert shown["maintenance_until"]


def test_a_pool_that_is_left_out_takes_nodes_out_of_none(cast: Cast) -> None:
    client = Client(headers={"Authorization": f"Bearer {make_token(cast.owner)}"})

    def send(**body: Any) -> Any:
        return client.post("/api/v1/nodes/bulk/", body, content_type="application/json")

    for action in ("pool", "credential"):
        refused = send(action=action, filter={"pool": "web"})
        assert (refused.status_code, refused.json()["field"]) == (400, action)
    refused = send(action="jump_host", filter={"pool": "web"})
    assert (refused.status_code, refused.json()["detail"]) == (400, "The jump host is not said.")
    make_jump_host("bastion")
    assert send(action="jump_host", filter={"pool": "web"}, jump_host="bastion").json()["changed"] == 1
    assert Node.objects.get(jump_host__name="bastion") == cast.web_node
    assert send(action="jump_host", filter={"jump_host": "bastion"}, jump_host=None).json()["changed"] == 1
    assert not Node.objects.exclude(jump_host=None).exists()
    assert send(action="jump_host", filter={}, jump_host="nowhere").json()["field"] == "jump_host"
    assert send(action="pool", filter={"pool": "web"}, pool=None).json()["changed"] == 1
    assert not cast.web.nodes.exists()


def test_a_maintenance_that_was_prolonged_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    make_node("a")
    make_node("b")
    change("maintenance", until=NOW + timedelta(hours=1))
    later = NOW + timedelta(hours=2)

    def prolonged(**given: Any) -> Any:
        Node.objects.filter(name="a").update(maintenance_until=NOW + timedelta(hours=9))
        Node.objects.filter(name="b").update(lifecycle="retired")
        return change_many(**given)

    monkeypatch.setattr(services, "change_many", prolonged)
    assert end_maintenance(later) == 0
    assert dict(Node.objects.values_list("name", "lifecycle")) == {"a": "maintenance", "b": "retired"}


def test_all_that_is_over_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "NODES_AT_ONCE", 2)
    for name in "abcde":
        make_node(name)
    change("maintenance", until=NOW + timedelta(hours=1))
    assert end_maintenance(NOW + timedelta(hours=2)) == 5


def test_what_cannot_take_a_change_is_named_and_the_rest_changed() -> None:
    make_node("full", labels={f"k{number}": "" for number in range(64)})
    make_node("free")
    outcome = change("labels", set={"new": "x"})
    assert (outcome.changed, outcome.refused) == (1, ["full"])
    assert "65" in outcome.why_refused
    assert not outcome.complete


def test_what_was_deleted_meanwhile_is_counted_and_a_node_named_twice_is_one() -> None:
    node = make_node("a")
    retired = make_node("r", lifecycle="retired")
    frozen = [node.pk, node.pk, uuid.uuid4(), retired.pk]
    for action, expected in (("poll", (1, 1, 1)), ("labels", (2, 0, 1)), ("delete", (2, 0, 1))):
        outcome = change_many(ids=frozen, action=action, params={"set": {"a": "b"}}, actor=SYSTEM, now=NOW)
        assert (outcome.changed, outcome.unchanged, outcome.gone) == expected
    assert AuditEvent.objects.filter(action="nodes.delete").count() == 2


def test_nobody_gets_past_the_page(cast: Cast) -> None:
    """Ids of others, pools of others, and selections that were made up change nothing."""
    client = signed_in(cast.operator)
    every = ",".join(str(pk) for pk in ids())
    sent = {"ids": every, "action": "labels", "labels": "a=b", "count": str(len(ids()))}
    assert client.post("/nodes/-/bulk/", sent).status_code == 302
    assert list(Node.objects.filter(labels__a="b").values_list("name", flat=True)) == ["web-1"]
    for pool in (cast.db.pk, uuid.uuid4(), ""):
        refused = client.post("/nodes/-/bulk/", {**sent, "action": "pool", "pool": str(pool)})
        assert refused.status_code in (403, 422)
    assert Node.objects.get(name="web-1").pool == cast.web
    assert client.post("/nodes/-/bulk/", {**sent, "ids": "1,2"}).status_code == 422
    assert client.post("/nodes/-/bulk/", {**sent, "action": "format"}).status_code == 422
    assert client.get("/nodes/-/bulk/").status_code == 405
    assert signed_in(cast.viewer).post("/nodes/-/bulk/", sent).status_code == 403
