"""Paths that a file and a unit both claim."""

from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.spec import Spec

_UNITS = "/etc/systemd/system/"


def _config(record: Record, path: Path, report: Report, spec: Spec) -> None:
    units = _unit_paths(record.record("systemd"))
    if not units:
        return
    storage = record.record("storage")
    for key in ("files", "directories", "links"):
        for index, node in enumerate(storage.records(key)):
            if node.string("path") in units:
                report.error((*path, "storage", key, index, "path"), "path conflicts with systemd unit or dropin")


def _unit_paths(systemd: Record) -> set[str]:
    paths = set()
    for unit in systemd.records("units"):
        name = unit.string("name")
        if unit.text("contents"):
            paths.add(_UNITS + name)
        for dropin in unit.records("dropins"):
            if dropin.text("contents"):
                paths.add(f"{_UNITS}{name}.d/{dropin.string('name')}")
    return paths


RULES = {"Config": _config}
