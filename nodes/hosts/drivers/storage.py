"""File systems and disks."""

from collections.abc import Iterator
from dataclasses import dataclass

from nodes.hosts.drivers.documents import Fields, load_json, number, plain
from nodes.hosts.facts import Disk, Filesystem, FilesystemUse

MAX_LINES = 1000
# An image mounted read-only is always full; its use says nothing.
_ALWAYS_FULL = frozenset(("composefs", "erofs", "squashfs", "iso9660"))
_UNITS = {"1-blocks": 1, "1B-blocks": 1, "1K-blocks": 1024, "1024-blocks": 1024, "512-blocks": 512, "Inodes": 1}
_NO_DISK = ("zram", "loop", "ram", "sr")


@dataclass(frozen=True)
class DfRow:
    device: str
    type: str | None
    size: int | None
    used: int | None
    available: int | None
    mount: str


def parse_df(text: str, problems: list[str]) -> tuple[DfRow, ...]:
    """`df`, with or without the type column, in blocks or inodes. One row for each mount point."""
    lines = text.splitlines()[:MAX_LINES]
    head = next((line for line in lines if line.startswith("Filesystem")), None)
    words = head.split() if head is not None else []
    typed = words[1:2] == ["Type"]
    unit = _UNITS.get(next(iter(words[2 if typed else 1 :]), ""))
    if head is None or unit is None:
        problems.append("this is not the output of df with plain numbers")
        return ()
    rows: dict[str, DfRow] = {}
    for line in _joined(lines[lines.index(head) + 1 :]):
        row = _row(line, unit, typed=typed)
        if row is None:
            problems.append(f"the line {plain(line[:80])!r} of df was not understood")
        else:
            rows.setdefault(row.mount, row)
    return tuple(rows.values())


def _joined(lines: list[str]) -> Iterator[str]:
    """Lines of df; without -P a long device name stands alone on the line before its numbers."""
    device = ""
    for line in lines:
        if not device and len(line.split()) == 1:
            device = line.strip()
            continue
        yield f"{device} {line}" if device else line
        device = ""
    if device:
        yield device


def _row(line: str, unit: int, *, typed: bool) -> DfRow | None:
    """Columns from the left up to the mount point, which may hold spaces."""
    words = line.split(None, 6 if typed else 5)
    if len(words) != (7 if typed else 6) or not words[-1].startswith("/"):
        return None
    counts = (None if word == "-" else number(word) for word in words[-5:-2])
    size, used, available = (count * unit if count is not None else None for count in counts)
    return DfRow(plain(words[0]), plain(words[1]) if typed else None, size, used, available, plain(words[-1]))


def filesystems_of(rows: tuple[DfRow, ...]) -> tuple[Filesystem, ...]:
    return tuple(Filesystem(row.mount, row.device, row.type, row.size) for row in rows)


def use_of(rows: tuple[DfRow, ...], inodes: tuple[DfRow, ...]) -> tuple[FilesystemUse, ...]:
    """Used space of what can fill up. Percent as df counts it: of what users can use."""
    by_mount = {row.mount: row for row in inodes}
    return tuple(
        FilesystemUse(
            row.mount,
            row.size,
            row.used,
            row.available,
            _percent(row),
            _percent(by_mount[row.mount]) if row.mount in by_mount else None,
        )
        for row in rows
        if row.device not in _ALWAYS_FULL and row.type not in _ALWAYS_FULL
    )


def _percent(row: DfRow) -> float | None:
    if row.used is None or row.available is None or row.used + row.available <= 0:
        return None
    return round(100 * row.used / (row.used + row.available), 1)


def parse_disks(text: str, problems: list[str]) -> tuple[Disk, ...]:
    """`lsblk -J -b`: whole disks. Old versions print numbers and flags as text."""
    document = Fields.of(load_json(text), "", problems)
    found = []
    for entry in document.parts("blockdevices"):
        name = entry.text("name")
        if not name or name.startswith(_NO_DISK) or entry.text("type") not in (None, "disk"):
            continue
        model = entry.text("model")
        found.append(Disk(name, entry.text("type"), _size(entry), model.strip() if model else None, _rotational(entry)))
    return tuple(found)


def _size(entry: Fields) -> int | None:
    value = entry.values.get("size")
    return number(value) if isinstance(value, str) else entry.number("size")


def _rotational(entry: Fields) -> bool | None:
    value = entry.values.get("rota")
    if isinstance(value, str):
        return {"1": True, "0": False}.get(value)
    return entry.flag("rota") if value is not None else None
