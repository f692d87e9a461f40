"""Butane to Ignition: the phases of the real tool, each of which stops at errors of its own.

conversion = convert(source, files=FilesDirectory("files"))
conversion.output, conversion.report, conversion.error, conversion.exit_code(strict=True)
"""

from dataclasses import dataclass, field

from nodes.ignition.dialects import OTHER_VARIANTS, REMOVED_VARIANT, Dialect, dialects, find_dialect
from nodes.ignition.files import FilesDirectory
from nodes.ignition.gotext import to_bytes
from nodes.ignition.limits import DEFAULT, Limits, Refused
from nodes.ignition.output import write
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Entry, Report
from nodes.ignition.rules import find_duplicates, validate
from nodes.ignition.schema import Field, RecordType, Target
from nodes.ignition.semver import normalized
from nodes.ignition.source.decode import decode
from nodes.ignition.source.failure import YamlFailure
from nodes.ignition.source.reader import Node, places, read
from nodes.ignition.source.rules import SourceRules
from nodes.ignition.source.unused import find_unused
from nodes.ignition.translate import Translated, translate
from nodes.ignition.translate.filters import find_forbidden
from nodes.ignition.translate.names import snake_path
from nodes.ignition.translate.sourcemap import SourceMap

SOURCE_INVALID = "source config is invalid"
RESULT_INVALID = "config generated was invalid"
WARNINGS_WITH_STRICT = "Config produced warnings and --strict was specified"
_TEXT = Target("string", "string")
_HEADER = RecordType("commonFields", "config")
_HEADER.complete((Field("version", _TEXT), Field("variant", _TEXT)))


@dataclass(frozen=True)
class Conversion:
    """What became of a source. Without an error there is an output; warnings may be there either way."""

    report: Report
    error: str | None = None
    output: str | None = None
    dialect: Dialect | None = None
    source: Record | None = None
    ignition: Record | None = None
    sources: SourceMap = field(default_factory=dict)

    def exit_code(self, *, strict: bool) -> int:
        """0 or 1, as the real tool ends."""
        return int(self.error is not None or (strict and bool(self.report.entries)))

    def source_of(self, path: Path) -> Path:
        """The path in the source from which a path of the Ignition config came."""
        return self.sources.get(path) or snake_path(path)


class _Stopped(Exception):
    """The conversion ends here."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


def convert(
    source: bytes | str,
    *,
    files: FilesDirectory | None = None,
    pretty: bool = False,
    limits: Limits = DEFAULT,
) -> Conversion:
    """Convert a Butane config. It never raises for what is in the source or the files."""
    report = Report()
    try:
        return _convert(
            to_bytes(source) if isinstance(source, str) else source,
            files,
            report,
            pretty=pretty,
            limits=limits,
        )
    except _Stopped as stopped:
        return Conversion(report, stopped.error)
    except YamlFailure as failure:
        return Conversion(report, f"yaml: {failure}")
    except Refused as refused:
        return Conversion(report, f"refused: {refused}")


def _convert(
    source: bytes, files: FilesDirectory | None, report: Report, *, pretty: bool, limits: Limits
) -> Conversion:
    root, dialect = _header(source, limits)
    config = decode(root, dialect.schema.root, limits)
    place = places(root)
    report.extend(find_unused(config, place).located(place).entries)
    try:
        translated = _translate(config, dialect, files, limits, found := Report())
    finally:
        report.extend(found.located(place).entries)
    return Conversion(
        report,
        output=write(translated.config, pretty=pretty),
        dialect=dialect,
        source=config,
        ignition=translated.config,
        sources=translated.sources,
    )


def _header(source: bytes, limits: Limits) -> tuple[Node, Dialect]:
    """The document and its dialect."""
    try:
        root = read(source, limits)
        header = decode(root, _HEADER, limits) if root is not None else Record(_HEADER)
    except YamlFailure as failure:
        raise _Stopped(f"Error unmarshaling yaml: yaml: {failure}") from failure
    variant = header.string("variant")
    if not variant:
        raise _Stopped("error parsing variant; must be specified")
    version = normalized(header.string("version"))
    if version is None:
        raise _Stopped("error parsing version; must be a valid semver")
    dialect = find_dialect(variant, version)
    if dialect is None or root is None:
        raise _Stopped(_no_translator(variant, version))
    return root, dialect


def _no_translator(variant: str, version: str) -> str:
    if variant in OTHER_VARIANTS:
        ours = " and ".join(dict.fromkeys(dialect.variant for dialect in dialects()))
        return (
            f"variant {variant} ({OTHER_VARIANTS[variant]}) is not translated here, only {ours} are; "
            "convert it with the butane tool"
        )
    if (variant, version) == ("rhcos", "0.1.0"):
        return REMOVED_VARIANT
    return f"No translator exists for variant {variant} with version {version}"


def _translate(
    config: Record, dialect: Dialect, files: FilesDirectory | None, limits: Limits, found: Report
) -> Translated:
    """Validate, translate, validate. What is found goes into `found` with paths of the source."""
    found.extend(SourceRules(dialect, limits).validate(config).entries)
    _stop_at_errors(found, SOURCE_INVALID)
    translated, of_source, of_result = translate(config, dialect, files, limits)
    found.extend(of_source.entries)
    found.extend(_with_source_paths(of_result, translated.sources))
    _stop_at_errors(found, SOURCE_INVALID)
    found.extend(_with_source_paths(find_forbidden(translated.config, dialect), translated.sources))
    _stop_at_errors(found, SOURCE_INVALID)
    for report in (find_duplicates(translated.config), validate(translated.config, dialect.spec)):
        found.extend(_with_source_paths(report, translated.sources))
    _stop_at_errors(found, RESULT_INVALID)
    return translated


def _stop_at_errors(report: Report, error: str) -> None:
    if report.has_errors:
        raise _Stopped(error)


def _with_source_paths(report: Report, sources: SourceMap) -> list[Entry]:
    return [
        Entry(entry.kind, entry.message, sources.get(entry.path, snake_path(entry.path))) for entry in report.entries
    ]
