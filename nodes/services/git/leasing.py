"""The lease of a look at a repository, renewed while the look goes on: who dies is followed within a minute."""

from __future__ import annotations

import uuid
from datetime import timedelta
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Final, Self

import structlog
from django.db import DatabaseError, InterfaceError, connection

from fleetui.core import clock
from nodes.models import GitFollow

#: So long what was taken waits for a worker that is free.
CLAIM: Final = timedelta(minutes=6)
#: So long nobody else begins once the worker at it is gone.
LEASE: Final = timedelta(seconds=60)
#: Longer than a fetch and the conversion of a commit take: whoever hangs does not keep the repository for ever.
LONGEST_PIECE_S: Final = 360.0
_PAUSE_S = LEASE.total_seconds() / 4
log = structlog.get_logger(__name__)


class Lease:
    """Within `with lease:` it is renewed beside the work, which may wait for a server for minutes."""

    def __init__(self, follow_id: uuid.UUID, own: uuid.UUID, *, pause_s: float = _PAUSE_S) -> None:
        self.own = own
        self._mine = GitFollow.objects.filter(pk=follow_id, lease=own)
        self._pause_s = pause_s
        self._moved_s = monotonic()
        self._ended = Event()
        self._thread = Thread(target=self._run, name="git-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def is_held(self) -> bool:
        """Renew it; False when it is somebody else's by now, or the settings were changed."""
        self._moved_s = monotonic()
        return self._renew()

    def _renew(self) -> bool:
        return bool(self._mine.update(lease_until=clock.now() + LEASE))

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._pause_s) and monotonic() - self._moved_s < LONGEST_PIECE_S:
                try:
                    self._renew()
                except (DatabaseError, InterfaceError) as error:
                    # The work finds it out by itself, or the next try succeeds.
                    log.warning("git_lease_not_renewed", error=str(error).strip())
                    connection.close()
        finally:
            connection.close()
