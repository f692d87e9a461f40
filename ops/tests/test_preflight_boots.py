"""What a restart goes to, which need not be what runs."""

from __future__ import annotations

from typing import Any

import pytest

from ops.actions.simple import ready_to_restart
from ops.preflight import pruned
from ops.wording import check_sentence

RUNS: dict[str, Any] = {"version": "1", "booted": True}
STAGED: dict[str, Any] = {"version": "2", "staged": True}


@pytest.mark.parametrize(
    ("deployments", "level", "told"),
    [
        ([RUNS, {"version": "0", "rollback": True}], "ok", "goes to what runs now"),
        ([STAGED, RUNS], "warn", "goes to 2,"),
        ([{"version": "0"}, RUNS], "warn", "goes to 0,"),
        # The update agent staged it with a lock: a plain restart drops it.
        ([{**STAGED, "locked": True}, RUNS], "ok", "goes to what runs now"),
        ([], "warn", "could not be read"),
    ],
)
def test_the_plan_of_a_restart_says_what_it_boots(deployments: list[dict[str, Any]], level: str, told: str) -> None:
    found = ready_to_restart({"deployments": deployments}, {}, {}, {})[-1]
    assert found.level == level
    assert told in check_sentence(found.code, found.params)


@pytest.mark.parametrize(
    ("deployments", "told"),
    [
        (
            [STAGED, RUNS, {"version": "0", "rollback": True}],
            "The staged deployment 2 and the rollback deployment 0 go away.",
        ),
        ([STAGED, RUNS], "The staged deployment 2 goes away."),
        ([RUNS, {"version": "0", "rollback": True}], "The rollback deployment 0 goes away."),
        ([RUNS, {"version": "0", "rollback": True, "pinned": True}], "No deployment goes away."),
    ],
)
def test_the_plan_of_an_upgrade_names_what_goes_away_as_what_it_is(
    deployments: list[dict[str, Any]], told: str
) -> None:
    found = pruned({"deployments": deployments})
    assert check_sentence(found.code, found.params) == told
