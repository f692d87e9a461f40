"""Configs that stand as text inside another config."""

from nodes.ignition.document.decode import decode
from nodes.ignition.document.reader import DocumentFailure, Lines, has_overflow, places, read
from nodes.ignition.limits import Limits
from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Record
from nodes.ignition.report import Kind, Report
from nodes.ignition.rules import Spec, find_duplicates, validate
from nodes.ignition.rules.ignition import UNKNOWN_VERSION
from nodes.ignition.schema import Schema
from nodes.ignition.source.unused import find_unused


def check(config: Record, spec: Spec) -> Report:
    """Rules, then duplicates."""
    report = validate(config, spec)
    report.extend(find_duplicates(config).entries)
    return report


def validate_inner(text: str, path: Path, schema: Schema, limits: Limits) -> tuple[Report, str | None]:
    """Findings in a merged or replacing config, and the error of one that cannot be read.

    Only a config of exactly the version that is written is checked; of others there is a warning.
    """
    report = Report()
    spec = Spec(schema.version)
    try:
        node = read(text.encode("utf-8", "surrogateescape"), limits)
        config = decode(node, schema.root)
    except DocumentFailure as error:
        report.error(ROOT, str(error))
        return report, "config is not valid"
    version = validate(config.record("ignition"), spec)
    if any(entry.kind == Kind.ERROR and entry.message == UNKNOWN_VERSION for entry in version.entries):
        report.warning(
            (*path, "version"),
            "skipping validation for the merge/replace ignition config due to an unkown version",
        )
        return report, None
    report = check(config, spec)
    if not has_overflow(node):
        report.extend(find_unused(config, places(node, Lines(b""))).entries)
    return report, None
