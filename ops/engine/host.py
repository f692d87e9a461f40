"""The host of one step, over SSH: opened when the step first needs it, closed at its end, bounded by one deadline."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from fleetui.core import clock
from nodes.hosts import ssh
from nodes.hosts.drivers.base import Command
from nodes.hosts.facts import Facts, Measurement
from nodes.hosts.look import Look, look
from nodes.services.polling.contact import Target, connected
from ops.backups.job import Talk

#: No step holds a worker for longer.
STEP_TIMEOUT_S = 30.0


class Meanwhile(Protocol):
    """Both are asked again and again while a command goes on: whether nobody wants its answer any more."""

    def is_unwanted(self) -> bool: ...

    def heard_to_its_end(self) -> bool: ...


class SshHost:
    """Implements ops.actions.base.Host. Raises nodes.hosts.errors.HostError, and ssh.Interrupted.

    `meanwhile` ends what only reads; what changes the host is always heard to its end. `until` bounds what streams.
    """

    def __init__(self, target: Target, meanwhile: Meanwhile, *, until: datetime) -> None:
        self._target, self._until = target, until
        self._deadline = ssh.Deadline.after(STEP_TIMEOUT_S, meanwhile.heard_to_its_end)
        self._reads = replace(self._deadline, is_unwanted=meanwhile.is_unwanted)
        self._open: ssh.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.close()

    def look(self) -> tuple[Facts, Measurement]:
        found = self.read()
        return found.facts, found.measurement

    def read(self) -> Look:
        target = self._target
        return look(
            self._connection(),
            family=target.family,
            given=target.family_given,
            now=clock.now(),
            deadline=self._reads,
        )

    def run(self, command: Command) -> ssh.CommandResult:
        return self._connection().run(
            command.argv,
            stdin=command.stdin,
            deadline=self._deadline if command.changes else self._reads,
            expect_disconnect=command.expects_disconnect,
        )

    @contextmanager
    def stream(self, command: Command) -> Iterator[Talk]:
        """Over a connection of its own, for as long as the operation may go on."""
        remaining_s = (self._until - clock.now()).total_seconds()
        deadline = ssh.Deadline.after(max(remaining_s, STEP_TIMEOUT_S), self._reads.is_unwanted)
        with (
            connected(self._target, deadline=ssh.Deadline.after(STEP_TIMEOUT_S)) as connection,
            connection.exchange(shlex.join(command.argv), deadline=deadline) as talk,
        ):
            yield talk

    def _connection(self) -> ssh.Connection:
        if self._open is None:
            self._open = connected(self._target, deadline=self._deadline)
            # A sign-in may take as long as all the rest.
            self._deadline.check("command", self._target.endpoint.address)
        return self._open
