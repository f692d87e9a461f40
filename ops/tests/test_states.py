"""The table of states, its drawing in the docs, and the words and sentences that everything has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from zoneinfo import ZoneInfo

from django.utils import timezone

from ops import actions, wording
from ops.states import ACTIVE, FINAL, TRANSITIONS, State
from ops.views.words import LEVELS
from ops.wording.checks import CHECKS
from ops.wording.refusals import PARAM_PROBLEMS, REFUSALS
from ops.wording.results import RESULTS
from ops.wording.steps import NOTES, STEPS, WAITS

ROOT = Path(__file__).resolve().parents[2]


def test_the_docs_draw_the_table() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    section = text.split("## States")[1]
    rows = {
        found[0]: set(re.findall(r"`(\w+)`", found[1]))
        for found in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M)
    }
    assert rows == {str(state): {str(one) for one in onward} for state, onward in TRANSITIONS.items() if onward}


def test_every_state_is_reached_and_can_end() -> None:
    reached = {after for onward in TRANSITIONS.values() for after in onward} | {State.REQUESTED}
    assert reached == set(State)
    assert set(State) == ACTIVE | FINAL
    for state in ACTIVE:
        assert TRANSITIONS[state] & (FINAL | ACTIVE - {state})


def test_a_wait_says_its_time_in_the_zone_of_the_reader() -> None:
    until = {"until": "2026-11-25T16:58:58.433590+00:00"}
    assert wording.wait_sentence("soaks", until) == "Healthy so far; it is watched until 2026-11-25 16:58:58 UTC."
    with timezone.override(ZoneInfo("Asia/Bangkok")):
        assert "until 2026-11-25 23:58:58 +07." in wording.wait_sentence("soaks", until)
    assert "until soon." in wording.wait_sentence("soaks", {"until": "soon"})


def test_every_state_and_kind_has_a_word() -> None:
    assert all(wording.state_word(state) != state.value for state in State)
    assert all(wording.kind_word(kind) != kind for kind in actions.kinds())
    assert set(LEVELS) == {state.value for state in State}
    for kind in actions.kinds():
        for step in actions.get(kind).steps:
            assert wording.step_word(step.name) in map(str, STEPS.values()), step.name


def _codes(call: str, place: int) -> set[str]:
    """The texts that are given to a call of this name anywhere in the engine and the actions."""
    found: set[str] = set()
    for path in [
        *(ROOT / "ops").glob("*.py"),
        *(ROOT / "ops/actions").glob("*.py"),
        *(ROOT / "ops/engine").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) <= place:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = node.args[place]
            if name == call and isinstance(given, ast.Constant) and isinstance(given.value, str):
                found.add(given.value)
    return found


def test_everything_that_the_engine_says_has_a_sentence() -> None:
    assert _codes("Fail", 0) | _codes("as_failure", 1) <= set(RESULTS)
    assert _codes("Wait", 1) <= set(WAITS)
    assert _codes("Check", 0) <= set(CHECKS)
    assert {code for code in _codes("note", 0) if not code.startswith("check_")} <= set(NOTES)
    assert _codes("ParamsRefused", 1) <= set(PARAM_PROBLEMS)
    plan = (ROOT / "ops/services/plan.py").read_text()
    assert set(re.findall(r'NodePlan\(node, "(\w+)"', plan)) <= set(REFUSALS)
