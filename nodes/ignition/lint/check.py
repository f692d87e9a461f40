"""Runs all rules over one config, and gives each finding its place."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from nodes.ignition.butane import Conversion, convert
from nodes.ignition.document.reader import DocumentFailure, Lines, places, read
from nodes.ignition.files import FilesDirectory
from nodes.ignition.gotext import to_bytes
from nodes.ignition.ignition import validate_document
from nodes.ignition.limits import DEFAULT, Limits, Refused
from nodes.ignition.lint.model import FCOS, FLATCAR, Finding, Found, Severity, Subject
from nodes.ignition.lint.places import SourceLines
from nodes.ignition.lint.registry import RULES
from nodes.ignition.lint.silences import Silence, apply_silences, read_silences
from nodes.ignition.paths import Path
from nodes.ignition.record import Record, Value
from nodes.ignition.report import Position
from nodes.ignition.sections import Sections, sections
from nodes.ignition.source import reader as yaml_reader
from nodes.ignition.source.failure import YamlFailure
from nodes.ignition.variables import VariableType, read_declarations, sample_of

_SEVERITIES = tuple(Severity)
_MOST_FINDINGS = 2_000
_SIGNS = (
    ("/etc/zincati/", FCOS),
    ("/etc/NetworkManager/", FCOS),
    ("/etc/flatcar/", FLATCAR),
    ("/etc/sysupdate", FLATCAR),
)


@dataclass(frozen=True)
class Linted:
    """What rules found, worst first. `silenced` was allowed in the file; `error` is why nothing could be looked at."""

    findings: list[Finding] = field(default_factory=list)
    silenced: list[Finding] = field(default_factory=list)
    error: str | None = None
    conversion: Conversion | None = None

    @property
    def worst(self) -> Severity | None:
        return min((one.severity for one in self.findings), key=_SEVERITIES.index, default=None)


def lint(
    source: bytes | str,
    *,
    files: FilesDirectory | None = None,
    platform: str | None = None,
    allowed: Iterable[str] = (),
    limits: Limits = DEFAULT,
) -> Linted:
    """Look at a Butane source, or at an Ignition document when it is one. It never raises for what is in it.

    `allowed` are ids of rules that are passed over: JSON has no comments to say it.
    """
    raw = to_bytes(source) if isinstance(source, str) else source
    if raw.lstrip().startswith(b"{"):
        validation = validate_document(raw, limits=limits)
        if validation.config is not None:
            return lint_document(raw, platform=platform, allowed=allowed, limits=limits)
        if validation.advice:
            return Linted(error=f"{validation.error}\n{validation.advice}")
    conversion = convert(raw, files=files, limits=limits)
    return lint_conversion(conversion, raw, platform=platform, allowed=allowed, limits=limits)


def lint_conversion(
    conversion: Conversion,
    source: bytes | str,
    *,
    platform: str | None = None,
    allowed: Iterable[str] = (),
    limits: Limits = DEFAULT,
) -> Linted:
    """Look at what a source became; `source` is the text that was converted."""
    if conversion.ignition is None or conversion.output is None or conversion.dialect is None:
        return Linted(error=conversion.error or "nothing was converted", conversion=conversion)
    raw = to_bytes(source) if isinstance(source, str) else source
    text = raw.decode("utf-8", "replace")
    dialect = conversion.dialect
    subject = Subject(
        conversion.ignition,
        sections(conversion.ignition, limits=limits),
        len(to_bytes(conversion.output)),
        dialect.variant,
        dialect.version,
        platform,
        conversion.source,
        _secrets(text),
    )
    try:
        node = yaml_reader.read(raw, limits)
    except (YamlFailure, Refused):
        node = None
    lines = SourceLines(text, yaml_reader.places(node) if node is not None else None)
    found, silenced = _run(subject, lines, conversion.source_of, allowed, read_silences(text))
    return Linted(found, silenced, conversion=conversion)


def _secrets(text: str) -> frozenset[str]:
    declared, _problems = read_declarations(text)
    return frozenset(sample_of(one) for one in declared if one.type is VariableType.SECRET)


def lint_document(
    document: bytes | str,
    *,
    platform: str | None = None,
    variant: str | None = None,
    allowed: Iterable[str] = (),
    limits: Limits = DEFAULT,
) -> Linted:
    """Look at an Ignition document. `variant` is fcos or flatcar; without it, files tell it where they can."""
    raw = to_bytes(document) if isinstance(document, str) else document
    validation = validate_document(raw, limits=limits)
    if validation.config is None or validation.report.has_errors:
        found = validation.report.entries
        return Linted(error=validation.error or (found[0].message if found else "not an Ignition document"))
    parts = sections(validation.config, limits=limits)
    subject = Subject(validation.config, parts, len(raw), variant or _variant(parts), platform=platform)
    try:
        root = places(read(raw, limits), Lines(raw))
    except (DocumentFailure, Refused):
        root = None
    lines = SourceLines(raw.decode("utf-8", "replace"), root)
    findings, silenced = _run(subject, lines, lambda path: path, allowed, [])
    return Linted(findings, silenced)


def _variant(parts: Sections) -> str | None:
    """The system that the files are for."""
    found = {variant for node in parts.files for start, variant in _SIGNS if node.path.startswith(start)}
    found |= {FCOS for unit in parts.units if unit.name == "zincati.service"}
    found |= {FLATCAR for unit in parts.units if unit.name in ("update-engine.service", "locksmithd.service")}
    return found.pop() if len(found) == 1 else None


def _run(
    subject: Subject,
    lines: SourceLines,
    source_of: Callable[[Path], Path],
    allowed: Iterable[str],
    silences: list[Silence],
) -> tuple[list[Finding], list[Finding]]:
    passed_over = set(allowed)
    found: list[Finding] = []
    for rule in RULES:
        for one in rule.check(subject):
            if _is_open(one):
                continue
            found.append(_placed(Finding(rule.id, rule.severity, one.params), one, subject, lines, source_of))
            if len(found) >= _MOST_FINDINGS:
                break

    def covered(finding: Finding) -> set[int]:
        own = {finding.position.line} if finding.position else set()
        return own | lines.enclosing(finding.path)

    left, silenced = apply_silences(found, silences, covered, {rule.id for rule in RULES})
    silenced.extend(one for one in left if one.rule in passed_over)
    left = [one for one in left if one.rule not in passed_over]
    return sorted(left, key=_order), silenced


def _is_open(one: Found) -> bool:
    """Whether it is about a variable, of which the value is not known yet."""
    return any(isinstance(value, str) and "${fleetui:" in value for value in one.params.values())


def _order(finding: Finding) -> tuple[int, Position]:
    return _SEVERITIES.index(finding.severity), finding.position or Position(0, 0)


def _placed(
    finding: Finding, one: Found, subject: Subject, lines: SourceLines, source_of: Callable[[Path], Path]
) -> Finding:
    path = one.source_path if one.source_path is not None else source_of(one.path) if one.path else ()
    content = _content(subject, path) if one.line is not None else None
    return replace(
        finding,
        path=path,
        position=lines.position(path, one.line, content),
        content_line=one.line,
    )


def _content(subject: Subject, path: Path) -> str | None:
    """The text at a path of the Butane source."""
    value: Value | Record = subject.source
    for step in path:
        if isinstance(value, Record) and isinstance(step, str):
            value = value.values.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value if isinstance(value, str) else None
