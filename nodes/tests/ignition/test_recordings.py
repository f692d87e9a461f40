"""Recordings of the real butane and ignition-validate: what differs from them is listed here, all else is equal."""

import os
from pathlib import Path

import pytest

from nodes.ignition.score import BUTANE_MEASURES, IGNITION_MEASURES, Group, score_butane, score_ignition

# The real ignition-validate prints its report through a format string, which garbles a percent sign.
GARBLED = {
    ("invalid", "wording"): {
        "itest-negative-security-tls-02",
        "itest-negative-security-tls-05",
        "itest-positive-security-tls-03",
        "itest-positive-security-tls-06",
    }
}


def corpus(name: str) -> Path:
    """A folder of recordings. In CI it must be there."""
    root = os.environ.get("FLEETUI_CORPUS")
    if not root:
        if os.environ.get("CI"):
            pytest.fail("FLEETUI_CORPUS is not set, so the recordings cannot be tried")
        pytest.skip("corpus not present")
    return Path(root, name)


def differing(groups: list[Group]) -> dict[tuple[str, str], set[str]]:
    return {
        (group.name, measure): set(score.differ)
        for group in groups
        for measure, score in group.scores.items()
        if score.differ
    }


def test_butane() -> None:
    groups = score_butane(corpus("butane"))
    assert differing(groups) == {}
    taken = {group.name: (group.cases, set(group.scores)) for group in groups}
    assert taken["fcos"][0] > 500
    assert taken["flatcar"][0] > 60
    assert taken["fcos"][1] == taken["flatcar"][1] == set(BUTANE_MEASURES)


def test_ignition() -> None:
    groups = score_ignition(corpus("ignition"))
    assert differing(groups) == GARBLED
    assert sum(group.cases for group in groups) > 200
    assert all(set(group.scores) == set(IGNITION_MEASURES) for group in groups)
