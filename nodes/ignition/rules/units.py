"""systemd units and drop-ins."""

import re

from nodes.ignition.gotext import extension, quote
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.spec import Spec
from nodes.ignition.unitfile import UnitFailure, has_install_section, sections_with_options

_EXTENSIONS = frozenset(
    (
        *(".service", ".socket", ".device", ".mount", ".automount", ".swap"),
        *(".target", ".path", ".timer", ".snapshot", ".slice", ".scope"),
    )
)
_INSTANCE = re.compile(r"(.+?)@(.+?)\.service\Z")


def _unit(record: Record, path: Path, report: Report, spec: Spec) -> None:
    name, contents = record.string("name"), record.text("contents")
    if extension(name) not in _EXTENSIONS:
        report.error((*path, "name"), "invalid systemd unit extension")
    if contents is None:
        return
    try:
        installs = has_install_section(contents)
    except UnitFailure as error:
        report.error((*path, "contents"), f"invalid unit content: {error}")
        return
    if record.flag("enabled") and contents and not installs:
        report.warning(
            (*path, "contents"),
            f"unit {quote(name)} is enabled, but has no install section so enable does nothing",
        )


def _dropin(record: Record, path: Path, report: Report, spec: Spec) -> None:
    try:
        sections_with_options(record.string("contents"))
    except UnitFailure as error:
        report.error((*path, "contents"), f"invalid unit content: {error}")
    if extension(record.string("name")) != ".conf":
        report.error((*path, "name"), "invalid systemd drop-in extension")


def _systemd(record: Record, path: Path, report: Report, spec: Spec) -> None:
    """An enabled instance needs a template that can be enabled."""
    units = record.records("units")
    by_name = {unit.string("name"): unit for unit in units}
    for index, unit in enumerate(units):
        name = unit.string("name")
        match = _INSTANCE.match(name)
        if match is None or not unit.flag("enabled"):
            continue
        template = f"{match[1]}@.service"
        contents = by_name[template].text("contents") if template in by_name else None
        if contents and not _can_be_enabled(contents):
            report.warning(
                (*path, "units", index, "contents"),
                f"template unit {quote(template)} for {quote(name)} doesn't have Install section",
            )


def _can_be_enabled(contents: str) -> bool:
    """A template that cannot be parsed has its own error already."""
    try:
        return has_install_section(contents)
    except UnitFailure:
        return True


RULES = {"Unit": _unit, "Dropin": _dropin, "Systemd": _systemd}
