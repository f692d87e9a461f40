"""Disks, partitions, RAID and filesystems."""

import re

from nodes.ignition.gotext import byte_length
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.files import optional_path_problem, path_problem
from nodes.ignition.rules.spec import Spec

_GUID = re.compile(r"(|[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})\Z")
_MANY_PARTITIONS = 1_000
_LABEL_BYTES = 36
_LABEL_BYTES_BY_FORMAT = {"ext4": 16, "btrfs": 256, "xfs": 12, "swap": 15, "vfat": 11}
_FORMATS = frozenset(("ext4", "btrfs", "xfs", "swap", "vfat"))
_LEVELS_WITHOUT_SPARES = frozenset(("linear", "raid0", "0", "stripe"))
_LEVELS = _LEVELS_WITHOUT_SPARES | {"raid1", "1", "mirror", "raid4", "4", "raid5", "5", "raid6", "6", "raid10", "10"}
_NEEDS_FORMAT = ("path", "label", "uuid", "wipeFilesystem", "mountOptions", "options")


def _disk(record: Record, path: Path, report: Report, spec: Spec) -> None:
    device = record.string("device")
    if not device:
        report.error((*path, "device"), "disk device is required")
        return
    report.error((*path, "device"), path_problem(device))
    partitions = record.records("partitions")
    for index, message in (
        (_same_number(partitions), "partition numbers collide"),
        (_overlapping(partitions), "partitions overlap"),
    ):
        if index is not None:
            report.error((*path, "partitions", index), message)
    if any(partition.flag("shouldExist") is False for partition in partitions) and any(
        not partition.number("number") for partition in partitions
    ):
        report.error(
            (*path, "partitions"),
            "shouldExist is false for a partition and other partition(s) has start or size 0",
        )
    index = _same_label(partitions)
    if index is not None:
        report.error((*path, "partitions", index), "cannot use the same partition label twice")


def _same_number(partitions: list[Record]) -> int | None:
    """The second partition of the first number that is used twice."""
    first: dict[int, int] = {}
    second: dict[int, int] = {}
    for index, partition in enumerate(partitions):
        number = partition.number("number")
        if not number:
            continue
        if number in first:
            second.setdefault(number, index)
        else:
            first[number] = index
    return next((second[number] for number in first if number in second), None)


def _same_label(partitions: list[Record]) -> int | None:
    seen = set()
    for index, partition in enumerate(partitions):
        label = partition.text("label")
        if label is None:
            continue
        if label in seen:
            return index
        seen.add(label)
    return None


def _overlapping(partitions: list[Record]) -> int | None:
    """The partition with which the first overlapping one collides."""
    extents = []
    for index, partition in enumerate(partitions):
        start, size = partition.number("startMiB"), partition.number("sizeMiB")
        if start and size is not None:
            extents.append((index, start, _wrapped(start + size - 1) if size else start))
    if len(extents) > _MANY_PARTITIONS:
        return _overlapping_neighbour(extents)
    for index, start, end in extents:
        for other, other_start, other_end in extents:
            if other != index and (
                other_start <= start <= other_end
                or other_start <= end <= other_end
                or (start < other_start and end > other_end)
            ):
                return other
    return None


def _wrapped(number: int) -> int:
    """A sum as 64 bits hold it."""
    return (number + 2**63) % 2**64 - 2**63


def _overlapping_neighbour(extents: list[tuple[int, int, int]]) -> int | None:
    """The same for more partitions than a disk can have: any that collides, in time that does not grow squared."""
    ordered = sorted(extents, key=lambda extent: extent[1:])
    reached = ordered[0][2]
    for index, start, end in ordered[1:]:
        if start <= reached:
            return index
        reached = max(reached, end)
    return None


def _partition(record: Record, path: Path, report: Report, spec: Spec) -> None:
    label = record.text("label")
    if record.flag("shouldExist") is False and (
        label is not None
        or record.text("typeGuid")
        or record.text("guid")
        or record.number("startMiB") is not None
        or record.number("sizeMiB") is not None
    ):
        report.error(path, "shouldExist specified false with other options also specified")
    if not record.number("number") and label is None:
        report.error(path, "a partition number >= 1 or a label must be specified")
    if label is not None:
        if byte_length(label) > _LABEL_BYTES:
            report.error((*path, "label"), "partition labels may not exceed 36 characters")
        elif ":" in label:
            report.error((*path, "label"), "partition label will be truncated to text before the colon")
    for key in ("guid", "typeGuid"):
        if not _GUID.match(record.string(key)):
            report.error((*path, key), 'doesn\'t match the form "01234567-89AB-CDEF-EDCB-A98765432101"')


def _filesystem(record: Record, path: Path, report: Report, spec: Spec) -> None:
    report.error((*path, "path"), optional_path_problem(record.text("path")))
    report.error((*path, "device"), path_problem(record.string("device")))
    report.error((*path, "format"), _format_problem(record, spec))
    report.error((*path, "label"), _label_problem(record))


def _format_problem(record: Record, spec: Spec) -> str | None:
    format_ = record.text("format")
    if not format_:
        if any(record.values.get(key) for key in _NEEDS_FORMAT):
            return (
                "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified"
            )
        return None
    if format_ in _FORMATS or (format_ == "none" and spec.minor >= 3):
        return None
    return "invalid filesystem format"


def _label_problem(record: Record) -> str | None:
    label, format_ = record.text("label"), record.text("format")
    if not label:
        return None
    if not format_:
        return "filesystem must specify format if label is specified"
    most = _LABEL_BYTES_BY_FORMAT.get(format_)
    if most is None or byte_length(label) <= most:
        return None
    return f"filesystem labels cannot be longer than {most} characters when using {format_}"


def _raid(record: Record, path: Path, report: Report, spec: Spec) -> None:
    report.error((*path, "level"), _level_problem(record, spec))
    if not record.items("devices"):
        report.error((*path, "devices"), "raid devices required")


def _level_problem(record: Record, spec: Spec) -> str | None:
    level = record.string("level")
    if not level and spec.minor >= 3:
        return "raid level is required"
    if level not in _LEVELS:
        return "unrecognized raid level"
    if level in _LEVELS_WITHOUT_SPARES and record.number("spares"):
        return "spares unsupported for linear and raid0 arrays"
    return None


RULES = {"Disk": _disk, "Partition": _partition, "Filesystem": _filesystem, "Raid": _raid}
