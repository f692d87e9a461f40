"""The audit log hears of every effect on a host before the host does: in the transaction that renews the lease for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction

from fleetui.audit.log import Entry, append
from fleetui.core import clock
from nodes.hosts.drivers.base import Command, unguarded
from nodes.hosts.facts import Facts, Measurement
from nodes.hosts.look import Look
from nodes.hosts.ssh import CommandResult
from ops.actions.base import Host, LeaseLost
from ops.backups.job import Talk
from ops.engine.claim import hold
from ops.engine.log import masked
from ops.models import Operation

_SHOWN_CHARS = 500


class AuditedHost:
    """The host of one step; what changes it is recorded first, and is not done when the lease was lost meanwhile.

    The event says what was about to be run. A worker that dies right after it leaves an event without an effect, and
    never an effect without its event.
    """

    def __init__(
        self,
        host: Host,
        row: Operation,
        lease: uuid.UUID,
        step: str,
        span: timedelta | None = None,
        *,
        on: str = "",
    ) -> None:
        """`on` names the host where it is not that of the operation."""
        self._host, self._row, self._lease, self._step, self._span = host, row, lease, step, span
        self._on = {"on": on} if on else {}

    def look(self) -> tuple[Facts, Measurement]:
        return self._host.look()

    def read(self) -> Look:
        return self._host.read()

    def run(self, command: Command) -> CommandResult:
        if command.changes or command.is_told:
            self._record(command)
        return self._host.run(command)

    @contextmanager
    def stream(self, command: Command) -> Iterator[Talk]:
        """What leaves a host, or comes to it, is recorded as what changes it is."""
        self._record(command)
        with self._host.stream(command) as talk:
            yield talk

    def _record(self, command: Command) -> None:
        row = self._row
        words = [masked(word)[:_SHOWN_CHARS] for word in unguarded(command.argv)]
        with transaction.atomic():
            if not hold(row.pk, self._lease, clock.now(), self._span):
                raise LeaseLost
            append(
                [
                    Entry(
                        actor=row.request.requester,
                        action="operations.effect" if command.changes else "operations.health_check",
                        subject=f"operation:{row.pk}",
                        after={
                            "kind": row.kind,
                            "node": row.node_name,
                            **self._on,
                            "step": self._step,
                            "command": words,
                        },
                        reason=row.request.reason,
                    )
                ]
            )
