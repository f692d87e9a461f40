"""Kinds that name a deployment by its place, and those of the update agent: what their plans say of what is there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fleetui.core import clock
from nodes.hosts.ssh.command import CommandResult
from nodes.models import Node
from nodes.tests.make import deployment, make_facts, make_node, make_user, principal
from nodes.tests.pages import signed_in
from ops.actions.base import answered
from ops.models import Operation
from ops.preflight import pruned
from ops.services.request import preview
from ops.tests.test_engine_kills import PARAMS, Run
from ops.wording import check_sentence, result_sentence

pytestmark = pytest.mark.django_db

BOOTED = deployment("44.2")
STAGED = deployment("44.3", booted=False, staged=True)
BEFORE = deployment("44.1", booted=False, rollback=True)


def found(kind: str, deployments: list[dict[str, Any]], **params: Any) -> list[tuple[str, str]]:
    """Level and sentence of what the plan says of it, without how old the facts are."""
    user = make_user("anna", "admin")
    node = make_node("web-1")
    make_facts(node, deployments=deployments)
    (plan,) = preview(
        nodes=[Node.objects.get(pk=node.pk)], kind=kind, params=params, actor=principal(user), now=clock.now()
    )
    assert not plan.refused
    return [(one.level, str(check_sentence(one.code, one.params))) for one in plan.checks if "facts" not in one.code]


@pytest.mark.parametrize(
    ("kind", "place", "deployments", "level", "sentence"),
    [
        ("pin", "booted", [BOOTED], "ok", "It is 44.2, which is not pinned now."),
        ("pin", "rollback", [BOOTED], "block", "The host has no deployment to go back to."),
        ("unpin", "rollback", [BOOTED, {**BEFORE, "pinned": True}], "ok", "It is 44.1, which is pinned now."),
        ("pin", "pending", [BOOTED, BEFORE], "block", "The host has no deployment that waits for a restart."),
        ("pin", "pending", [STAGED, BOOTED], "block", "44.3 is only staged: it can be pinned and unpinned after the restart into it."),
        ("pin", "pending", [{**STAGED, "staged": False}, BOOTED], "ok", "It is 44.3, which is not pinned now."),
        ("cleanup_pending", "", [BOOTED, BEFORE], "warn", "No deployment waits for a restart, so nothing is dropped."),
        ("cleanup_pending", "", [STAGED, BOOTED], "ok", "44.3 goes away."),
        ("cleanup_rollback", "", [BOOTED], "warn", "There is no deployment to go back to, so nothing is dropped."),
        ("cleanup_rollback", "", [BOOTED, BEFORE], "ok", "44.1 goes away."),
        ("cleanup_rollback", "", [BOOTED, {**BEFORE, "pinned": True}], "warn", "44.1 is pinned, and stays: unpin it first."),
    ],
)  # fmt: skip
def test_a_plan_says_which_deployment_it_is_about(
    kind: str, place: str, deployments: list[dict[str, Any]], level: str, sentence: str
) -> None:
    assert found(kind, deployments, **({"deployment": place} if place else {})) == [(level, sentence)]


def test_a_look_that_did_not_tell_what_runs_leaves_it_to_the_host() -> None:
    assert [level for level, _sentence in found("pin", [], deployment="rollback")] == ["warn"]


@pytest.mark.parametrize(
    ("kind", "agent", "sentences"),
    [
        ("zincati_check", {"unit": {"active": "active"}}, []),
        ("zincati_check", {"unit": {"active": "inactive"}}, ["Zincati does not run on it, and is started by this"]),
        ("zincati_resume", {"unit": {"active": "inactive"}}, ["Zincati does not run on it, and is started by this"]),
        (
            "zincati_check",
            {"unit": {"active": "active"}, "config": {"updates": {"enabled": False}}},
            ["Automatic updates are switched off on it"],
        ),
    ],
)
def test_a_plan_says_what_a_restart_of_the_update_agent_comes_to(
    kind: str, agent: dict[str, Any], sentences: list[str]
) -> None:
    node = make_node("web-1")
    make_facts(node, agent=agent)
    admin = signed_in(make_user("admin", "admin"))
    page = admin.post("/operations/-/plan/", {"kind": kind, "id": str(node.pk)}).content.decode()
    for sentence in ("Zincati does not run on it", "Automatic updates are switched off on it"):
        assert (sentence in page) == any(one.startswith(sentence) for one in sentences)


@pytest.mark.parametrize(
    ("kind", "word"),
    [("zincati_pause", "are paused"), ("zincati_resume", "is resumed"), ("zincati_check", "looks for an update now")],
)
def test_what_the_update_agent_was_told_is_said(monkeypatch: pytest.MonkeyPatch, kind: str, word: str) -> None:
    monkeypatch.setitem(PARAMS, kind, {})
    run = Run(kind, monkeypatch)
    done = run.rounds()
    assert (done.state, word in result_sentence(done.result, done.result_params)) == ("succeeded", True)
    run.machine.loop.close()


def test_the_button_asks_for_what_the_page_showed() -> None:
    node = make_node("web-1")
    make_facts(node, deployments=[{**STAGED, "staged": False}, BOOTED, BEFORE])
    admin = signed_in(make_user("admin", "admin"))
    given = {"kind": "pin", "ids": str(node.pk), "hours": "4", "deployment": "booted", "reason": "x"}

    def mark(page: str) -> str:
        return str(re.findall(r'name="seen" value="(\w+)"', page)[0])

    shown = mark(admin.post("/operations/-/plan/", {**given, "again": "1"}).content.decode())
    other = admin.post("/operations/-/plan/", {**given, "deployment": "rollback", "seen": shown, "go": "1"})
    page = other.content.decode()
    assert other.status_code == 422
    assert "It is 44.1" in page
    assert "what would be done has changed since the plan was shown" in page
    assert not Operation.objects.exists()
    again = {**given, "deployment": "rollback", "seen": mark(page), "hours": "12", "go": "1"}
    assert admin.post("/operations/-/plan/", again).status_code == 302
    assert Operation.objects.get().params == {"deployment": "rollback"}


def test_what_a_command_logs_is_not_what_it_answers() -> None:
    logged = CommandResult(0, b"", b"I2026 update_engine_client.cc:241] Querying Update Engine status...\n", 0.1)
    assert answered(logged) == ""
    assert (
        answered(CommandResult(0, b"one\n\nDeployment 1 is now pinned\n", b"", 0.1)) == "one Deployment 1 is now pinned"
    )


@pytest.mark.parametrize(
    ("deployments", "sentence"),
    [
        ([BOOTED, BEFORE], "The rollback deployment 44.1 goes away."),
        ([STAGED, BOOTED, BEFORE], "The staged deployment 44.3 and the rollback deployment 44.1 go away."),
        ([BOOTED, {**BEFORE, "pinned": True}], "No deployment goes away."),
    ],
)
def test_what_a_new_deployment_takes_the_place_of_is_named(deployments: list[dict[str, Any]], sentence: str) -> None:
    check = pruned({"deployments": deployments})
    assert check_sentence(check.code, check.params) == sentence


def test_a_cancel_after_the_restart_says_that_the_arguments_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("kargs", monkeypatch, append=["panic=10"], soak_s=60)
    while run.operation.step != "soak":
        run.rounds(1)
    run.cancel()
    done = run.rounds()
    said = result_sentence(done.result, done.result_params)
    assert done.state == "cancelled"
    assert "restarted already with the new kernel arguments, and keeps them" in said
    assert "runs 4" not in said
    run.machine.loop.close()


def test_a_slot_that_is_not_there_to_go_back_to_is_no_missing_skill_of_the_system() -> None:
    user = make_user("anna", "admin")
    node = make_node("flat-1", os_family="flatcar", os_name="Flatcar Container Linux")
    make_facts(node, deployments=[BOOTED])
    (plan,) = preview(
        nodes=[Node.objects.get(pk=node.pk)], kind="rollback", params={}, actor=principal(user), now=clock.now()
    )
    assert plan.refused == ""
    assert "no_rollback" in [one.code for one in plan.checks if one.level == "block"]
