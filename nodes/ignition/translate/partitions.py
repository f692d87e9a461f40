"""Warnings about partitions that Fedora CoreOS has reserved."""

from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report

_RESERVED_NUMBERS = {"BIOS-BOOT": 1, "PowerPC-PReP-boot": 1, "EFI-SYSTEM": 2, "boot": 3, "root": 4}
_LEAST_ROOT_MIB = 8192


def check_partitions(config: Record, report: Report, *, warns_of_root: bool) -> None:
    """Add warnings, with paths of the result."""
    for index, disk in enumerate(config.record("storage").records("disks")):
        partitions = disk.records("partitions")
        for number, partition in enumerate(partitions):
            here: Path = ("storage", "disks", index, "partitions", number)
            label = partition.text("label")
            if label is None:
                continue
            if warns_of_root and label == "root":
                _check_root(partition, partitions, here, report)
            reserved = _RESERVED_NUMBERS.get(label)
            if reserved and not disk.flag("wipeTable") and partition.number("number") != reserved:
                report.warning(
                    (*here, "label"),
                    "incorrect partition number; a new partition will be created using reserved label",
                )


def _check_root(root: Record, partitions: list[Record], here: Path, report: Report) -> None:
    size = root.number("sizeMiB")
    if not size:
        if any(other is not root and not other.number("startMiB") for other in partitions):
            report.warning(
                (*here, "label"),
                "root partition cannot expand; it is set to fill available space "
                "but is followed by an auto-positioned partition",
            )
    elif size < _LEAST_ROOT_MIB:
        # The real tool names this path in neither document's way; so its position is the partition's.
        report.warning((*here, "size_mib"), "root should have 8GiB of space assigned")
