"""Flatcar's two USR partitions: which one runs, which one starts next, and which one failed to start."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nodes.hosts.drivers.documents import plain
from nodes.hosts.facts import Deployment, Slot

MAX_LINES = 2000
_ROW = re.compile(r"^\s*(?P<start>\d{1,20})\s+(?P<size>\d{1,20})\s+(?P<part>\d{1,4})\s+(?P<rest>\S.*)$")
_FIELD = re.compile(r"^\s*(?P<key>Label|Type|UUID|Attr):\s*(?P<value>.*?)\s*$")
_ATTRIBUTE = re.compile(r"(priority|tries|successful)=(\d{1,2})\b")
_PART_NUMBER = re.compile(r"(?:p)?(\d{1,4})$")


@dataclass(frozen=True)
class Partition:
    """A USR partition as the GPT has it. The boot loader starts the highest priority that is good or has tries left."""

    number: int
    label: str
    uuid: str
    priority: int
    tries: int
    successful: bool

    @property
    def bootable(self) -> bool:
        return self.priority > 0 and (self.successful or self.tries > 0)


def parse_partitions(text: str, problems: list[str]) -> tuple[Partition, ...]:
    """`cgpt show DISK`: the partitions that are labelled USR-A and USR-B."""
    rows: list[dict[str, str]] = []
    for line in text.splitlines()[:MAX_LINES]:
        if row := _ROW.match(line):
            rows.append({"part": row["part"]})
            line = row["rest"]
        if rows and (field := _FIELD.match(line)):
            rows[-1].setdefault(field["key"], field["value"])
    found = tuple(part for row in rows if (part := _partition(row, problems)) is not None)
    if not found:
        problems.append("no partition is labelled USR-A or USR-B")
    return found


def _partition(row: dict[str, str], problems: list[str]) -> Partition | None:
    label = plain(row.get("Label", "").strip('"'))
    if not label.startswith("USR-"):
        return None
    marks = {key: int(value) for key, value in _ATTRIBUTE.findall(row.get("Attr", ""))}
    if not {"priority", "tries", "successful"} <= marks.keys():
        problems.append(f"{label[:20]} has no priority, tries and successful")
        return None
    uuid = plain(row.get("UUID", "")).lower()[:64]
    return Partition(int(row["part"]), label[:20], uuid, marks["priority"], marks["tries"], bool(marks["successful"]))


def part_number(device: str) -> int | None:
    """3 of /dev/sda3 and of /dev/nvme0n1p3."""
    name = device.strip().rpartition("/")[2]
    # A whole NVMe disk ends in a digit as well.
    if re.fullmatch(r"(nvme\d+n\d+|mmcblk\d+|loop\d+|md\d+)", name):
        return None
    found = _PART_NUMBER.search(name)
    return int(found[1]) if found and device.startswith("/dev/") else None


def running(partitions: Sequence[Partition], device: str, arguments: Sequence[str]) -> Partition | None:
    """The partition that /usr is on, by its device or by the kernel arguments."""
    number, name = part_number(device), device.strip().rpartition("/")[2].lower()
    for partition in partitions:
        if name in (partition.label.lower(), partition.uuid) or (number is not None and partition.number == number):
            return partition
    words = [word.lower() for word in arguments]
    for partition in partitions:
        ends = (f"usr=partlabel={partition.label.lower()}", f"usr=partuuid={partition.uuid or '-'}")
        if any(word.endswith(ends) for word in words):
            return partition
    return None


def device_of(partition: Partition, runs: Partition, device: str) -> str | None:
    """The device of a slot, from the device of the one that runs: they are partitions of one disk."""
    own = str(runs.number)
    disk = device.strip()
    if part_number(disk) != runs.number or not disk.endswith(own):
        return None
    return f"{disk.removesuffix(own)}{partition.number}"


def deployments(
    partitions: Sequence[Partition], runs: Partition | None, booted: Deployment, staged: str | None, device: str = ""
) -> tuple[Deployment, ...]:
    """The slots in boot order. `staged` is the version of an update that waits for its reboot, `device` that of /usr.

    A slot that was never written, or that nothing can start, is left out; one that came first, had its try and is not
    running is there as `boot_failed`, behind what starts.
    """
    if runs is None:
        return _without_table(booted, staged)
    order = sorted(partitions, key=lambda one: (not one.bootable and one is not runs, -one.priority, one.number))
    found: list[Deployment] = []
    for one in order:
        slot = Slot(one.label, one.priority, one.tries, one.successful, device_of(one, runs, device))
        if one is runs:
            found.append(_placed(booted, len(found), one.label, slot))
            continue
        failed = not one.bootable and one.priority > runs.priority
        if not one.bootable and not failed:
            continue
        is_next = one.bootable and one.priority > runs.priority
        found.append(
            Deployment(
                index=len(found),
                id=one.label,
                osname=booted.osname,
                version=staged if is_next else None,
                origin=booted.origin,
                stream=booted.stream,
                staged=bool(is_next and staged),
                rollback=one.bootable and not is_next,
                boot_failed=failed,
                slot=slot,
            )
        )
    return tuple(found)


def _without_table(booted: Deployment, staged: str | None) -> tuple[Deployment, ...]:
    """What can be said without the partition table: what runs, and what waits."""
    if not staged:
        return (_placed(booted, 0, "running", None),)
    waiting = Deployment(
        index=0,
        id="staged",
        osname=booted.osname,
        version=staged,
        origin=booted.origin,
        stream=booted.stream,
        staged=True,
    )
    return (waiting, _placed(booted, 1, "running", None))


def _placed(booted: Deployment, index: int, name: str, slot: Slot | None) -> Deployment:
    return replace(booted, index=index, id=name, booted=True, slot=slot)
