"""Every code of drift has its words."""

from __future__ import annotations

import re
from pathlib import Path

from nodes.drift import Sort, What
from nodes.drift.osmade import _MADE
from nodes.models.node import IgnitionState
from nodes.wording import drift as words
from nodes.wording import timeline_sentence
from nodes.wording.ignition import IGNITION_STATE_WORDS

PURE = Path(__file__).resolve().parents[1] / "drift"


def test_every_code_has_its_words() -> None:
    states = {one.value for one in IgnitionState}
    assert states == set(IGNITION_STATE_WORDS) == set(words.STATE_LEVELS) == set(words.STATE_SENTENCES)
    sorts = {one.value for one in Sort}
    assert sorts == set(words.CLASS_WORDS) == set(words.CLASS_LEVELS) == set(words.CLASS_MENDS)
    assert {one.value for one in What} == set(words.WHAT_WORDS)
    assert {reason for _path, _what, reason in _MADE} | {"platform_keys", "same_hostname"} == set(words.REASONS)


def test_every_reason_for_not_looking_has_a_sentence() -> None:
    source = "\n".join(path.read_text() for path in PURE.glob("*.py"))
    given = set(re.findall(r'Unlooked\([^()]*"(\w+)"\)', source)) | set(re.findall(r'unread\S* = "(\w+)"', source))
    assert {"password", "raid", "too_large"} <= given <= set(words.UNLOOKED)


def test_a_failure_says_why_and_what_to_do() -> None:
    assert words.failure_words("no_config", {"why": "a has no value.", "mend": "Set it."}) == (
        "a has no value.",
        "Set it.",
    )
    assert words.failure_words("not_supported", {"family": "Talos Linux"})[0].startswith("Talos Linux hosts")
    assert "units" in words.failure_words("not_understood", {"question": "systemctl"})[0]
    assert "10.0.0.1" in words.failure_words("refused", {"address": "10.0.0.1", "port": 22})[0]


def test_the_timeline_says_states_in_words() -> None:
    said = timeline_sentence("ignition_state_changed", {"before": "in_step", "after": "needs_replacement"})
    assert said == "Ignition state changed from In step to Needs replacement"
