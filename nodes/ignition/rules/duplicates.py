"""Items that are there twice."""

from nodes.ignition.paths import ROOT, Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.keys import key_of, key_space, may_repeat


def find_duplicates(record: Record, path: Path = ROOT) -> Report:
    """An error for each item whose key was used before it."""
    report = Report()
    _walk(record, path, report)
    return report


def _walk(record: Record, path: Path, report: Report) -> None:
    used: dict[str, set[str]] = {}
    for field in record.type.fields:
        items = record.values.get(field.key)
        if not isinstance(items, list) or may_repeat(record.type, field.key):
            continue
        keys = used.setdefault(key_space(record.type, field.key), set())
        for index, item in enumerate(items):
            key = key_of(item)
            if key in keys:
                report.error((*path, field.key, index), "duplicate entry defined")
            keys.add(key)
    for field in record.type.fields:
        value = record.values.get(field.key)
        if isinstance(value, Record):
            _walk(value, (*path, field.key), report)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Record):
                    _walk(item, (*path, field.key, index), report)
