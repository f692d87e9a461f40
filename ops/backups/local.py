"""A directory of the machine that FleetUI runs on. A file appears under its name when it is whole and on the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ops.backups.base import READ_BYTES, Counted, Entry, Stored, TargetError

_HALF = ".half"
_FSTAB = Path("/etc/fstab")


class LocalTarget:
    """Implements ops.backups.base.Target below one directory, which has to be there."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)

    def put(self, key: str, chunks: Iterable[bytes], held: Callable[[], None]) -> Stored:
        path = self._place(key)
        half = path.with_name(path.name + _HALF)
        counted = Counted()
        try:
            self._there()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                        counted.add(chunk)
                        held()
                    file.flush()
                    os.fsync(file.fileno())
                held()
                half.rename(path)
                _sync(path.parent)
            finally:
                half.unlink(missing_ok=True)
        except OSError as error:
            raise _as_target_error(error) from error
        return counted.stored()

    def read(self, key: str) -> Iterator[bytes]:
        try:
            with self._place(key).open("rb") as file:
                while chunk := file.read(READ_BYTES):
                    yield chunk
        except OSError as error:
            raise _as_target_error(error) from error

    def entries(self, prefix: str) -> Iterator[Entry]:
        folder = self._place(prefix).parent
        try:
            self._there()
            for path in sorted(folder.rglob("*")):
                key = str(path.relative_to(self._root))
                if path.is_file() and key.startswith(prefix) and not path.name.endswith(_HALF):
                    seen = path.stat()
                    yield Entry(key, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC))
        except OSError as error:
            raise _as_target_error(error) from error

    def delete(self, key: str) -> None:
        path = self._place(key)
        try:
            self._there()  # what lies on a medium that is not mounted is not deleted by finding nothing
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _as_target_error(error) from error
        with suppress(OSError):
            path.parent.rmdir()  # the last of its folder takes it along

    def forget(self, key: str) -> None:
        self.delete(key + _HALF)
        self.delete(key)

    def location(self, key: str) -> str:
        return str(self._root / key)

    def _there(self) -> None:
        """Raises where the directory is missing, or is the empty place of a file system that is not mounted."""
        real = self._root.resolve(strict=True)
        mounts = _mount_points()
        for place in (real, *real.parents):
            if place in mounts and not place.is_mount():
                raise TargetError("not_there", f"{place} is in {_FSTAB} and not mounted")

    def _place(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise TargetError("bad_key", key)
        return self._root / key


def _mount_points() -> set[Path]:
    """Where this machine mounts something besides its root, by its own table. Not everything that is mounted stands there."""
    try:
        lines = _FSTAB.read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    fields = (line.split() for line in lines if not line.lstrip().startswith("#"))
    named = (one[1].replace("\\040", " ") for one in fields if len(one) > 1)  # so the table writes a blank
    return {Path(one).resolve() for one in named if one.startswith("/")} - {Path("/")}


def _sync(folder: Path) -> None:
    """The name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_target_error(error: OSError) -> TargetError:
    said = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror or error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return TargetError("full", said)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return TargetError("denied", said)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return TargetError("not_there", said)
    return TargetError("failed", said, passes=True)
