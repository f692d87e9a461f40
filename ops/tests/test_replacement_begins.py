"""When the etcd member of a control plane goes: as soon as nothing can refuse any more, and before anything is deleted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from nodes.models import Node
from nodes.tests.make import make_user
from nodes.tests.pages import signed_in
from ops.replacement import NotReady
from ops.services import control
from ops.services.replacing.confirming import confirm, token_of
from ops.services.request import preview
from ops.tests.planes import OfPlanes, Told, dying_at
from ops.tests.test_replacement import sentence
from ops.wording import check_sentence, wait_sentence

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


class Prepares(OfPlanes):
    """By a provisioner that can refuse before it deletes, as Terraform does by its plan."""

    def __init__(self, patch: pytest.MonkeyPatch, told: Told, **given: Any) -> None:
        super().__init__(patch, told, **given)
        patch.setattr(self.site, "at_once", False)
        patch.setattr(self.site, "says_begins", True)


@pytest.mark.parametrize("kind", [OfPlanes, Prepares])
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.soak), 5])
def test_a_worker_may_die_at_every_call(kind: type[OfPlanes], every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = 0
    for call in itertools.count(0, every):
        told = Told(refuses=call % 2)
        run = kind(monkeypatch, told, joins=told.join)
        with dying_at(run, call):
            run.rounds(300)
            run.check(call)
            assert told.removed == ["a1"], call
        deaths += run.machine.deaths
        if not run.machine.deaths:
            break
    assert deaths * every >= 12


def test_what_is_refused_before_the_deletion_costs_no_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is refused, however often; and one that is made at last."""
    told = Told()
    run = Prepares(monkeypatch, told)
    run.site.fails = 3
    row = run.rounds()
    assert (row.state, told.removed, run.site.made) == ("failed", [], 0)
    assert "no quota" in sentence(row)
    assert "etcd" not in sentence(row)

    told = Told()
    run = Prepares(monkeypatch, told, joins=told.join)
    run.site.fails, made = 1, list[int]()
    removes = told.remove

    def remove(wanted: str, peers: str) -> tuple[int, bytes, bytes]:
        made.append(run.site.made + run.site.fails)
        return removes(wanted, peers)

    monkeypatch.setattr(told, "remove", remove)
    row = run.rounds(until="member_leaves")
    assert (row.memory["job"]["begins"], row.memory["busy"], run.site.made) == ("tf_agreed", True, 0)
    run.rounds()
    run.check()
    assert (told.removed, made) == (["a1"], [0])


def test_one_that_cannot_be_asked_costs_no_member(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told)
    run.rounds(until="offers")

    def ready() -> None:
        raise NotReady("hook_absent", path="/srv/make")

    monkeypatch.setattr(run.site, "ready", ready)
    row = run.rounds()
    assert (row.state, row.result, told.removed, run.site.asked) == ("failed", "hook_absent", [], set())


def test_by_hand_a_person_says_when(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told, kind="manual", joins=told.join)
    row = run.rounds(until="person_readies")
    assert "say here that you are about to delete the machine of n1" in wait_sentence(row.wait_reason, row.wait_params)
    client = signed_in(make_user("boss", "admin"))
    page = client.get(f"/operations/{row.pk}/machine/").content.decode()
    assert (page.count('value="ready"'), page.count('value="deleted"')) == (1, 0)
    control.cancel(operation=row, actor=SYSTEM, now=run.now)
    row = run.rounds()
    assert (row.state, told.removed) == ("cancelled", [])
    assert "etcd" not in sentence(row)

    run = OfPlanes(monkeypatch, told, kind="manual", joins=told.join)
    run.rounds(until="person_readies")
    answer = client.post(f"/api/v1/operations/{run.operation.pk}/machine/", {"what": "ready"}, "application/json")
    assert set(answer.json()["confirmed"]) == {"ready"}
    row = run.rounds(until="person_deletes")
    assert (told.removed, bool(row.memory.get("busy"))) == (["a1"], False)
    page = client.get(f"/operations/{row.pk}/machine/").content.decode()
    assert (page.count('value="ready"'), page.count('value="deleted"')) == (0, 1)
    assert "Confirmed by boss." in page
    confirm(operation=row, what="deleted", actor=SYSTEM, now=run.now)
    row = run.rounds(until="person_creates")
    confirm(operation=row, what="ready", actor=SYSTEM, now=run.now)
    assert run.rounds(3).wait_reason == "person_creates", "a second time changes nothing"


def test_people_who_were_quicker_have_its_member_removed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told, kind="manual", joins=told.join)
    row = run.rounds(until="person_readies")
    confirm(operation=row, what="deleted", actor=SYSTEM, now=run.now)
    told.turns("n1", is_healthy=False)
    told.turns("n3", is_healthy=False)
    row = run.rounds()
    assert (row.state, row.result, told.removed) == ("needs_attention", "preflight", []), "there is no way back"
    told.turns("n3", is_healthy=True)
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    row = run.rounds(until="person_creates")
    assert (told.removed, row.memory["busy"]) == (["a1"], True)
    _made, text = token_of(operation=row, actor=SYSTEM)
    run.site.make(f"https://fleet.example.org/ignition/{text}")
    confirm(operation=row, what="created", actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


def begun_by_hand(run: OfPlanes) -> None:
    row = run.rounds(until="person_readies")
    confirm(operation=row, what="ready", actor=SYSTEM, now=run.now)
    run.rounds(until="person_deletes")


def test_a_cancel_after_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told, kind="manual")
    begun_by_hand(run)
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    row = run.rounds()
    assert (row.state, told.removed) == ("cancelled", ["a1"])
    assert "The machine itself was not deleted." in sentence(row)
    assert "Its etcd member n1 was removed and is not put back" in sentence(row)
    # Asked for again, there is nothing to remove any more.
    node = Node.objects.select_related("pool__cluster").get(pk=run.node.pk)
    (plan,) = preview(nodes=[node], kind="replace", params={}, actor=SYSTEM, now=run.now)
    assert "asks over SSH what etcd consists of (n2, n3)" in " ".join(
        check_sentence(one.code, one.params) for one in plan.checks
    )


def test_a_node_that_is_retired_after_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    run = OfPlanes(monkeypatch, told, kind="manual")
    begun_by_hand(run)
    Node.objects.filter(pk=run.node.pk).update(lifecycle="retired")
    row = run.rounds()
    assert (row.state, told.removed) == ("void", ["a1"])
    assert "Its etcd member n1 was removed and is not put back" in sentence(row)
