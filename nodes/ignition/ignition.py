"""Ignition documents: which version they are, and whether they are valid."""

from dataclasses import dataclass

from nodes.ignition.document.decode import decode
from nodes.ignition.document.inner import check
from nodes.ignition.document.reader import DocumentFailure, JsonNode, Lines, has_overflow, places, read
from nodes.ignition.gotext import to_bytes
from nodes.ignition.limits import DEFAULT, Limits, Refused
from nodes.ignition.record import Record
from nodes.ignition.report import Entry, Kind, Position, Report
from nodes.ignition.rules import Spec
from nodes.ignition.rules.ignition import INVALID_VERSION, UNKNOWN_VERSION
from nodes.ignition.rules.spec import VERSIONS
from nodes.ignition.schema import Field, RecordType, Target, ignition_schema
from nodes.ignition.semver import normalized
from nodes.ignition.source.unused import find_unused

EMPTY = "not a config (empty)"
ADVICE_FOR_2 = (
    "Ignition spec 2 is of Container Linux and the first years of Flatcar. Write the config as Butane with "
    "variant flatcar or fcos and convert it: spec 3 has no networkd section, no filesystem names and no "
    "ignition.config.append. https://coreos.github.io/ignition/migrating-configs/ tells each difference."
)


@dataclass(frozen=True)
class Validation:
    """What was found in a document. `error` says why one could not be looked at."""

    report: Report
    error: str | None = None
    advice: str | None = None
    version: str | None = None
    config: Record | None = None

    @property
    def exit_code(self) -> int:
        """0 or 1, as ignition-validate ends."""
        return int(self.error is not None or self.report.has_errors)


def _stub() -> RecordType:
    inner = RecordType("", "")
    inner.go_type = "struct { Version string }"
    inner.complete((Field("Version", Target("string", "string")),))
    stub = RecordType("versionStub", "util")
    stub.complete((Field("Ignition", Target(inner.go_type, record=inner)),))
    return stub


_STUB = _stub()


def validate_document(source: bytes | str, *, limits: Limits = DEFAULT) -> Validation:
    """Check an Ignition document of any version that is known. It never raises for what is in it."""
    raw = to_bytes(source) if isinstance(source, str) else source
    if not raw:
        return Validation(Report(), EMPTY)
    lines = Lines(raw)
    try:
        node = read(raw, limits)
        written = decode(node, _STUB).record("Ignition").string("Version")
    except DocumentFailure as failure:
        return Validation(_unreadable(failure, lines))
    except Refused as refused:
        return Validation(Report(), f"refused: {refused}")
    version = normalized(written)
    if version is None:
        return Validation(Report(), INVALID_VERSION)
    if version not in VERSIONS:
        advice = ADVICE_FOR_2 if version.startswith("2.") else None
        return Validation(Report(), UNKNOWN_VERSION, advice, version)
    return _validate(node, version, lines)


def _validate(node: JsonNode, version: str, lines: Lines) -> Validation:
    try:
        config = decode(node, ignition_schema(version).root)
    except DocumentFailure as failure:
        return Validation(_unreadable(failure, lines), version=version)
    report = check(config, Spec(version))
    if not has_overflow(node):
        root = places(node, lines)
        report.extend(find_unused(config, root).entries)
        report = report.located(root)
    return Validation(report, version=version, config=config)


def _unreadable(failure: DocumentFailure, lines: Lines) -> Report:
    return Report([Entry(Kind.ERROR, str(failure), position=Position(*lines.at(failure.offset)))])
