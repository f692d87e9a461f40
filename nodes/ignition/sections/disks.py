"""Disks, filesystems, RAIDs and encrypted volumes, and what is wiped."""

from dataclasses import replace

from nodes.ignition.contents import shown_url
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.said import Said, said
from nodes.ignition.sections.model import Disk, Filesystem, Luks, Partition, Raid


def disks(config: Record) -> tuple[Disk, ...]:
    """The disks whose partitions the config changes."""
    found = config.record("storage").records("disks")
    return tuple(_disk(record, ("storage", "disks", index)) for index, record in enumerate(found))


def _disk(record: Record, at: Path) -> Disk:
    partitions = tuple(
        _partition(one, (*at, "partitions", index)) for index, one in enumerate(record.records("partitions"))
    )
    disk = Disk(record.string("device"), at, bool(record.flag("wipeTable")), partitions)
    return replace(disk, lines=tuple(_disk_lines(disk)))


def _partition(record: Record, at: Path) -> Partition:
    return Partition(
        record.number("number") or 0,
        record.text("label"),
        record.number("sizeMiB"),
        record.number("startMiB"),
        record.text("typeGuid"),
        record.text("guid"),
        is_wiped=bool(record.flag("wipePartitionEntry")),
        is_resized=bool(record.flag("resize")),
        is_removed=record.flag("shouldExist") is False,
        at=at,
    )


def partition_name(partition: Partition) -> str:
    """How a person calls it: its label, else its number."""
    return partition.label or (str(partition.number) if partition.number else "?")


def _disk_lines(disk: Disk) -> list[Said]:
    lines = [said("disk_wiped", device=disk.device)] if disk.is_wiped else []
    for partition in disk.partitions:
        name = partition_name(partition)
        if partition.is_removed:
            lines.append(said("partition_removed", device=disk.device, partition=name))
            continue
        if partition.size_mib:
            lines.append(said("partition_sized", device=disk.device, partition=name, size_mib=partition.size_mib))
        else:
            lines.append(said("partition_rest", device=disk.device, partition=name))
        if partition.is_wiped:
            lines.append(said("partition_wiped", device=disk.device, partition=name))
        if partition.is_resized:
            lines.append(said("partition_resized", device=disk.device, partition=name))
    return lines


def filesystems(config: Record) -> tuple[Filesystem, ...]:
    """The filesystems that the config makes or expects."""
    found = config.record("storage").records("filesystems")
    return tuple(_filesystem(record, ("storage", "filesystems", index)) for index, record in enumerate(found))


def _filesystem(record: Record, at: Path) -> Filesystem:
    filesystem = Filesystem(
        record.string("device"),
        at,
        record.text("format"),
        record.text("path") or None,
        record.text("label"),
        record.text("uuid"),
        tuple(record.texts("options")),
        tuple(record.texts("mountOptions")),
        is_wiped=bool(record.flag("wipeFilesystem")),
    )
    return replace(filesystem, lines=tuple(_filesystem_lines(filesystem)))


def _filesystem_lines(filesystem: Filesystem) -> list[Said]:
    device, format_ = filesystem.device, filesystem.format
    lines = []
    if format_ == "none":
        lines.append(said("filesystem_none", device=device))
    elif filesystem.is_wiped:
        lines.append(said("filesystem_wiped", device=device, format=format_))
    elif format_:
        lines.append(said("filesystem_kept_if_equal", device=device, format=format_))
    if filesystem.mount_path:
        lines.append(said("filesystem_path", device=device, path=filesystem.mount_path))
    return lines


def raids(config: Record) -> tuple[Raid, ...]:
    """The software RAIDs that the config makes."""
    return tuple(
        Raid(
            name := record.string("name"),
            ("storage", "raid", index),
            level := record.string("level"),
            devices := tuple(record.texts("devices")),
            record.number("spares") or 0,
            (said("raid_made", raid=name, level=level, devices=devices),),
        )
        for index, record in enumerate(config.record("storage").records("raid"))
    )


def luks(config: Record) -> tuple[Luks, ...]:
    """The encrypted volumes that the config makes."""
    found = config.record("storage").records("luks")
    return tuple(_luks(record, ("storage", "luks", index)) for index, record in enumerate(found))


def _luks(record: Record, at: Path) -> Luks:
    clevis = record.record("clevis")
    tang = tuple(shown_url(one.string("url")) for one in clevis.records("tang"))
    opened_by = (
        *(("tpm2",) if clevis.flag("tpm2") else ()),
        *(("tang",) if tang else ()),
        *((clevis.record("custom").string("pin"),) if clevis.record("custom").text("pin") else ()),
        *(("cex",) if record.record("cex").flag("enabled") else ()),
        *(("key_file",) if record.record("keyFile").text("source") else ()),
    )
    volume = Luks(
        record.string("name"),
        at,
        record.string("device"),
        record.text("label"),
        opened_by,
        clevis.number("threshold"),
        tang,
        is_wiped=bool(record.flag("wipeVolume")),
    )
    return replace(volume, lines=tuple(_luks_lines(volume)))


def _luks_lines(volume: Luks) -> list[Said]:
    lines = [said("luks_made", volume=volume.name, device=volume.device)]
    if volume.opened_by:
        lines.extend(
            said(
                f"luks_{way}" if way in ("tpm2", "tang", "cex", "key_file") else "luks_pin", volume=volume.name, pin=way
            )
            for way in volume.opened_by
        )
    else:
        lines.append(said("luks_own_key", volume=volume.name))
    if volume.is_wiped:
        lines.append(said("luks_wiped", volume=volume.name, device=volume.device))
    return lines
