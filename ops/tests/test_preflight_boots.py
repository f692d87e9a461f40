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


@pytest.mark.parametrize(
    ("updates", "told"),
    [
        ({"strategy": "immediate"}, []),
        ({}, []),
        (
            {"strategy": "fleet_lock", "fleet_lock": {"base_url": "https://lock.example.org/"}},
            [
                "By itself Zincati restarts the host only with the lock of https://lock.example.org/. "
                "This restart does not ask for it."
            ],
        ),
        (
            {"strategy": "etcd-lock"},
            ["By itself Zincati restarts the host only with a lock. This restart does not ask for it."],
        ),
    ],
)
def test_a_lock_that_is_not_asked_stands_in_the_plan(updates: dict[str, Any], told: list[str]) -> None:
    facts = {"deployments": [RUNS], "agent": {"name": "Zincati", "config": {"updates": updates}}}
    found = [one for one in ready_to_restart(facts, {}, {}, {}) if one.code == "lock_not_asked"]
    assert [check_sentence(one.code, one.params) for one in found] == told
    assert all(one.level == "warn" for one in found)
