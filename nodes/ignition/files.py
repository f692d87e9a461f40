"""The directory from which a config may embed files. Nothing outside of it is ever read.

The real tool follows symbolic links wherever they lead. Here a link that leaves the directory is refused,
because a config that someone else wrote is converted on a server.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nodes.ignition.gotext import join
from nodes.ignition.limits import DEFAULT, Limits, Refused

NO_DIRECTORY = "local file paths are relative to a files directory that must be specified with -d/--files-dir"
OUTSIDE = "local file path traverses outside the files directory"


class LocalFailure(Exception):
    """A local file cannot be used. The text says which and why."""


@dataclass(frozen=True)
class LocalNode:
    """Something found in a tree: its path below the tree's root, and what lstat says."""

    relative: str
    path: str
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
    """Reads below one directory, up to a number of bytes in all."""

    def __init__(self, directory: str | Path, limits: Limits = DEFAULT) -> None:
        self._directory = str(directory)
        self._limits = limits
        self._read_bytes = 0
        self._nodes = 0

    def read(self, local: str) -> bytes:
        """The content of a file that a config names."""
        path = self._inside(local)
        return self._read(path)

    def tree(self, local: str) -> Iterator[LocalNode | LocalFailure]:
        """What is in a directory, names in byte order, a directory before its content."""
        path = self._inside(local)
        try:
            status = os.stat(self._resolved(path, "stat"))
        except OSError as error:
            raise _failure("stat", path, error) from error
        if not stat.S_ISDIR(status.st_mode):
            raise LocalFailure("root of tree must be a directory")
        return self._walk(path, ".")

    def read_node(self, node: LocalNode) -> bytes:
        """The content of a file of a tree."""
        return self._read(node.path)

    def link_target(self, node: LocalNode) -> str:
        try:
            return os.readlink(node.path)
        except OSError as error:
            raise _failure("readlink", node.path, error) from error

    def _inside(self, local: str) -> str:
        """The path of a local file, as messages show it."""
        path = join(self._directory, local)
        if "\0" in path:
            raise LocalFailure(f"open {path.replace(chr(0), '?')}: invalid argument")
        base, meant = os.path.abspath(self._directory), os.path.abspath(path)
        if meant != base and not meant.startswith(base.rstrip("/") + "/"):
            raise LocalFailure(OUTSIDE)
        return path

    def _resolved(self, path: str, action: str) -> str:
        """The path without symbolic links. Raises LocalFailure when they lead outside."""
        try:
            base, meant = os.path.realpath(self._directory), os.path.realpath(path, strict=True)
        except OSError as error:
            raise _failure(action, path, error) from error
        if meant != base and not meant.startswith(base.rstrip("/") + "/"):
            raise LocalFailure(f"{action} {path}: a symbolic link leads outside the files directory")
        return meant

    def _read(self, path: str) -> bytes:
        meant = self._resolved(path, "open")
        try:
            descriptor = self._open(meant)
        except OSError as error:
            raise _failure("open", path, error) from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise LocalFailure(f"read {path}: is a directory")
            if not stat.S_ISREG(status.st_mode):
                raise LocalFailure(f"open {path}: not a regular file")
            if status.st_size > self._limits.local_file_bytes:
                raise Refused(f"{path} has {status.st_size} bytes, which is more than {self._limits.local_file_bytes}")
            content = file.read(self._limits.local_file_bytes + 1)
        self._read_bytes += len(content)
        if len(content) > self._limits.local_file_bytes or self._read_bytes > self._limits.local_total_bytes:
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

    def _walk(self, root: str, relative: str) -> Iterator[LocalNode | LocalFailure]:
        path = join(root, relative)
        self._nodes += 1
        if self._nodes > self._limits.tree_nodes:
            raise Refused(f"the trees have more than {self._limits.tree_nodes} files and directories")
        try:
            node = LocalNode(relative, path, os.lstat(path))
        except OSError as error:
            yield _failure("lstat", path, error)
            return
        yield node
        if not node.is_directory:
            return
        if relative.count("/") > self._limits.depth:
            raise Refused(f"{path} is nested more than {self._limits.depth} levels deep")
        try:
            names = sorted(os.listdir(self._resolved(path, "open")), key=os.fsencode)
        except LocalFailure as failure:
            yield failure
            return
        except OSError as error:
            yield _failure("open", path, error)
            return
        for name in names:
            yield from self._walk(root, join(relative, name))


def _failure(action: str, path: str, error: OSError) -> LocalFailure:
    reason = os.strerror(error.errno or errno.EIO)
    return LocalFailure(f"{action} {path}: {reason[:1].lower()}{reason[1:]}")
