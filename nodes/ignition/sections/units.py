"""Units of a config: state, drop-ins, and what a unit does."""

import re
from dataclasses import replace

from nodes.ignition.options import Options, read_options
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.said import Said, said
from nodes.ignition.sections.model import Dropin, Unit

_RUNS_CONTAINER = re.compile(r"(?:^|[/\s])(podman|docker|nerdctl)\s+(?:--\S+\s+)*(?:container\s+)?run\s")
_LONGEST_COMMAND = 120


def units(config: Record) -> tuple[Unit, ...]:
    """The units that the config writes, switches or extends."""
    found = config.record("systemd").records("units")
    return tuple(_unit(record, ("systemd", "units", index)) for index, record in enumerate(found))


def _unit(record: Record, at: Path) -> Unit:
    unit = Unit(
        record.string("name"),
        at,
        record.text("contents"),
        tuple(
            Dropin(one.string("name"), one.string("contents"), (*at, "dropins", index))
            for index, one in enumerate(record.records("dropins"))
        ),
        record.flag("enabled"),
        record.flag("mask"),
    )
    return replace(unit, lines=tuple(_lines(unit)))


def _lines(unit: Unit) -> list[Said]:
    name = unit.name
    if unit.is_masked:
        return [said("unit_masked", unit=name)]
    lines = []
    if unit.contents:
        options = read_options(unit.contents)
        lines.append(said("unit_written", unit=name))
        description = options.value("Unit", "Description")
        if description:
            lines.append(said("unit_description", unit=name, description=description[:_LONGEST_COMMAND]))
        lines.extend(_what_it_does(unit, options))
    if unit.is_enabled is not None:
        lines.append(said("unit_enabled" if unit.is_enabled else "unit_disabled", unit=name))
    elif unit.contents:
        lines.append(said("unit_not_switched", unit=name))
    if unit.is_masked is False:
        lines.append(said("unit_unmasked", unit=name))
    lines.extend(said("unit_dropin", unit=name, dropin=dropin.name) for dropin in unit.dropins)
    return lines


def _what_it_does(unit: Unit, options: Options) -> list[Said]:
    name = unit.name
    runtime = next(
        (runtime for one in options.find("Service", "ExecStart") if (runtime := container_runtime(one.value))), None
    )
    lines = []
    if runtime:
        lines.append(said("unit_runs_container", unit=name, runtime=runtime))
    if options.has_section("Mount") and options.value("Mount", "Where"):
        lines.append(
            said("unit_mounts", unit=name, path=options.value("Mount", "Where"), device=options.value("Mount", "What"))
        )
    when = tuple(
        f"{option.name}={option.value}"
        for option in options
        if option.section == "Timer" and option.name.startswith("On")
    )
    if when:
        lines.append(said("unit_timer", unit=name, when=when))
    if options.value("Service", "Type") == "oneshot":
        lines.append(said("unit_once", unit=name))
    return lines


def container_runtime(command: str) -> str | None:
    """The program that runs a container by this command line; None when it runs none."""
    match = _RUNS_CONTAINER.search(command)
    return match[1] if match else None
