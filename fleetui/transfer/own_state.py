"""FleetUI itself as what backup policies of the kind `fleetui` back up, and what their restore drills open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetui.transfer import postgresql, sqlite
from fleetui.transfer.contents import Contents, opened
from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.keys import missing_keys
from fleetui.transfer.snapshot import pieces
from ops.backups.drill import DrillFailed
from ops.backups.job import NoProgram, SourceFailed
from ops.backups.scratch import ScratchFailed, require_room

_ROOM_BYTES = 64 * 1024 * 1024


class _Stream:
    """Implements ops.backups.job.Stream: what fails is raised, so that its end is always good."""

    said = ""

    def __init__(self, place: Path, going_on: Callable[[], None]) -> None:
        self._place, self._going_on = place, going_on

    def chunks(self) -> Iterator[bytes]:
        try:
            yield from pieces(self._place, self._going_on)
        except postgresql.NoProgram as error:
            raise NoProgram("own_no_program", program=error.program) from error
        except ScratchFailed as error:
            raise SourceFailed(f"own_{error.code}", **error.params) from error
        except (TransferRefused, OSError) as error:
            raise SourceFailed("own_failed", said=_said(error)) from error

    def status(self) -> int:
        return 0


class Itself:
    """Implements ops.backups.installation.Installation."""

    @contextmanager
    def stream(self, place: Path, going_on: Callable[[], None]) -> Iterator[_Stream]:
        yield _Stream(place, going_on)

    def prove(self, file: Path, place: Path, going_on: Callable[[], None]) -> Mapping[str, Any]:
        """Every file is as it was put in, the database is whole, and the keys that are here open what is in it."""
        try:
            with opened(file) as contents:
                manifest = contents.manifest
                if missing := missing_keys(manifest.keys_needed):
                    raise DrillFailed("drill_no_keys", keys=", ".join(missing))
                contents.check(going_on)
                (_sqlite if manifest.database == "sqlite" else _postgresql)(contents, place, going_on)
                return {"content_bytes": contents.size_of(contents.database), "audit_seq": manifest.audit_seq}
        except postgresql.NoProgram as error:
            raise DrillFailed("drill_no_program", program=error.program) from error
        except (TransferRefused, OSError) as error:
            raise DrillFailed("drill_unreadable", said=_said(error)) from error


def _sqlite(contents: Contents, place: Path, going_on: Callable[[], None]) -> None:
    require_room(place, contents.size_of(contents.database) + _ROOM_BYTES)
    path = place / contents.database
    with path.open("xb") as file:
        for piece in contents.pieces(contents.database):
            file.write(piece)
            going_on()
    if problem := sqlite.problem_of(path, going_on):
        raise DrillFailed("drill_unreadable", said=problem)


def _postgresql(contents: Contents, _place: Path, going_on: Callable[[], None]) -> None:
    for _piece in postgresql.read(contents.pieces(contents.database), going_on):
        pass


def _said(error: Exception) -> str:
    return error.message if isinstance(error, TransferRefused) else str(error)
