"""FleetUI itself as the source of a step: a backup of it is recorded first, and ends when nobody wants it any more."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from fleetui.audit.log import Entry, append
from fleetui.core import clock
from nodes.hosts.ssh import Interrupted
from ops.actions.base import LeaseLost
from ops.backups.installation import SUBJECT, registered
from ops.backups.job import SourceFailed, Stream
from ops.backups.scratch import ScratchFailed, folder, sweep
from ops.engine.claim import STREAM_LEASE, hold
from ops.models import Operation
from ops.services.backups.room import scratch


class StepOwnState:
    """Implements ops.actions.base.OwnState for one operation; costs nothing until it is asked."""

    def __init__(self, row: Operation, lease: uuid.UUID, *, is_unwanted: Callable[[], bool], until: datetime) -> None:
        self._row, self._lease, self._is_unwanted, self._until = row, lease, is_unwanted, until

    @contextmanager
    def stream(self, renew: Callable[[], None]) -> Iterator[Stream]:
        row = self._row
        with transaction.atomic():
            if not hold(row.pk, self._lease, clock.now(), STREAM_LEASE):
                raise LeaseLost
            after = {"operation": str(row.pk)}
            append(
                [Entry(row.request.requester, "installation.backup", SUBJECT, after=after, reason=row.request.reason)]
            )

        def going_on() -> None:
            renew()
            if self._is_unwanted() or clock.now() >= self._until:
                raise Interrupted

        try:
            with folder(scratch()) as place, registered().stream(place, going_on) as talk:
                yield talk
        except ScratchFailed as error:
            raise SourceFailed(f"own_{error.code}", **error.params) from error

    def sweep(self) -> None:
        sweep(scratch())
