"""FleetUI itself as the source of a backup. What copies its database stands above ops, and registers itself here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from ops.backups.job import Stream

#: What an operation on it is on.
SUBJECT, NAME = "installation", "FleetUI"


class Installation(Protocol):
    """Both ask `going_on` again and again; it raises when nobody wants the work any more."""

    def stream(self, place: Path, going_on: Callable[[], None]) -> AbstractContextManager[Stream]:
        """The backup, as it is made. `place` is an empty folder for what has to lie on a disk meanwhile.

        Raises ops.backups.job.SourceFailed and ops.backups.scratch.ScratchFailed.
        """
        ...

    def prove(self, file: Path, place: Path, going_on: Callable[[], None]) -> Mapping[str, Any]:
        """Open a backup as far as that goes without a second database: what it holds.

        Raises ops.backups.drill.DrillFailed and ops.backups.scratch.ScratchFailed.
        """
        ...


_registered: list[Installation] = []


def register(one: Installation) -> None:
    _registered[:] = [one]


def registered() -> Installation:
    return _registered[0]
