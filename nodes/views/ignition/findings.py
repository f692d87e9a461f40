"""Findings as pages show them: with level, line, and the place in the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodes.ignition.lint import Finding as Linted
from nodes.ignition.lint import Severity
from nodes.views.ignition.words import FINDING_LEVELS
from nodes.wording.configs import finding_sentence, rule_fix, rule_reason

Finding = dict[str, Any]


def finding_rows(findings: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Errors first, then in the order of the source."""
    rows = [{**found, "level": FINDING_LEVELS[found["kind"]], **_worded(found)} for found in findings]
    return sorted(rows, key=lambda row: list(FINDING_LEVELS).index(row["kind"]))


def _worded(found: Mapping[str, Any]) -> dict[str, str]:
    """What a rule says, in the reader's language; the translator speaks its own."""
    if not found.get("rule"):
        return {}
    one = Linted(found["rule"], Severity(found["kind"]), found["params"])
    return {"message": finding_sentence(one), "fix": rule_fix(one.rule), "reason": rule_reason(one.rule)}


def by_line(findings: Iterable[Finding]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    for one in findings:
        if one["line"]:
            found.setdefault(one["line"], []).append(one)
    return found
