"""Disks and what is on them: what is erased comes first."""

from nodes.ignition.effect.model import Effect, Effects, Weight, paired
from nodes.ignition.sections.disks import partition_name
from nodes.ignition.sections.model import Disk, Filesystem, Luks, Partition, Raid, Sections


def effects(before: Sections, after: Sections) -> list[Effect]:
    """Differences of disks, filesystems, RAIDs and encrypted volumes."""
    found = Effects("disks")
    for old_disk, new_disk in paired(before.disks, after.disks, lambda disk: disk.device):
        _disk(found, old_disk, new_disk)
    for old, new in paired(before.filesystems, after.filesystems, lambda one: one.device):
        _filesystem(found, old, new)
    for old_raid, new_raid in paired(before.raids, after.raids, lambda raid: raid.name):
        _raid(found, old_raid, new_raid)
    for old_luks, new_luks in paired(before.luks, after.luks, lambda volume: volume.name):
        _luks(found, old_luks, new_luks)
    return found.found


def _disk(found: Effects, old: Disk | None, new: Disk | None) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "disk_left_out", old.at, None, device=old.device)
        return
    before = old.at if old else None
    if new.is_wiped and not (old and old.is_wiped):
        found.add(Weight.DISRUPTIVE, "disk_wiped", before, new.at, device=new.device)
    elif old and old.is_wiped and not new.is_wiped:
        found.add(Weight.NOTABLE, "disk_not_wiped", before, new.at, device=new.device)
    for first, second in paired(old.partitions if old else (), new.partitions, _partition_key):
        _partition(found, new.device, first, second, is_new_disk=old is None)


def _partition_key(partition: Partition) -> str:
    """Its number where it has one, because only that finds it on the disk."""
    if partition.number:
        return str(partition.number)
    return f"label {partition.label}" if partition.label else f"at {partition.start_mib} of {partition.size_mib}"


def _partition(found: Effects, device: str, old: Partition | None, new: Partition | None, *, is_new_disk: bool) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "partition_left_out", old.at, None, device=device, partition=partition_name(old))
        return
    told = {"device": device, "partition": partition_name(new)}
    before = old.at if old else None
    if new.is_removed and not (old and old.is_removed):
        found.add(Weight.DISRUPTIVE, "partition_deleted", before, new.at, **told)
    elif new.is_wiped and not (old and old.is_wiped):
        found.add(Weight.DISRUPTIVE, "partition_wiped", before, new.at, **told)
    elif old is None:
        found.add(Weight.PLAIN if is_new_disk else Weight.NOTABLE, "partition_added", None, new.at, **told)
    elif _layout(old) != _layout(new):
        found.add(Weight.DISRUPTIVE, "partition_changed", before, new.at, **told)


def _layout(partition: Partition) -> tuple[object, ...]:
    return (
        *(partition.label, partition.size_mib, partition.start_mib, partition.type_guid, partition.guid),
        *(partition.is_resized, partition.is_removed),
    )


def _filesystem(found: Effects, old: Filesystem | None, new: Filesystem | None) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "filesystem_left_out", old.at, None, device=old.device, path=old.mount_path)
        return
    before = old.at if old else None
    told = {"device": new.device, "format": new.format, "path": new.mount_path}
    if new.format == "none" and (old is None or old.format != "none"):
        found.add(Weight.DISRUPTIVE, "filesystem_erased", before, new.at, device=new.device)
    elif new.is_wiped and not (old and old.is_wiped):
        found.add(Weight.DISRUPTIVE, "filesystem_reformatted", before, new.at, **told)
    elif old is None:
        found.add(Weight.NOTABLE, "filesystem_added", None, new.at, **told)
    elif old.format != new.format:
        found.add(Weight.DISRUPTIVE, "filesystem_format", before, new.at, **told, old=old.format)
    elif (old.label, old.uuid, old.options, old.mount_options) != (new.label, new.uuid, new.options, new.mount_options):
        found.add(Weight.NOTABLE, "filesystem_changed", before, new.at, device=new.device)
    if old is None or new.format == "none":
        return
    if old.is_wiped and not new.is_wiped:
        found.add(Weight.NOTABLE, "filesystem_not_wiped", before, new.at, device=new.device)
    if old.mount_path != new.mount_path:
        found.add(
            Weight.NOTABLE,
            "filesystem_moved",
            before,
            new.at,
            device=new.device,
            old=old.mount_path or "-",
            path=new.mount_path or "-",
        )


def _raid(found: Effects, old: Raid | None, new: Raid | None) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "raid_left_out", old.at, None, raid=old.name)
    elif old is None:
        found.add(Weight.DISRUPTIVE, "raid_added", None, new.at, raid=new.name, devices=new.devices)
    elif (old.level, old.devices, old.spares) != (new.level, new.devices, new.spares):
        found.add(Weight.DISRUPTIVE, "raid_changed", old.at, new.at, raid=new.name, devices=new.devices)


def _luks(found: Effects, old: Luks | None, new: Luks | None) -> None:
    if new is None:
        if old is not None:
            found.add(Weight.NOTABLE, "luks_left_out", old.at, None, volume=old.name)
        return
    told = {"volume": new.name, "device": new.device}
    if old is None or old.device != new.device or (new.is_wiped and not old.is_wiped):
        code = "luks_added" if old is None else "luks_wiped" if old.device == new.device else "luks_moved"
        found.add(Weight.DISRUPTIVE, code, old.at if old else None, new.at, **told)
    elif (old.opened_by, old.threshold, old.tang_urls) != (new.opened_by, new.threshold, new.tang_urls):
        found.add(Weight.NOTABLE, "luks_opened_otherwise", old.at, new.at, volume=new.name, ways=new.opened_by)
