"""Production advice over a Butane source or an Ignition document.

looked = lint(source, platform="aws")
for one in looked.findings:
    one.rule, one.severity, one.params, one.path, one.position

`lint_conversion` does the same for a conversion that is there already. A source that cannot be converted has no
findings but an `error`; its own report says why. Rules are listed in `lint.registry`, sentences are in
`nodes.wording.configs`.
"""

from nodes.ignition.lint.check import Linted, lint, lint_conversion, lint_document
from nodes.ignition.lint.model import Finding, Rule, Severity
from nodes.ignition.lint.registry import GROUPS, RULES, find_rule
from nodes.ignition.lint.size import PLATFORMS

__all__ = [
    "GROUPS",
    "PLATFORMS",
    "RULES",
    "Finding",
    "Linted",
    "Rule",
    "Severity",
    "find_rule",
    "lint",
    "lint_conversion",
    "lint_document",
]
