"""What every target offers: write in pieces, read back, list, delete. An object is there whole, or it is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

READ_BYTES = 1024 * 1024
#: Codes of what a target does not allow, or not before a lock ends.
WITHHELD = frozenset({"denied", "refused"})


class TargetError(Exception):
    """A target did not do what it was asked. `code` is worded where it is shown; `said` is what the other side said.

    `passes`: waiting may mend it (a network that is down), a person does not have to.
    """

    def __init__(self, code: str, said: str = "", *, passes: bool = False) -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.code, self.said, self.passes = code, said[:300], passes


@dataclass(frozen=True)
class Stored:
    """What was written: how much, and the SHA-256 of it, taken while it passed."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    key: str
    size_bytes: int
    modified_at: datetime


class Target(Protocol):
    """`held` is asked between pieces and before the end: it raises when the writer has lost its right to write."""

    def put(self, key: str, chunks: Iterable[bytes], held: Callable[[], None]) -> Stored:
        """Write an object; whatever is raised meanwhile, nothing of it is left under its key."""
        ...

    def read(self, key: str) -> Iterator[bytes]: ...

    def entries(self, prefix: str) -> Iterator[Entry]: ...

    def delete(self, key: str) -> None:
        """Gone, also when it was not there."""
        ...

    def forget(self, key: str) -> None:
        """Take away what a writer left that died: the object, and what was not finished."""
        ...

    def location(self, key: str) -> str:
        """Where a person finds it."""
        ...


class Counted:
    """Counts and hashes what passes."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._digest = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        self._digest.update(chunk)

    def stored(self) -> Stored:
        return Stored(self.size_bytes, self._digest.hexdigest())


def read_back(target: Target, key: str, held: Callable[[], None]) -> Stored:
    """Read an object from its beginning to its end, and say what it is."""
    counted = Counted()
    for chunk in target.read(key):
        counted.add(chunk)
        held()
    return counted.stored()


TRIED = b"FleetUI wrote this to see whether it may. It is deleted at once.\n"


def try_out(target: Target, key: str) -> None:
    """Write, read back, compare and delete; raises TargetError."""
    target.put(key, [TRIED], lambda: None)
    if b"".join(target.read(key)) != TRIED:
        target.forget(key)
        raise TargetError("reads_differently")
    if not any(entry.key == key for entry in target.entries(key)):
        raise TargetError("does_not_list")
    target.forget(key)  # under a lock it cannot be deleted yet
