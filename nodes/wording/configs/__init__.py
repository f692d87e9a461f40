"""What the codes of `nodes.ignition` say to people: what a config does, what another does otherwise, what is wrong.

No function raises. A code without wording is shown as it is.
"""

from typing import Any

from django.utils.translation import gettext as _

from nodes.ignition.lint import Finding
from nodes.ignition.said import Said
from nodes.ignition.variables import VariableProblem
from nodes.wording.configs.effects import EFFECTS, WEIGHT_SENTENCES, WEIGHTS
from nodes.wording.configs.lint import GROUPS, RULES, SEVERITIES, SEVERITY_SENTENCES
from nodes.wording.configs.lint import PROBLEMS as LINT_PROBLEMS
from nodes.wording.configs.sections import LINES
from nodes.wording.configs.variables import PROBLEMS, REASONS, TYPES
from nodes.wording.sentences import Forms, fill

__all__ = [
    "effect_sentence",
    "finding_sentence",
    "group_word",
    "line_sentence",
    "rule_fix",
    "rule_reason",
    "severity_sentence",
    "severity_word",
    "type_word",
    "variable_reason",
    "variable_sentence",
    "weight_sentence",
    "weight_word",
]

_FOUND = {rule: words.found for rule, words in RULES.items()}


def line_sentence(line: Said) -> str:
    """What a part of a config does."""
    return _worded(LINES, line.code, dict(line.params))


def effect_sentence(what: Said) -> str:
    """What another config does otherwise."""
    return _worded(EFFECTS, what.code, dict(what.params))


def weight_word(weight: str) -> str:
    """How much an effect weighs, in a word."""
    return str(WEIGHTS.get(weight, weight))


def weight_sentence(weight: str) -> str:
    return str(WEIGHT_SENTENCES.get(weight, weight))


def type_word(type_: str) -> str:
    """The type of a variable."""
    return str(TYPES.get(type_, type_))


def variable_sentence(problem: VariableProblem) -> str:
    """What is wrong with a variable, its value or a reference, and what to do."""
    params: dict[str, Any] = dict(problem.params)
    reason = params.get("reason")
    if isinstance(reason, str) and reason in REASONS:
        params["why"] = fill(REASONS[reason], params)
    return _worded(PROBLEMS, problem.code, params)


def variable_reason(reason: str) -> str:
    """Why a value is not what its type says."""
    return fill(REASONS[reason], {}) if reason in REASONS else reason


def finding_sentence(finding: Finding) -> str:
    """What a rule found."""
    params: dict[str, Any] = dict(finding.params)
    problem = params.get("problem")
    if isinstance(problem, str) and problem in LINT_PROBLEMS:
        params["why"] = fill(LINT_PROBLEMS[problem], params)
    return _worded(_FOUND, finding.rule, params)


def rule_reason(rule: str) -> str:
    """Why the rule is there."""
    return str(RULES[rule].reason) if rule in RULES else ""


def rule_fix(rule: str) -> str:
    """What to do about a finding."""
    return str(RULES[rule].fix) if rule in RULES else ""


def severity_word(severity: str) -> str:
    return str(SEVERITIES.get(severity, severity))


def severity_sentence(severity: str) -> str:
    """What a severity means."""
    return str(SEVERITY_SENTENCES.get(severity, severity))


def group_word(group: str) -> str:
    """What a group of rules is about."""
    return str(GROUPS.get(group, group))


def _worded(words: dict[str, Forms], code: str, params: dict[str, Any]) -> str:
    # A name may be empty in a config that the host then refuses.
    params = {name: "-" if value == "" else value for name, value in params.items()}
    return fill(words[code], params) if code in words else _("(%(code)s)") % {"code": code or "-"}
