"""While an operation is carried out, nobody moves the node to another host: in every way that nodes are edited."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.access.principals import SYSTEM, Principal
from fleetui.audit.models import AuditEvent
from fleetui.core.errors import Conflict
from nodes.models import Node
from nodes.services.bulk import change_many
from nodes.services.importing import apply, plan
from nodes.services.nodes import delete_node, edit_node
from nodes.tests.api.client import Api
from nodes.tests.make import NOW, make_jump_host, make_node, make_user, principal
from nodes.tests.pages import signed_in
from ops.states import FINAL, WORKED, State
from ops.tests.test_merging import operation

pytestmark = pytest.mark.django_db
CSV = "name,address\nhost,10.9.9.9\n"


@pytest.fixture
def node() -> Node:
    node = make_node("host", address="10.0.0.1")
    operation(node, "running")
    return node


def edit(node: Node, **changes: Any) -> None:
    edit_node(node=Node.objects.get(pk=node.pk), changes=changes, actor=SYSTEM, now=NOW)


@pytest.mark.parametrize("state", sorted(WORKED))
def test_the_address_stays_while_steps_are_carried_out(state: State) -> None:
    node = make_node("host", address="10.0.0.1")
    operation(node, state.value)
    for changes in ({"address": "10.0.0.2"}, {"port": 2222}, {"jump_host": make_jump_host(f"j-{state}")}):
        with pytest.raises(Conflict) as refused:
            edit(node, **changes)
        assert refused.value.message == "An operation is under way on host: Reboot."
        assert refused.value.field == next(iter(changes))
    assert Node.objects.get(pk=node.pk).revision == 1
    assert not AuditEvent.objects.filter(action="nodes.edit").exists()


@pytest.mark.parametrize("state", sorted({*FINAL, State.NEEDS_ATTENTION, State.QUEUED}))
def test_before_and_after_and_where_a_person_has_to_mend_it_the_address_changes(state: State) -> None:
    node = make_node("host", address="10.0.0.1")
    operation(node, state.value)
    edit(node, address="10.0.0.2")
    assert Node.objects.get(pk=node.pk).address == "10.0.0.2"


@pytest.mark.parametrize("state", sorted(WORKED))
def test_a_node_is_not_deleted_while_steps_are_carried_out(state: State) -> None:
    node = make_node("host", address="10.0.0.1")
    operation(node, state.value)
    with pytest.raises(Conflict) as refused:
        delete_node(node=node, reason="scrapped", actor=SYSTEM, now=NOW)
    assert refused.value.message == "An operation is under way on host: Reboot."
    assert refused.value.mend == "It can be deleted when that has ended: wait for its end, or cancel it."
    free = make_node("free", address="10.0.0.2")
    done = change_many(ids=[node.pk, free.pk], action="delete", params={"reason": "scrapped"}, actor=SYSTEM, now=NOW)
    assert (done.changed, done.refused) == (1, ["host"])
    assert done.why_refused.startswith("An operation is under way on host: Reboot.")
    assert list(Node.objects.values_list("name", flat=True)) == ["host"]
    assert AuditEvent.objects.filter(action="nodes.delete").count() == 1


@pytest.mark.parametrize("state", sorted({*FINAL, State.NEEDS_ATTENTION, State.QUEUED}))
def test_before_and_after_it_is_deleted(state: State) -> None:
    node = make_node("host", address="10.0.0.1")
    operation(node, state.value)
    delete_node(node=node, reason="scrapped", actor=SYSTEM, now=NOW)
    assert not Node.objects.exists()


def test_a_page_says_why_a_node_is_not_deleted(node: Node) -> None:
    page = signed_in(make_user("owner", "admin")).post(
        "/nodes/host/delete/", {"reason": "x", "confirm": "host"}, follow=True
    )
    assert "An operation is under way on host: Reboot." in page.content.decode()
    answer = Api(make_user("root", "admin")).delete("nodes/host/")
    assert answer.status_code == 409
    assert "under way" in answer.json()["detail"]


def test_what_says_nothing_of_the_host_changes_meanwhile(node: Node) -> None:
    edit(node, labels={"rack": "7"}, name="renamed")
    assert Node.objects.get(pk=node.pk).labels == {"rack": "7"}


def test_the_form_and_the_api_say_it_at_the_field(node: Node) -> None:
    owner = make_user("owner", "admin")
    said = "An operation is under way on host: Reboot. Address, port, jump host and OS family stay until it has ended"
    sent = {"name": "host", "address": "10.0.0.2", "port": "22", "revision": "1"}
    page = signed_in(owner).post("/nodes/host/edit/", sent)
    assert page.status_code == 422
    assert said in page.context["form"].errors["address"][0]
    refused = Api(owner).patch("nodes/host/", {"address": "10.0.0.2"})
    problem = refused.json()
    assert (refused.status_code, problem["field"], problem["value"]) == (409, "address", "10.0.0.2")
    assert problem["mend"].endswith("wait for its end, or cancel it.")


def test_a_bulk_change_leaves_it_and_says_why(node: Node) -> None:
    make_node("free")
    ids = list(Node.objects.values_list("pk", flat=True))
    found = change_many(ids=ids, action="jump_host", params={"jump_host": make_jump_host()}, actor=SYSTEM, now=NOW)
    assert (found.changed, found.refused) == (1, ["host"])
    assert found.why_refused.startswith("An operation is under way on host: Reboot.")
    moved = change_many(ids=ids, action="labels", params={"set": {"a": "b"}}, actor=SYSTEM, now=NOW)
    assert moved.changed == 2


def made(actor: Principal) -> Any:
    options = plan.Options(update=True)
    return plan.make_plan(text=CSV, options=options, actor=actor, now=NOW)


def test_an_import_refuses_the_row_in_its_preview(node: Node) -> None:
    row = made(principal(make_user("owner", "admin"))).rows.get()
    assert row.outcome == "refuse"
    assert "An operation is under way on host" in row.problems[0]["mend"]


def test_an_operation_that_began_since_the_preview_keeps_the_import_from_its_node() -> None:
    node = make_node("host", address="10.0.0.1")
    actor = principal(make_user("owner", "admin"))
    found = made(actor)
    assert found.rows.get().outcome == "change"
    operation(node, "waiting")
    apply.start(plan=found, actor=actor, now=NOW)
    while apply.apply_some(found.pk, NOW):
        pass
    row = found.rows.get()
    assert (row.outcome, row.problems[0]["field"]) == ("refuse", "address")
    assert Node.objects.get(pk=node.pk).address == "10.0.0.1"
