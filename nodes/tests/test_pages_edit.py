"""The edit form of a node: what it changes, what it refuses, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from nodes.models import Node
from nodes.tests.cast import Cast
from nodes.tests.make import make_credential, make_node, make_pool, make_user
from nodes.tests.pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return signed_in(make_user("admin", "admin"))


def page(response: Any) -> str:
    return str(response.content.decode())


def edited(node: Node, **over: Any) -> dict[str, Any]:
    return {
        "name": node.name, "address": node.address, "port": node.port, "pool": str(node.pool_id or ""), "credential": "",
        "os_family_given": "", "labels": "", "revision": node.revision, **over,
    }  # fmt: skip


def test_an_edit_changes_what_people_set(admin: Client) -> None:
    node, pool, credential = make_node("a"), make_pool("web"), make_credential()
    given = edited(
        node,
        name="b",
        address="node-b.example.org",
        port=2222,
        pool=str(pool.pk),
        credential=str(credential.pk),
        labels="rack=r1\nzone = z",
    )
    response = admin.post("/nodes/a/edit/", given)
    assert response["Location"] == "/nodes/b/"
    node.refresh_from_db()
    assert (node.name, node.address, node.port, node.pool, node.credential) == (
        "b",
        "node-b.example.org",
        2222,
        pool,
        credential,
    )
    assert node.labels == {"rack": "r1", "zone": "z"}


def test_an_edit_of_what_somebody_else_changed_is_refused(admin: Client) -> None:
    node = make_node("a", revision=4)
    response = admin.post("/nodes/a/edit/", edited(node, address="10.1.1.1", revision=3))
    assert response.status_code == 412
    assert "changed by someone else" in page(response)
    node.refresh_from_db()
    assert node.address != "10.1.1.1"


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"address": "not an address"}, "node-1.example.org"),
        ({"name": "taken"}, "Choose another name."),
        ({"labels": "nonsense"}, "write key=value"),
        ({"labels": "-bad-=x"}, "letters, digits"),
        ({"port": "70000"}, "Give 1 to 65535."),
        ({"revision": ""}, "required"),
    ],
)
def test_a_wrong_field_says_what_to_do(admin: Client, over: dict[str, Any], expected: str) -> None:
    make_node("taken")
    response = admin.post("/nodes/a/edit/", edited(make_node("a"), **over))
    assert response.status_code == 422
    assert expected in page(response)


def test_an_operator_of_a_pool_moves_nodes_between_own_pools_only(cast: Cast) -> None:
    client = signed_in(cast.operator)
    assert "db" not in {str(name) for name in client.get("/nodes/web-1/edit/").context["form"].fields["pool"].queryset}
    response = client.post("/nodes/web-1/edit/", edited(cast.web_node, pool=str(cast.db.pk)))
    assert response.status_code == 422
    cast.web_node.refresh_from_db()
    assert cast.web_node.pool == cast.web


def test_a_credential_that_one_may_not_see_is_kept(cast: Cast) -> None:
    secret = make_credential("secret")
    Node.objects.filter(pk=cast.web_node.pk).update(credential=secret)
    response = signed_in(cast.operator).post("/nodes/web-1/edit/", edited(cast.web_node, address="10.2.2.2"))
    assert response.status_code == 302
    cast.web_node.refresh_from_db()
    assert (cast.web_node.address, cast.web_node.credential) == ("10.2.2.2", secret)


def test_an_edit_to_the_address_of_another_node_is_asked_about(admin: Client) -> None:
    make_node("a", address="10.1.1.1")
    node = make_node("b", address="10.1.1.2")
    given = edited(node, address="10.1.1.1")
    refused = admin.post("/nodes/b/edit/", given)
    assert refused.status_code == 422
    assert "The node a has this address and port already." in page(refused)
    assert 'name="allow_same_address"' in page(refused)
    assert admin.post("/nodes/b/edit/", {**given, "allow_same_address": "on"}).status_code == 302
    node.refresh_from_db()
    assert node.address == "10.1.1.1"
    # What is so already is not asked about at every edit.
    assert admin.post("/nodes/b/edit/", edited(node, labels="rack=r1")).status_code == 302
