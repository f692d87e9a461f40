"""The wording: every code has a sentence, and none needs all of its values."""

import inspect
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes import wording
from nodes.axes import Health, Lifecycle, Reachability, UpdateState
from nodes.axes.health import REASONS as HEALTH_REASONS
from nodes.axes.update_state import REASONS as UPDATE_REASONS
from nodes.axes.update_state import STATUS_SECTIONS
from nodes.hosts import errors
from nodes.hosts.facts import Unread
from nodes.wording.axes import REASONS as WORDED
from nodes.wording.axes import SENTENCES, WORDS
from nodes.wording.errors import ERRORS, MENDS, PHASES
from nodes.wording.facts import COMMANDS, UNREAD
from nodes.wording.sentences import Forms, fill
from nodes.wording.timeline import TIMELINE

MID, NEW = "43.20251214.3.0", "43.20260201.3.0"
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("axis", "member"),
    [
        (axis, member)
        for axis, enum in (
            ("reachability", Reachability),
            ("health", Health),
            ("update_state", UpdateState),
            ("lifecycle", Lifecycle),
        )
        for member in enum
    ],
)
def test_every_value_has_a_word_and_the_same_sentence(axis: str, member: Any) -> None:
    assert str(WORDS[axis][member.value])
    assert str(SENTENCES[axis][member.value]) == member.sentence


def test_exactly_the_reasons_that_exist_have_wording() -> None:
    health = {(value.value, code) for value, codes in HEALTH_REASONS.items() for code in codes}
    update_state = {(value.value, code) for value, codes in UPDATE_REASONS.items() for code in codes}
    assert set(WORDED["health"]) == health - {("healthy", "")}
    assert set(WORDED["update_state"]) == update_state
    kinds = {one.kind for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.HostError)}
    assert set(ERRORS) == set(MENDS) == kinds


def test_every_bare_form_stands_without_values() -> None:
    tables: list[Mapping[Any, Forms]] = [
        WORDED["reachability"],
        WORDED["health"],
        WORDED["update_state"],
        ERRORS,
        MENDS,
        TIMELINE,
    ]
    forms: list[Forms] = [one for table in tables for one in table.values()] + [
        one for pair in PHASES.values() for one in pair
    ]
    for one in forms:
        bare = fill(one, {})
        assert bare == str(one[-1]).replace("%%", "%")
        assert bare != "Nothing more is known."
        assert "please" not in bare.lower()
        assert "!" not in bare


@pytest.mark.parametrize(
    ("kind", "params", "sentence"),
    [
        (
            "jump_failed",
            {"hop": "b1", "inner_kind": "refused"},
            "The jump host b1 failed: The host refused the connection.",
        ),
        (
            "command_failed",
            {"command": "true", "exit_status": 1, "stderr": ""},
            "The command true ended with status 1.",
        ),
        ("authentication", {"address": "n1", "username": "core", "reason": ""}, "n1 did not accept the login of core."),
        ("never_heard_of", {}, "The contact failed (never_heard_of)."),
    ],
)
def test_errors_read_as_sentences(kind: str, params: dict[str, Any], sentence: str) -> None:
    assert wording.error_sentence(kind, params) == sentence
    assert wording.error_mend(kind, params).endswith(".")


@pytest.mark.parametrize(
    ("kind", "params", "sentence"),
    [
        ("upgraded", {"before": MID, "after": NEW}, f"Upgraded from {MID} to {NEW}"),
        ("units_failed", {"units": ["a.service"]}, "1 unit failed: a.service"),
        ("units_failed", {"units": list("abcdefg")}, "7 units failed: a, b, c, d, e and 2 more"),
        (
            "became_unreachable",
            {"reason": "refused", "address": "n1", "port": 22},
            "Became unreachable: n1 refused the connection on port 22.",
        ),
        ("lifecycle_changed", {"before": "active", "after": "retired"}, "Lifecycle changed from Active to Retired"),
        ("os_detected", {"name": f"Fedora CoreOS {NEW}", "version": NEW}, f"Detected Fedora CoreOS {NEW}"),
        ("os_detected", {"name": "Fedora CoreOS", "version": NEW}, f"Detected Fedora CoreOS {NEW}"),
        ("facts_changed", {"sections": ["boot", "os"]}, "Facts changed: boot, operating system"),
        ("operation_ended", {"kind": "upgrade", "state": "needs_attention"}, "Upgrade ended: Needs attention"),
        ("operation_ended", {}, "Operation ended"),
        ("never_heard_of", {}, "Recorded: never_heard_of"),
    ],
)
def test_the_timeline_reads_as_sentences(kind: str, params: dict[str, Any], sentence: str) -> None:
    assert wording.timeline_sentence(kind, params) == sentence


@pytest.mark.parametrize(
    ("section", "why", "sentence"),
    [
        ("rpm_ostree_status", "not_understood", "could not be read (rpm-ostree status: not understood)."),
        ("update_engine", "missing", "could not be read (update_engine_client --status: the command is not there)."),
        ("", "", "could not be read."),
    ],
)
def test_no_code_is_shown_where_the_status_was_not_read(section: str, why: str, sentence: str) -> None:
    params = {"section": section, "why": why}
    told = wording.axis_sentence("update_state", "unknown", "status_not_read", params)
    assert told == f"The status of the deployments {sentence}"


def test_every_part_whose_name_is_told_has_a_command_and_every_reason_words() -> None:
    assert set(COMMANDS) == set(STATUS_SECTIONS)
    documented = (Unread.__doc__ or "").partition("one of ")[2].partition(".")[0]
    assert set(documented.split(", ")) == set(UNREAD)


@given(
    st.sampled_from([*TIMELINE, *ERRORS, "other"]),
    st.dictionaries(
        st.sampled_from(
            [
                "units",
                "count",
                "phase",
                "inner_kind",
                "stderr",
                "reason",
                "before",
                "after",
                "minutes",
                "version",
                "name",
            ]
        ),
        _VALUES,
    ),
)
def test_wording_never_raises(kind: str, params: dict[str, Any]) -> None:
    assert wording.timeline_sentence(kind, params)
    assert wording.error_sentence(kind, params)
    assert wording.error_mend(kind, params)
    assert wording.axis_sentences("health", "degraded", "units_failed", {**params, "also": params.get("units")})


@pytest.mark.parametrize(("actor", "said"), [("user:ada", "ada"), ("system:fleetui", "fleetui"), ("ada", "ada")])
def test_a_timeline_names_who_acted_without_the_kind_of_principal(actor: str, said: str) -> None:
    told = wording.timeline_sentence("ignition_applied", {"actor": actor, "version": "web version 2"})
    assert told == f"{said} noted that it was provisioned with web version 2"
