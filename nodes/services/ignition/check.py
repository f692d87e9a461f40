"""A source looked at: what it becomes, and what is found in it. Nothing is stored here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from fleetui.core.text import clean
from nodes.ignition.butane import Conversion, convert
from nodes.ignition.limits import Limits
from nodes.ignition.lint import Finding as Linted
from nodes.ignition.lint import lint_conversion
from nodes.ignition.paths import path_text
from nodes.ignition.report import Entry, Kind, Position
from nodes.ignition.variables import (
    Declaration,
    Substituted,
    VariableProblem,
    VariablesRefused,
    VariableType,
    read_declarations,
    samples_for,
    substitute,
)
from nodes.services.ignition.embedded import MOST_FILES_BYTES, Files, laid_out
from nodes.wording.configs import finding_sentence, rule_fix, variable_sentence

MOST_SOURCE_BYTES = 1024 * 1024
#: More findings than anybody reads.
MOST_FINDINGS = 500
#: Tighter than those of the command line: these come over the network, and many may come at once.
LIMITS = Limits(
    source_bytes=MOST_SOURCE_BYTES,
    values=20_000,
    errors=MOST_FINDINGS,
    local_file_bytes=MOST_FILES_BYTES,
    local_total_bytes=2 * MOST_FILES_BYTES,
    tree_nodes=2_000,
    compression_looks=150_000,
)

Finding = dict[str, Any]
#: What a source that is no YAML, or of other types, says of its lines: that is no finding of the translator.
_LINE = re.compile(r"\bline (\d{1,8})\b")
_LINE_SAYS = re.compile(r"\bline (\d{1,8}): ([^\n]+)")


@dataclass(frozen=True)
class Checked:
    """What became of a source. Without a failure there is a rendering; findings may be there either way.

    `rendered` has the given values in it, secrets too.
    """

    rendered: str = field(repr=False)
    failure: str
    findings: list[Finding]
    declarations: list[Declaration]
    conversion: Conversion | None = field(default=None, repr=False)

    @property
    def is_valid(self) -> bool:
        return not self.failure

    @property
    def sha512(self) -> str:
        """In Ignition's own form; empty when there is no rendering."""
        return ignition_hash(self.rendered) if self.rendered else ""

    def count(self, kind: str) -> int:
        return sum(finding["kind"] == kind for finding in self.findings)


def ignition_hash(rendered: str) -> str:
    """As `verification.hash` of Ignition writes it."""
    return f"sha512-{hashlib.sha512(rendered.encode()).hexdigest()}"


def checked_source(source: str) -> str:
    """The text with line ends of one kind, if it can be kept."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise _refused(_("It holds bytes that are no text. Save it as UTF-8.")) from error
    if size > MOST_SOURCE_BYTES:
        raise InvalidInput(
            _("The source has %(size)s bytes.") % {"size": f"{size:,}"},
            field="source",
            value=size,
            mend=_("Give at most %(limit)s, and keep large contents in files beside it.")
            % {"limit": f"{MOST_SOURCE_BYTES:,}"},
        )
    if "\0" in source:
        raise _refused(_("It holds a NUL character. Take it out."))
    return source.replace("\r\n", "\n")


def _refused(mend: str) -> InvalidInput:
    return InvalidInput(_("The source cannot be used."), field="source", mend=mend)


def check(source: str, files: Files | None = None, values: Mapping[str, str] | None = None) -> Checked:
    """Convert a source as it was checked, with its files.

    Without values, samples stand in the rendering where only pools and nodes have some. Findings are about the source as
    it is written, and hold no secret.
    """
    declarations, problems = read_declarations(source)
    if problems:
        return _not_substituted(problems, declarations)
    try:
        done = substitute(source, declarations, samples_for(declarations) if values is None else values, limits=LIMITS)
    except VariablesRefused as refused:
        unreadable = [one for one in refused.problems if one.code == "source_unreadable"]
        # What cannot be read as YAML is told by the translator, with the place.
        return (
            _converted(source, files, declarations) if unreadable else _not_substituted(refused.problems, declarations)
        )
    return _converted(done.text, files, declarations, done)


def secrets_in(declarations: Iterable[Declaration], values: Mapping[str, str]) -> dict[str, str]:
    """What stands for each secret that was given where somebody sees it."""
    secrets = (one.name for one in declarations if one.type is VariableType.SECRET and one.name in values)
    return {name: f"[secret {name}]" for name in secrets}


def _converted(
    text: str, files: Files | None, declarations: list[Declaration], done: Substituted | None = None
) -> Checked:
    with laid_out(files or {}, LIMITS) as directory:
        conversion = convert(text, files=directory, limits=LIMITS)
    masked = done.masked if done else str
    to_source = done.to_source if done and done.references else _same
    failure = _LINE.sub(
        lambda match: f"line {to_source(Position(int(match[1]), 1)).line}", masked(conversion.error or "")
    )
    found = [_finding(entry, masked, to_source) for entry in conversion.report.entries[:MOST_FINDINGS]]
    found += [
        finding(Kind.ERROR, match[2], position=Position(int(match[1]), 1)) for match in _LINE_SAYS.finditer(failure)
    ]
    if not failure:
        advice = lint_conversion(conversion, text, limits=LIMITS).findings
        found += [_linted(one, masked, to_source) for one in advice[: MOST_FINDINGS - len(found)]]
    return Checked(conversion.output or "", clean(failure), _in_order(found), declarations, conversion)


def _same(position: Position) -> Position:
    return position


def _finding(entry: Entry, masked: Callable[[str], str], to_source: Callable[[Position], Position]) -> Finding:
    position = to_source(entry.position) if entry.position is not None else None
    path = masked(path_text(entry.path)) if entry.path else ""
    return finding(entry.kind, masked(entry.message), path, position)


def _linted(one: Linted, masked: Callable[[str], str], to_source: Callable[[Position], Position]) -> Finding:
    """What a rule advises. It is kept with its parameters, so that each reader reads it in their language."""
    position = to_source(one.position) if one.position is not None else None
    with translation.override("en"):
        message, fix = finding_sentence(one), rule_fix(one.rule)
    path = masked(path_text(one.path)) if one.path else ""
    params = {name: _plain(value, masked) for name, value in one.params.items()}
    told = finding(str(one.severity), masked(message), path, position)
    return {**told, "rule": one.rule, "fix": fix, "params": params}


def _plain(value: object, masked: Callable[[str], str]) -> Any:
    if isinstance(value, tuple):
        return [_plain(one, masked) for one in value]
    return clean(masked(value)) if isinstance(value, str) else value


def finding(kind: str, message: str, path: str = "", position: Position | None = None) -> Finding:
    """One finding as versions keep it. `rule` is empty for what the translator itself says."""
    line, column = position or (None, None)
    return {
        "kind": str(kind),
        "message": clean(message)[:1000],
        "path": clean(path)[:500],
        "line": line,
        "column": column,
        "rule": "",
        "fix": "",
        "params": {},
    }


def _not_substituted(problems: Iterable[VariableProblem], declarations: list[Declaration]) -> Checked:
    found = [finding(Kind.ERROR, variable_sentence(one), "", one.position) for one in list(problems)[:MOST_FINDINGS]]
    return Checked("", _("The variables of the source cannot be used."), _in_order(found), declarations)


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (one["line"] or 0, one["column"] or 0))
