"""Check an Ignition document as the real ignition-validate does, and look for what hurts in production."""

import json
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

import fleetui
from nodes.ignition.files import FilesDirectory
from nodes.ignition.ignition import validate_document
from nodes.ignition.limits import DEFAULT
from nodes.ignition.lint import PLATFORMS, RULES, Finding, Linted, Severity, lint
from nodes.ignition.paths import path_text
from nodes.management.commands._streams import failure, read_action, read_input, write_text
from nodes.wording.configs import finding_sentence, rule_fix, rule_reason
from nodes.wording.configs.rules_page import rules_page


class Command(BaseCommand):
    help = "Check Ignition documents and Butane configs: whether they are valid, and what hurts in production."
    requires_system_checks: list[str] = []

    def get_version(self) -> str:
        return f"FleetUI {fleetui.__version__}, validates as Ignition v2.26.0"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        validate = actions.add_parser(
            "validate", help="check one document; output and exit codes are those of ignition-validate"
        )
        validate.add_argument("file", metavar="FILE", help="- for standard input")
        look = actions.add_parser("lint", help="look for what hurts in production, in Butane or Ignition")
        look.add_argument("file", metavar="FILE", help="- for standard input")
        look.add_argument("-d", "--files-dir", metavar="DIR", help="allow embedding local files from this directory")
        look.add_argument("-s", "--strict", action="store_true", help="fail on warnings too")
        look.add_argument("--json", action="store_true", help="findings as JSON")
        look.add_argument("--platform", choices=PLATFORMS, help="where it is handed over as user data")
        look.add_argument(
            "--allow",
            metavar="RULE",
            action="append",
            choices=[rule.id for rule in RULES],
            default=[],
            help="pass over this rule; may be given several times",
        )
        actions.add_parser("rules", help="all rules with examples, as the page of the documentation")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "rules":
            write_text(self.stdout, rules_page())
            return
        name: str = options["file"]
        try:
            source = read_input(None if name == "-" else name, DEFAULT.source_bytes)
        except OSError as error:
            self._fail(f"couldn't read config: {failure(read_action(error), name, error)}")
        if options["action"] == "lint":
            self._lint(source, "<stdin>" if name == "-" else name, options)
        else:
            self._validate(source)

    def _validate(self, source: bytes) -> None:
        validation = validate_document(source)
        if validation.report.entries:
            write_text(self.stdout, validation.report.as_text())
        if validation.report.has_errors:
            raise SystemExit(1)
        if validation.error is not None:
            advice = f"\n{validation.advice}" if validation.advice else ""
            self._fail(f"couldn't parse config: {validation.error}{advice}")

    def _lint(self, source: bytes, name: str, options: dict[str, Any]) -> None:
        files = FilesDirectory(options["files_dir"]) if options["files_dir"] else None
        looked = lint(source, files=files, platform=options["platform"], allowed=options["allow"])
        if options["json"]:
            write_text(self.stdout, json.dumps(_as_json(looked), indent=2, ensure_ascii=False) + "\n")
        else:
            write_text(self.stdout, _as_text(looked, name))
        if looked.error is not None:
            if looked.conversion is not None:
                write_text(self.stderr, looked.conversion.report.as_text())
            self._fail(f"couldn't look at config: {looked.error}")
        failing = (Severity.ERROR, Severity.WARNING) if options["strict"] else (Severity.ERROR,)
        if looked.worst in failing:
            raise SystemExit(1)

    def _fail(self, message: str) -> NoReturn:
        write_text(self.stderr, message + "\n")
        raise SystemExit(1)


def _as_text(looked: Linted, name: str) -> str:
    """One line a finding, as compilers print them, and what to do below it."""
    if looked.error is not None:
        return ""
    told = []
    for one in looked.findings:
        place = f":{one.position.line}:{one.position.column}" if one.position else ""
        told.append(f"{name}{place}: {one.severity}: {finding_sentence(one)} [{one.rule}]\n    {rule_fix(one.rule)}\n")
    counts = {severity: sum(one.severity is severity for one in looked.findings) for severity in Severity}
    summary = ", ".join(f"{severity} {count}" for severity, count in counts.items())
    return "".join(told) + f"{summary}, allowed {len(looked.silenced)}\n"


def _as_json(looked: Linted) -> dict[str, Any]:
    return {
        "error": looked.error,
        "findings": [_finding(one) for one in looked.findings],
        "allowed": [_finding(one) for one in looked.silenced],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "severity": str(one.severity),
        "message": finding_sentence(one),
        "reason": rule_reason(one.rule),
        "fix": rule_fix(one.rule),
        "path": path_text(one.path),
        "line": one.position.line if one.position else None,
        "column": one.position.column if one.position else None,
        "content_line": one.content_line,
        "params": dict(one.params),
    }
