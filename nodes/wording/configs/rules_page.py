"""The page of all rules, as it stands in `docs/lint-rules.md`."""

from collections.abc import Iterator

from django.utils.translation import override

from nodes.ignition.lint import GROUPS, PLATFORMS, Rule, Severity, lint
from nodes.ignition.lint.size import LIMITS
from nodes.wording.configs import (
    finding_sentence,
    group_word,
    rule_fix,
    rule_reason,
    severity_sentence,
    severity_word,
)

_HEAD = """\
# Rules of the lint

Made by `manage.py ignition rules`. How to run the lint, and how to allow what a rule finds, is in
[Butane and Ignition](butane.md#lint).
"""


def rules_page() -> str:
    """The page in English."""
    with override("en"):
        return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "| severity | meaning |"
    yield "| --- | --- |"
    for severity in Severity:
        yield f"| {severity_word(severity).lower()} | {severity_sentence(severity)} |"
    yield ""
    yield "| group | rules |"
    yield "| --- | --- |"
    for group, rules in GROUPS.items():
        yield f"| {group_word(group)} | {', '.join(f'[{rule.id}](#{rule.id})' for rule in rules)} |"
    for group, rules in GROUPS.items():
        yield f"\n## {group_word(group)}"
        for rule in rules:
            yield from _rule(rule)
        if group == "size":
            yield "\n| platform | bytes |"
            yield "| --- | --- |"
            for platform in PLATFORMS:
                yield f"| {platform} | {LIMITS[platform]:,} |"


def _rule(rule: Rule) -> Iterator[str]:
    yield f"\n### {rule.id}\n"
    yield f"{severity_word(rule.severity)}. {rule_reason(rule.id)}"
    yield f"{rule_fix(rule.id)}\n"
    with_platform = f", with `--platform {rule.platform}`" if rule.platform else ""
    yield f"Found{with_platform}:\n"
    yield f"```yaml\n{_shortened(rule.bad)}```\n"
    found = next(one for one in lint(rule.bad, platform=rule.platform).findings if one.rule == rule.id)
    where = f"line {found.position.line}: " if found.position else ""
    yield f"> {where}{finding_sentence(found)}\n"
    yield "Not found:\n"
    yield f"```yaml\n{_shortened(rule.good)}```"


def _shortened(source: str) -> str:
    """What is many lines long shows how it begins and ends; a line is whole, so that it can be tried."""
    lines = source.rstrip("\n").split("\n")
    if len(lines) > 40:
        lines = [*lines[:12], f"          # {len(lines) - 14} more lines", *lines[-2:]]
    return "".join(f"{line}\n" for line in lines)
