"""Disks, looked at coarsely: whether partitions, filesystems and encrypted volumes of these names and formats are there.

Only Ignition makes them, and only on the first boot of a machine: what is missing needs another machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodes.drift.expected import Expected
from nodes.drift.model import Block, Difference, Seen, Sort, Unlooked, What
from nodes.ignition.sections.model import Filesystem

_SECTION = "disks"
_BY_PART_LABEL, _BY_LABEL, _MAPPER = "/dev/disk/by-partlabel/", "/dev/disk/by-label/", "/dev/mapper/"


def differences(wanted: Expected, seen: Seen, unlooked: list[Unlooked]) -> Iterator[Difference]:
    if not wanted.wants_blocks:
        return
    if not _is_known(seen.blocks):
        names = [
            *(disk.device for disk in wanted.disks),
            *(one.device for one in wanted.filesystems),
            *(volume.name for volume in wanted.luks),
        ]
        unlooked += [Unlooked(_SECTION, name, "disks_unknown") for name in names]
        return
    blocks = seen.blocks or []
    labels = {one.part_label for one in blocks}
    for disk in wanted.disks:
        for part in disk.partitions:
            if not part.label:
                unlooked.append(Unlooked(_SECTION, f"{disk.device} {part.number}", "no_label"))
            elif part.is_removed is (part.label in labels):
                what = What.PRESENT if part.is_removed else What.MISSING
                yield _of(f"{disk.device} {part.label}", what)
    opened = {one.name for one in blocks if one.type == "crypt"}
    for volume in wanted.luks:
        if volume.name not in opened:
            yield _of(f"{_MAPPER}{volume.name}", What.MISSING)
    for one in wanted.filesystems:
        yield from _filesystem(one, blocks, unlooked)


def _is_known(blocks: list[Block] | None) -> bool:
    """A container or a user without rights sees devices without any name or format."""
    return any(one.format or one.part_label or one.label for one in blocks or [])


def _of(subject: str, what: What, expected: str = "", found: str = "") -> Difference:
    return Difference(_SECTION, subject, what, Sort.REPLACEMENT, expected, found)


def _filesystem(one: Filesystem, blocks: list[Block], unlooked: list[Unlooked]) -> Iterator[Difference]:
    if one.format in (None, "none"):
        return
    device = one.device
    if device.startswith(_BY_PART_LABEL):
        candidates = [row for row in blocks if row.part_label == device.removeprefix(_BY_PART_LABEL)]
    elif device.startswith(_MAPPER):
        candidates = [row for row in blocks if row.name == device.removeprefix(_MAPPER)]
    elif device.startswith(_BY_LABEL) or one.label:
        label = one.label or device.removeprefix(_BY_LABEL)
        candidates = [row for row in blocks if row.label == label]
    else:
        unlooked.append(Unlooked(_SECTION, device, "no_label"))
        return
    if not candidates:
        yield _of(device, What.MISSING, one.format or "")
        return
    found = candidates[0]
    if found.format and found.format != one.format:
        yield _of(device, What.FORMAT, one.format or "", found.format)
    if one.label and found.label and found.label != one.label:
        yield _of(device, What.LABEL, one.label, found.label)
