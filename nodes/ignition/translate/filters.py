"""Fields that a variant does not allow."""

from nodes.ignition.dialects import Dialect
from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Record, is_empty
from nodes.ignition.report import Report


def find_forbidden(config: Record, dialect: Dialect) -> Report:
    """An error for each that is set, with its path in the result."""
    report = Report()
    if dialect.forbidden:
        _walk(config, ROOT, "", dialect.forbidden, report)
    return report


def _walk(record: Record, path: Path, name: str, forbidden: dict[str, str], report: Report) -> None:
    for field in record.type.fields:
        value = record.values.get(field.key)
        here, below = f"{name}.{field.key}".lstrip("."), (*path, field.key)
        if here in forbidden:
            if not is_empty(value, field):
                report.error(below, forbidden[here])
        elif isinstance(value, Record):
            _walk(value, below, here, forbidden, report)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Record):
                    _walk(item, (*below, index), here, forbidden, report)
