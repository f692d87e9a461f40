"""Files, directories and links: paths, modes, owners, and how they stand to each other."""

from collections import Counter
from itertools import takewhile

from nodes.ignition.gotext import clean, join
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.report import Report
from nodes.ignition.rules.spec import Spec

_HIGHEST_MODE, _SPECIAL_BITS = 0o7777, 0o7000
_OWNERS = (("user", "id"), ("user", "name"), ("group", "id"), ("group", "name"))


def path_problem(path: str) -> str | None:
    """What is wrong with a path on the host; None when nothing is."""
    if not path:
        return "path not specified"
    if not path.startswith("/"):
        return "path not absolute"
    return None if clean(path) == path else "path is not fully simplified"


def optional_path_problem(path: str | None) -> str | None:
    return path_problem(path) if path else None


def _check_mode(record: Record, path: Path, report: Report, spec: Spec) -> None:
    mode = record.number("mode")
    if mode is None:
        return
    if not 0 <= mode <= _HIGHEST_MODE:
        report.error((*path, "mode"), "illegal file mode")
    if spec.minor < 6 and mode & _SPECIAL_BITS:
        report.warning(
            (*path, "mode"),
            "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0",
        )


def _node(record: Record, path: Path, report: Report, spec: Spec) -> None:
    report.error((*path, "path"), path_problem(record.string("path")))


def _directory(record: Record, path: Path, report: Report, spec: Spec) -> None:
    _node(record, path, report, spec)
    _check_mode(record, path, report, spec)


def _file(record: Record, path: Path, report: Report, spec: Spec) -> None:
    _node(record, path, report, spec)
    _check_mode(record, path, report, spec)
    if record.flag("overwrite") and record.record("contents").text("source") is None:
        report.error((*path, "overwrite"), "overwrite must be false if source is unspecified")


def _owner(record: Record, path: Path, report: Report, spec: Spec) -> None:
    if record.number("id") is not None and record.text("name"):
        report.error(path, "cannot set both id and name")


class _Links:
    """The paths of links, to tell what lies below one."""

    def __init__(self, links: list[Record]) -> None:
        self._count = Counter(link.string("path") + "/" for link in links)
        self._lengths = sorted({len(below) for below in self._count})

    def above(self, path: str) -> int:
        """How many links the path goes through."""
        return sum(
            self._count[path[:length]] for length in takewhile(lambda length: length <= len(path), self._lengths)
        )


def _storage(record: Record, path: Path, report: Report, spec: Spec) -> None:
    links = _Links(record.records("links"))
    for key, name in (("directories", "directory"), ("files", "file")):
        for index, node in enumerate(record.records(key)):
            for _ in range(links.above(node.string("path"))):
                report.error((*path, key, index), f"{name} path includes link in config")
    _check_links(record, path, report, spec, links)
    _check_filesystems(record, path, report)


def _check_links(record: Record, path: Path, report: Report, spec: Spec, links: _Links) -> None:
    directories = Counter(directory.string("path") for directory in record.records("directories"))
    for index, link in enumerate(record.records("links")):
        here: Path = (*path, "links", index)
        for _ in range(links.above(link.string("path"))):
            report.error(here, "link path includes link in config")
        target = link.string("target")
        if spec.minor >= 3 and not target:
            report.error((*here, "target"), "link target is required")
            continue
        if not link.flag("hard"):
            continue
        meant = clean(target)
        if not meant.startswith("/"):
            meant = join(link.string("path"), target)
        for _ in range(directories[meant]):
            report.error(here, "hard link target is a directory")
        for owner, key in _OWNERS:
            if link.record(owner).values.get(key) is not None:
                report.warning((*here, owner, key), "user/group ignored for hard link")


def _check_filesystems(record: Record, path: Path, report: Report) -> None:
    disks = {disk.string("device"): disk for disk in record.records("disks")}
    for index, filesystem in enumerate(record.records("filesystems")):
        disk = disks.get(filesystem.string("device"))
        if disk is None:
            continue
        here: Path = (*path, "filesystems", index, "device")
        if disk.items("partitions"):
            report.warning(here, "filesystem overwrites partitioned device")
        elif not filesystem.flag("wipeFilesystem") and disk.flag("wipeTable"):
            report.warning(here, "device matches disk with wipeTable enabled; filesystem will be wiped")


RULES = {
    "Directory": _directory,
    "File": _file,
    "Link": _node,
    "NodeUser": _owner,
    "NodeGroup": _owner,
    "Storage": _storage,
}
