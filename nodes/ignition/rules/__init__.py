"""What an Ignition config has to keep to, by type; the deltas between spec versions are where they matter."""

from collections.abc import Callable

from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules import config, disks, duplicates, files, ignition, luks, resources, units
from nodes.ignition.rules.spec import Spec

Rule = Callable[[Record, Path, Report, Spec], None]

_RULES: dict[str, Rule] = {
    **config.RULES,
    **disks.RULES,
    **files.RULES,
    **ignition.RULES,
    **luks.RULES,
    **resources.RULES,
    **units.RULES,
}


def validate(record: Record, spec: Spec, path: Path = ROOT) -> Report:
    """Check a config or a part of it: each record before its fields, fields in their order."""
    report = Report()
    _walk(record, path, report, spec)
    return report


def _walk(record: Record, path: Path, report: Report, spec: Spec) -> None:
    rule = _RULES.get(record.type.name)
    if rule is not None:
        rule(record, path, report, spec)
    for field in record.type.fields:
        value = record.values.get(field.key)
        if value is None and field.item_type == "Ignition":
            value = record.record(field.key)  # a version has to be there
        if isinstance(value, Record):
            _walk(value, (*path, field.key), report, spec)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Record):
                    _walk(item, (*path, field.key, index), report, spec)
                elif field.item_type == "Device" and isinstance(item, str):
                    report.error((*path, field.key, index), files.path_problem(item))


find_duplicates = duplicates.find_duplicates

__all__ = ["Spec", "find_duplicates", "validate"]
