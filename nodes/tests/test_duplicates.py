"""Nodes that are one machine: found by what they share, merged by hand, or said to be different."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.audit.models import AuditEvent
from fleetui.core.errors import InvalidInput, NotAllowed, NotFound, StaleEdit
from nodes.models import Credential, Facts, HostKey, JumpHost, KnownDistinct, Node, TimelineEvent
from nodes.services import merging
from nodes.services.duplicates import (
    count_duplicates,
    distinct_visible_to,
    find_duplicates,
    say_distinct,
    undo_distinct,
)
from nodes.services.merging import merge_nodes
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import (
    NOW,
    make_credential,
    make_event,
    make_facts,
    make_host_key,
    make_jump_host,
    make_node,
    make_pool,
    principal,
)
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db
ID = "a" * 32


def found(user: Any) -> list[tuple[list[str], list[str]]]:
    return [
        ([one.kind for one in group.shared], [node.name for node in group.nodes])
        for group in find_duplicates(principal(user))
    ]


def test_each_kind_is_found_and_the_same_nodes_are_one_group(cast: Cast) -> None:
    assert found(cast.owner) == []
    one, two = make_node("one", machine_id=ID), make_node("two", machine_id=ID)
    make_node("three", address=one.address)
    make_node("four", address=one.address, port=2222)
    make_host_key(one, "pinned", fingerprint="SHA256:same")
    make_host_key(two, "pinned", fingerprint="SHA256:same")
    make_host_key(cast.db_node, "offered", fingerprint="SHA256:same")
    assert found(cast.owner) == [(["machine_id", "host_key"], ["one", "two"]), (["address"], ["one", "three"])]
    assert count_duplicates(principal(cast.owner)) == 3


def test_retired_nodes_and_unknown_ids_are_no_duplicates(cast: Cast) -> None:
    make_node("one", machine_id=ID, address="10.1.1.1")
    make_node("two", machine_id=ID, address="10.1.1.1", lifecycle="retired")
    make_node("three", machine_id="")
    assert found(cast.owner) == []


def test_one_address_behind_two_jump_hosts_is_two_places(cast: Cast) -> None:
    credential: Credential = make_credential()
    jump = JumpHost.objects.create(name="site-b", address="192.0.2.1", credential=credential)
    make_node("one", address="10.1.1.1")
    other = make_node("two", address="10.1.1.1", jump_host=jump)
    assert found(cast.owner) == []
    make_node("three", address="10.1.1.1", pool=make_pool("b", jump_host=jump))
    assert found(cast.owner) == [(["address"], ["three", other.name])]


def test_people_find_what_they_see(cast: Cast) -> None:
    make_node("one", machine_id=ID, pool=cast.web)
    make_node("two", machine_id=ID, pool=cast.db)
    assert found(cast.operator) == []
    make_node("three", machine_id=ID, pool=cast.web)
    assert found(cast.operator) == [(["machine_id"], ["one", "three"])]
    assert found(cast.outsider) == []


@pytest.mark.parametrize("groups", [1, 12])
def test_a_constant_number_of_queries(cast: Cast, django_assert_num_queries: Any, groups: int) -> None:
    for number in range(groups):
        for name in "ab":
            node = make_node(f"n{number}{name}", machine_id=f"{number:032}", address=f"10.3.0.{number}")
            make_host_key(node, "pinned", fingerprint=f"SHA256:{number}")
    actor = principal(cast.owner)
    with django_assert_num_queries(8):
        assert len(find_duplicates(actor)) == groups
    with django_assert_num_queries(4):
        assert count_duplicates(actor) == groups * 3
    with django_assert_num_queries(0):
        count_duplicates(actor)


def test_the_list_of_nodes_asks_for_the_count_afterwards(cast: Cast) -> None:
    make_node("one", machine_id=ID)
    make_node("two", machine_id=ID)
    client = signed_in(cast.owner)
    assert 'hx-get="/nodes/-/duplicates/count/" hx-trigger="load"' in client.get("/nodes/").content.decode()
    assert "1 value is shared by several nodes" in client.get("/nodes/-/duplicates/count/").content.decode()
    assert signed_in(cast.viewer).get("/nodes/-/duplicates/count/").content.strip() == b""


class TestDistinct:
    def test_it_is_no_duplicate_until_it_is_asked_again(self, cast: Cast) -> None:
        for name in ("one", "two"):
            make_node(name, machine_id=ID, address="fd00::7", pool=cast.web)
        actor = principal(cast.operator)
        for kind, value in (("machine_id", ID), ("address", "fd00::7:22")):
            row = say_distinct(kind=kind, value=value, reason="copied image", actor=actor, now=NOW)
        assert found(cast.operator) == []
        assert {one.kind for one in distinct_visible_to(actor)} == {"machine_id", "address"}
        assert AuditEvent.objects.filter(action="nodes.say_distinct").count() == 2
        undo_distinct(row=row, actor=actor)
        assert found(cast.operator) == [(["address"], ["one", "two"])]
        assert AuditEvent.objects.filter(action="nodes.undo_distinct").count() == 1

    def test_who_may_and_what_is_asked(self, cast: Cast) -> None:
        make_node("one", machine_id=ID, pool=cast.web)
        make_node("two", machine_id=ID, pool=cast.web)
        given: dict[str, Any] = {"kind": "machine_id", "value": ID, "reason": "x", "now": NOW}
        with pytest.raises(NotAllowed):
            say_distinct(**given, actor=principal(cast.viewer))
        with pytest.raises(NotFound):
            say_distinct(**given, actor=principal(cast.outsider))
        with pytest.raises(NotFound):
            say_distinct(**{**given, "value": "b" * 32}, actor=principal(cast.owner))
        with pytest.raises(NotFound):
            say_distinct(**{**given, "kind": "address", "value": "no place"}, actor=principal(cast.owner))
        with pytest.raises(InvalidInput):
            say_distinct(**{**given, "reason": " "}, actor=principal(cast.owner))
        with pytest.raises(InvalidInput):
            say_distinct(**{**given, "kind": "name"}, actor=principal(cast.owner))
        make_node("three", machine_id=ID, pool=cast.db)
        with pytest.raises(NotAllowed):
            say_distinct(**given, actor=principal(cast.operator))
        assert not KnownDistinct.objects.exists()


class TestMerge:
    @pytest.fixture
    def pair(self, cast: Cast) -> tuple[Node, Node]:
        keep = make_node("keep", labels={"rack": "1", "env": "prod"}, pool=None)
        other = make_node("other", labels={"rack": "2", "team": "x"}, pool=cast.web, machine_id=ID)
        Node.objects.filter(pk=other.pk).update(credential=make_credential())
        other.refresh_from_db()
        return keep, other

    def test_what_is_kept(self, cast: Cast, pair: tuple[Node, Node]) -> None:
        keep, other = pair
        mine, its = make_facts(keep), make_facts(other)
        key = make_host_key(keep, "pinned")
        make_host_key(other, "pinned")
        make_host_key(other, "offered")
        make_event(keep, "node_added")
        make_event(other, "rebooted")
        merge_nodes(keep=keep, other=other, reason="renamed", actor=principal(cast.owner), now=NOW)
        assert not Node.objects.filter(name="other").exists()
        node = Node.objects.select_related("pool", "credential").get(name="keep")
        assert node.labels == {"rack": "1", "env": "prod", "team": "x"}
        assert (node.pool, node.machine_id, node.address, node.revision) == (cast.web, ID, keep.address, 2)
        assert node.credential is not None
        assert node.facts_id == mine.pk
        assert "team:x" in node.search_text
        assert set(Facts.objects.filter(node=node).values_list("pk", flat=True)) == {mine.pk, its.pk}
        assert {one.kind for one in TimelineEvent.objects.filter(node=node)} == {
            "node_added",
            "rebooted",
            "nodes_merged",
        }
        states = HostKey.objects.filter(node=node).values_list("state", flat=True)
        assert sorted(states) == ["pinned", "replaced", "replaced"]
        assert HostKey.objects.get(node=node, state="pinned").pk == key.pk
        event = AuditEvent.objects.get(action="nodes.merge")
        assert (event.subject, event.reason) == ("node:keep", "renamed")
        assert '"name":"other"' in event.before

    def test_the_credential_of_the_pool_goes_on_signing_in(self, cast: Cast, pair: tuple[Node, Node]) -> None:
        keep, other = pair
        pool = make_pool("signed", credential=make_credential("of-the-pool"))
        Node.objects.filter(pk=keep.pk).update(pool=pool)
        keep.refresh_from_db()
        merge_nodes(keep=keep, other=other, reason="", actor=principal(cast.owner), now=NOW)
        keep.refresh_from_db()
        assert (keep.pool, keep.credential) == (pool, None)

    def test_the_key_of_the_other_is_not_trusted_for_the_one_that_stays(
        self, cast: Cast, pair: tuple[Node, Node]
    ) -> None:
        make_host_key(pair[1], "pinned")
        merge_nodes(keep=pair[0], other=pair[1], reason="", actor=principal(cast.owner), now=NOW)
        assert [key.state for key in HostKey.objects.all()] == ["replaced"]

    def test_both_are_needed_and_nothing_changed_meanwhile(self, cast: Cast, pair: tuple[Node, Node]) -> None:
        keep, other = pair
        given: dict[str, Any] = {"keep": keep, "other": other, "reason": "", "now": NOW}
        with pytest.raises(NotAllowed):
            merge_nodes(**given, actor=principal(cast.operator))
        with pytest.raises(InvalidInput):
            merge_nodes(**{**given, "other": keep}, actor=principal(cast.owner))
        Node.objects.filter(pk=other.pk).update(revision=5)
        with pytest.raises(StaleEdit):
            merge_nodes(**given, actor=principal(cast.owner), expected={"keep": 1, "other": 1})
        assert Node.objects.filter(name="other").exists()
        Node.objects.filter(pk=other.pk).delete()
        with pytest.raises(NotFound):
            merge_nodes(**given, actor=principal(cast.owner))

    def test_no_row_of_the_other_is_forgotten(self) -> None:
        models = [one.related_model for one in Node._meta.related_objects]
        related = {str(model.__name__) for model in models if model._meta.app_label == "nodes"}
        assert related == {*merging.MOVED, *merging.DROPPED}

    def test_the_page_shows_what_will_be_and_does_it(self, cast: Cast, pair: tuple[Node, Node]) -> None:
        client = signed_in(cast.owner)
        Node.objects.filter(name="other").update(enrolled_at=NOW)
        page = client.get("/nodes/keep/merge/?other=other").content.decode()
        assert "env=prod, rack=1, team=x" in page
        assert "other announces itself under this name" in page
        stale = {"other": "other", "keep_revision": "1", "other_revision": "7"}
        assert client.post("/nodes/keep/merge/", stale).status_code == 422
        done = client.post("/nodes/keep/merge/", {**stale, "other_revision": "1", "reason": "same box"})
        assert done.status_code == 302
        assert client.get("/nodes/other/").status_code == 404
        assert client.get("/nodes/keep/?tab=timeline").status_code == 200

    def test_over_the_api(self, cast: Cast, pair: tuple[Node, Node]) -> None:
        Node.objects.filter(name="keep").update(machine_id=ID)
        api = Api(cast.owner)
        (group,) = api.get("nodes/duplicates/").json()["groups"]
        assert [node["name"] for node in group["nodes"]] == ["keep", "other"]
        assert group["shared"] == [{"kind": "machine_id", "value": ID}]
        assert api.post("nodes/keep/merge/", {"other": "nobody"}).status_code == 400
        assert Api(cast.viewer).post("nodes/web-1/merge/", {"other": "web-1"}).status_code == 403
        merged = api.post("nodes/keep/merge/", {"other": "other", "reason": "same box"})
        assert merged.status_code == 200, merged.content
        assert merged.json()["pool"] == "web"
        assert api.get("nodes/duplicates/").json()["groups"] == []

    def test_different_machines_over_the_api(self, cast: Cast, pair: tuple[Node, Node]) -> None:
        Node.objects.filter(name="keep").update(machine_id=ID)
        api = Api(cast.owner)
        made = api.post("nodes/duplicates/", {"kind": "machine_id", "value": ID, "reason": "copied image"})
        assert made.status_code == 201, made.content
        assert api.post("nodes/duplicates/", {"kind": "machine_id", "value": ID, "reason": "x"}).status_code == 409
        answer = api.get("nodes/duplicates/").json()
        assert (answer["groups"], [one["reason"] for one in answer["distinct"]]) == ([], ["copied image"])
        assert Api(cast.operator).delete(made.headers["Location"]).status_code == 403
        assert api.delete(made.headers["Location"]).status_code == 204
        assert len(api.get("nodes/duplicates/").json()["groups"]) == 1


def test_a_second_name_for_an_address_is_refused_by_the_api(cast: Cast) -> None:
    api, jump = Api(cast.owner), make_jump_host("bastion")
    make_node("one", address="node-1.example.org", port=2222)
    again = {"name": "again", "address": "Node-1.example.org", "port": 2222}
    refused = api.post("nodes/", again)
    assert (refused.status_code, refused.json()["field"]) == (409, "address")
    assert refused.json()["detail"] == "The node one has this address and port already."
    assert "allow_same_address" in refused.json()["mend"]
    assert api.post("nodes/", {**again, "name": "port", "port": 22}).status_code == 201
    # Behind a jump host the same address is another place.
    assert api.post("nodes/", {**again, "name": "jump", "jump_host": jump.name}).status_code == 201
    assert api.post("nodes/", {**again, "name": "jump-2", "jump_host": jump.name}).status_code == 409
    assert api.patch("nodes/port/", {"port": 2222, "address": "node-1.example.org"}).status_code == 409
    assert api.patch("nodes/port/", {"labels": {"rack": "r1"}}).status_code == 200
    assert api.post("nodes/", {**again, "allow_same_address": True}).status_code == 201
    assert api.patch("nodes/port/", {**again, "name": "port", "allow_same_address": True}).status_code == 200


def test_neither_retired_nodes_nor_what_was_said_to_be_different_take_an_address(cast: Cast) -> None:
    api = Api(cast.owner)
    make_node("one", address="10.1.1.1", lifecycle="retired")
    assert api.post("nodes/", {"name": "two", "address": "10.1.1.1"}).status_code == 201
    three = {"name": "three", "address": "10.1.1.1"}
    assert api.post("nodes/", three).status_code == 409
    KnownDistinct.objects.create(kind="address", value="10.1.1.1:22", said_by="user:anna", said_at=NOW, reason="NAT")
    assert api.post("nodes/", three).status_code == 201


def test_pages_for_those_who_may_only_look(cast: Cast) -> None:
    make_node("one", machine_id=ID, pool=cast.web)
    make_node("two", machine_id=ID, pool=cast.web)
    viewer, operator = signed_in(cast.viewer), signed_in(cast.operator)
    page = viewer.get("/nodes/-/duplicates/").content.decode()
    assert "one" in page
    assert "Merge two into this" not in page
    assert "Merge two into this" in operator.get("/nodes/-/duplicates/").content.decode()
    assert viewer.get("/nodes/one/merge/?other=two").status_code == 403
    assert operator.get("/nodes/one/merge/?other=one").status_code == 404
    form = {"kind": "machine_id", "value": ID, "reason": "copied image"}
    assert operator.post("/nodes/-/duplicates/distinct/", form).status_code == 302
    after = operator.get("/nodes/-/duplicates/").content.decode()
    assert "No duplicates" in after
    assert "copied image" in after
    row = KnownDistinct.objects.get()
    assert operator.post(f"/nodes/-/duplicates/distinct/{row.pk}/undo/").status_code == 302
    assert not KnownDistinct.objects.exists()
