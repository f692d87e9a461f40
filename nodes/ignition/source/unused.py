"""Keys of a document that no field takes."""

from nodes.ignition.paths import ROOT, Key, Path, path_text
from nodes.ignition.places import Place
from nodes.ignition.record import Record
from nodes.ignition.report import Report


def find_unused(record: Record, root: Place) -> Report:
    """A warning for each, and for each record that the document has no mapping for (an alias, a null)."""
    report = Report()
    _walk(record, ROOT, root, report)
    return report


def _walk(record: Record, path: Path, place: Place | None, report: Report) -> None:
    if place is None:
        return
    if place.keys is None:
        report.warning(
            path,
            f"context tree does not match content tree at {path_text(path)}. "
            "Line and column reporting may be inconsistent. Unused keys may not be reported",
        )
        return
    for key in place.keys:
        if key not in record.type.by_key:
            report.warning((*path, Key(key)), f"unused key {key}")
    for field in record.type.fields:
        below = place.child(field.key)
        if below is None:
            continue
        value = record.values.get(field.key)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Record):
                    _walk(item, (*path, field.key, index), below.child(index), report)
        elif isinstance(value, Record):
            _walk(value, (*path, field.key), below, report)
        elif field.target.record is not None and not field.target.is_optional:
            _walk(record.record(field.key), (*path, field.key), below, report)
