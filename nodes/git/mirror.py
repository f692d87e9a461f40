"""A bare copy of the objects of one branch: a cache, which may be thrown away at any time."""

from __future__ import annotations

import contextlib
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from dulwich.errors import ApplyDeltaError, ChecksumMismatch, FileFormatException
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Commit, ObjectID, ShaFile
from dulwich.pack import UnresolvedDeltas

from nodes.git.errors import GitProblem
from nodes.git.limits import GitLimits
from nodes.git.packs import look_over

SHA = re.compile(r"[0-9a-f]{40}\Z")
_BROKEN = (
    *(ApplyDeltaError, ChecksumMismatch, FileFormatException, UnresolvedDeltas, zlib.error),
    *(AssertionError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError),
)


@contextlib.contextmanager
def taken_apart() -> Iterator[None]:
    """dulwich takes objects apart without asking; what falls over there is not Git."""
    try:
        yield
    except _BROKEN:
        raise GitProblem("hostile", "objects") from None


class Mirror:
    """Objects in packs, and the newest head that is whole. One process works on it at a time, by the lease of its row."""

    def __init__(self, folder: Path, limits: GitLimits) -> None:
        self.folder, self.limits = folder, limits
        if self.head and len(list((folder / "objects" / "pack").glob("*.pack"))) > limits.packs:
            self.forget()
        packs = folder / "objects" / "pack"
        packs.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in (*packs.glob("tmp*.pack"), *packs.glob("*.lock")):
            # Of a fetch that was killed.
            left.unlink(missing_ok=True)
        self.store = DiskObjectStore(str(folder / "objects"))

    @property
    def head(self) -> str:
        with contextlib.suppress(OSError):
            text = (self.folder / "head").read_text("ascii", "replace").strip()
            return text if SHA.match(text) else ""
        return ""

    def set_head(self, sha: str) -> None:
        """Told only when everything that it leads to is here. Whole or not at all."""
        fresh = self.folder / "head.new"
        fresh.write_text(f"{sha}\n", "ascii")
        fresh.replace(self.folder / "head")

    def close(self) -> None:
        self.store.close()

    def forget(self) -> None:
        """Throw the copy away, the head first."""
        (self.folder / "head").unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def incoming(self) -> Iterator[BinaryIO]:
        with TemporaryFile(dir=self.folder) as file:
            yield file

    def take(self, file: BinaryIO, check_time: Callable[[], None]) -> None:
        """Add a pack that came in, if it is harmless."""
        look_over(file, self.limits, check_time)
        file.seek(0)
        into, commit, abort = self.store.add_pack()
        try:
            shutil.copyfileobj(file, into)
        except BaseException:
            abort()
            raise
        with taken_apart():
            commit()

    def has(self, sha: str) -> bool:
        return ObjectID(sha.encode()) in self.store

    def commit(self, sha: str) -> Commit:
        found = self.get(sha)
        if not isinstance(found, Commit):
            raise GitProblem("hostile", "objects")
        return found

    def get(self, sha: str | bytes) -> ShaFile:
        name = sha.encode() if isinstance(sha, str) else sha
        with taken_apart():
            try:
                return self.store[ObjectID(name)]
            except KeyError:
                raise GitProblem("hostile", "missing") from None

    def parents(self, sha: str) -> list[str]:
        return [parent.decode("ascii", "replace") for parent in self.commit(sha).parents]
