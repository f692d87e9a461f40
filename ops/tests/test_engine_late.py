"""A worker is stopped in the middle of a call, past its lease, and wakes up when another one has done all the work."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import timedelta

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict
from ops.models import LogLine, Operation, StepRun
from ops.services import control
from ops.tests.test_engine_kills import BOTH, PARAMS, RESTARTS, START, Run

pytestmark = pytest.mark.django_db
#: Past the lease of the settings.
STOPPED_S = 61


class StoppedRun(Run):
    """One worker is stopped in call number `at`, before it is carried out; another one takes over, to the end."""

    def __init__(self, kind: str, patch: pytest.MonkeyPatch, at: int, *, cancels: bool) -> None:
        super().__init__(kind, patch)
        self.cancels, self.was_stopped = cancels, False
        self.log_at_end: int | None = None
        self.machine.ahead_s = lambda: (self.now - START).total_seconds()
        self.machine.stops_after, self.machine.while_stopped = at, self._others_work

    def _others_work(self) -> None:
        self.was_stopped = True
        self.now += timedelta(seconds=STOPPED_S)
        if self.cancels:
            with suppress(Conflict):
                control.cancel(operation=Operation.objects.get(pk=self.operation.pk), actor=SYSTEM, now=self.now)
        self.rounds()
        self.log_at_end = Operation.objects.get(pk=self.operation.pk).log_seq


@pytest.mark.parametrize("cancels", [False, True])
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in BOTH else pytest.mark.one_database) for kind in PARAMS]
)
def test_what_a_late_worker_sends_does_nothing(kind: str, cancels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stops = 0
    for call in itertools.count():
        run = StoppedRun(kind, monkeypatch, call, cancels=cancels)
        booted = run.machine.host.booted
        done = run.rounds()
        # The one that was stopped goes on with its unit on the host, if it could start one.
        for _moment in range(5):
            run.machine.goes_on()
        stand = (call, done.state, done.step, done.result, done.memory)
        assert done.state in (("cancelled", "succeeded") if cancels else ("succeeded",)), stand
        assert run.machine.reboots <= RESTARTS.get(kind, 0), stand
        assert done.state != "succeeded" or run.machine.reboots == RESTARTS.get(kind, 0), stand
        assert run.left_behind() == [], stand
        if done.state == "cancelled" and not run.machine.reboots:
            assert run.machine.host.deployments[0] is booted, stand
        assert done.lease_id is None
        assert not StepRun.objects.filter(operation=done, ended_at=None).exists()
        if run.was_stopped:
            stops += 1
            assert done.log_seq == run.log_at_end == LogLine.objects.filter(operation=done).count(), stand
        run.machine.loop.close()
        if not run.was_stopped:
            break
    assert stops >= (1 if kind == "refresh" else 2)
