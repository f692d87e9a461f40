"""The directory from which a config may embed files. Nothing outside of it is ever read.

The real tool follows symbolic links wherever they lead. Here a link that leaves the directory is refused,
because a config that someone else wrote is converted on a server.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nodes.ignition.gotext import join
from nodes.ignition.limits import DEFAULT, Limits, Refused

NO_DIRECTORY = "local file paths are relative to a files directory that must be specified with -d/--files-dir"
OUTSIDE = "local file path traverses outside the files directory"
_LINE_END = re.compile("\r?\n")


class LocalFailure(Exception):
    """A local file cannot be used. The text says which and why."""


class _Place(NamedTuple):
    """A path as messages show it and as it is on this machine."""

    shown: str
    real: str


@dataclass(frozen=True)
class LocalNode:
    """Something found in a tree: its path below the tree's root, and what lstat says."""

    relative: str
    place: _Place
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def is_executable(self) -> bool:
        return bool(self.status.st_mode & 0o111)


class FilesDirectory:
    """Reads below one directory, up to a number of bytes in all. Messages call it `shown_as`."""

    def __init__(self, directory: str | Path, *, shown_as: str | None = None, limits: Limits = DEFAULT) -> None:
        self._directory = str(directory)
        self._shown_as = shown_as or self._directory
        self._limits = limits
        self._read_bytes = 0
        self._nodes = 0
        self._keys = 0

    def read(self, local: str) -> bytes:
        """The content of a file that a config names."""
        return self._read(self._inside(local))

    def read_keys(self, local: str) -> list[str]:
        """The lines of a file of SSH keys, without empty ones."""
        keys = [key for key in _LINE_END.split(self.read(local).decode("utf-8", "surrogateescape")) if key]
        self._keys += len(keys)
        if self._keys > self._limits.local_keys:
            raise Refused(f"the local files have more than {self._limits.local_keys} SSH keys together")
        return keys

    def tree(self, local: str) -> Iterator[LocalNode | LocalFailure]:
        """What is in a directory, names in byte order, a directory before its content."""
        place = self._inside(local)
        try:
            status = Path(self._resolved(place, "stat")).stat()
        except OSError as error:
            raise _failure("stat", place, error) from error
        if not stat.S_ISDIR(status.st_mode):
            raise LocalFailure("root of tree must be a directory")
        return self._walk(place, ".")

    def read_node(self, node: LocalNode) -> bytes:
        """The content of a file of a tree."""
        return self._read(node.place)

    def link_target(self, node: LocalNode) -> str:
        try:
            return str(Path(node.place.real).readlink())
        except OSError as error:
            raise _failure("readlink", node.place, error) from error

    def _inside(self, local: str) -> _Place:
        """The place of a local file. Raises LocalFailure when its path leads outside."""
        place = _Place(join(self._shown_as, local), join(self._directory, local))
        if "\0" in local:
            raise LocalFailure(f"open {place.shown.replace(chr(0), '?')}: invalid argument")
        # As text: where links lead is looked at when the file is opened.
        if not _is_below(os.path.abspath(place.real), os.path.abspath(self._directory)):  # noqa: PTH100
            raise LocalFailure(OUTSIDE)
        return place

    def _resolved(self, place: _Place, action: str) -> str:
        """The path without symbolic links. Raises LocalFailure when they lead outside."""
        try:
            meant = os.path.realpath(place.real, strict=True)
        except OSError as error:
            raise _failure(action, place, error) from error
        if not _is_below(meant, os.path.realpath(self._directory)):
            raise LocalFailure(f"{action} {place.shown}: a symbolic link leads outside the files directory")
        return meant

    def _read(self, place: _Place) -> bytes:
        meant = self._resolved(place, "open")
        try:
            descriptor = self._open(meant)
        except OSError as error:
            raise _failure("open", place, error) from error
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            reason = "is a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise LocalFailure(f"read {place.shown}: {reason}")
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(self._limits.local_file_bytes + 1)
        if len(content) > self._limits.local_file_bytes:
            raise Refused(f"{place.shown} has more than {self._limits.local_file_bytes} bytes")
        self._read_bytes += len(content)
        if self._read_bytes > self._limits.local_total_bytes:
            raise Refused(f"the local files have more than {self._limits.local_total_bytes} bytes together")
        return content

    def _open(self, meant: str) -> int:
        """Open step by step without following links, so that none that is made meanwhile is followed."""
        base = os.path.realpath(self._directory)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(base, flags | os.O_DIRECTORY)
        for step in Path(os.path.relpath(meant, base)).parts:
            try:
                following = os.open(step, flags, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = following
        return descriptor

    def _walk(self, root: _Place, relative: str) -> Iterator[LocalNode | LocalFailure]:
        place = _Place(join(root.shown, relative), join(root.real, relative))
        self._nodes += 1
        if self._nodes > self._limits.tree_nodes:
            raise Refused(f"the trees have more than {self._limits.tree_nodes} files and directories")
        try:
            node = LocalNode(relative, place, os.lstat(place.real))
        except OSError as error:
            yield _failure("lstat", place, error)
            return
        yield node
        if not node.is_directory:
            return
        if relative.count("/") > self._limits.depth:
            raise Refused(f"{place.shown} is nested more than {self._limits.depth} levels deep")
        try:
            names = sorted((found.name for found in Path(self._resolved(place, "open")).iterdir()), key=os.fsencode)
        except LocalFailure as failure:
            yield failure
            return
        except OSError as error:
            yield _failure("open", place, error)
            return
        for name in names:
            yield from self._walk(root, join(relative, name))


def _is_below(path: str, base: str) -> bool:
    return path == base or path.startswith(base.rstrip("/") + "/")


def _failure(action: str, place: _Place, error: OSError) -> LocalFailure:
    reason = os.strerror(error.errno or errno.EIO)
    return LocalFailure(f"{action} {place.shown}: {reason[:1].lower()}{reason[1:]}")
