"""A worker is stopped in the middle of a call, past its lease, and wakes up when another one has done all the work."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import OperationalError

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict
from ops.engine import work
from ops.models import LogLine, Operation, StepRun
from ops.services import control
from ops.tests.onehost import Place
from ops.tests.test_engine_kills import PARAMS, RESTARTS, START, WHOLE, Run, places_of

pytestmark = pytest.mark.django_db
#: Past the lease of the settings.
STOPPED_S = 61


class StoppedRun(Run):
    """One worker is stopped in call number `at`, before it is carried out; another one takes over, to the end."""

    def __init__(self, kind: str, patch: pytest.MonkeyPatch, at: int | Place, *, cancels: bool) -> None:
        super().__init__(kind, patch)
        self.cancels, self.was_stopped = cancels, False
        self.log_at_end: int | None = None
        self.machine.ahead_s = lambda: (self.now - START).total_seconds()
        self.machine.while_stopped = self._others_work
        if isinstance(at, int):
            self.machine.stops_after = at
        else:
            self.machine.stops_at = at

    def _others_work(self) -> None:
        self.was_stopped = True
        self.now += timedelta(seconds=STOPPED_S)
        if self.cancels:
            with suppress(Conflict):
                control.cancel(operation=Operation.objects.get(pk=self.operation.pk), actor=SYSTEM, now=self.now)
        self.rounds()
        self.log_at_end = Operation.objects.get(pk=self.operation.pk).log_seq


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "refresh" else pytest.mark.one_database) for kind in WHOLE]
)
def test_what_a_late_worker_sends_does_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile somebody cancels at every second call. A wait that asks the same again is tried once."""
    for number, place in enumerate(places_of(kind, monkeypatch)):
        assert stopped_at(place, kind, monkeypatch, cancels=number % 2 == 1)


@pytest.mark.soak
@pytest.mark.parametrize("kind", PARAMS)
def test_what_a_late_worker_sends_does_nothing_cancelled_or_not(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stops = 0
    for call in itertools.count():
        was_stopped = [stopped_at(call, kind, monkeypatch, cancels=cancels) for cancels in (False, True)]
        stops += sum(was_stopped)
        if not any(was_stopped):
            break
    assert stops >= (1 if kind == "refresh" else 2)


def stopped_at(call: int | Place, kind: str, monkeypatch: pytest.MonkeyPatch, *, cancels: bool) -> bool:
    """Whether there was such a call to be stopped in."""
    run = StoppedRun(kind, monkeypatch, call, cancels=cancels)
    booted = run.machine.host.booted
    done = run.rounds()
    # The one that was stopped goes on with its unit on the host, if it could start one.
    for _moment in range(5):
        run.machine.goes_on()
    stand = (call, cancels, done.state, done.step, done.result, done.memory)
    assert done.state in (("cancelled", "succeeded") if cancels else ("succeeded",)), stand
    assert run.machine.reboots <= RESTARTS.get(kind, 0), stand
    assert done.state != "succeeded" or run.machine.reboots == RESTARTS.get(kind, 0), stand
    assert run.left_behind() == [], stand
    if done.state == "cancelled" and not run.machine.reboots:
        assert run.machine.host.deployments[0] is booted, stand
    assert done.lease_id is None
    assert not StepRun.objects.filter(operation=done, ended_at=None).exists()
    if run.was_stopped:
        assert done.log_seq == run.log_at_end == LogLine.objects.filter(operation=done).count(), stand
    run.machine.loop.close()
    return run.was_stopped


def test_a_database_that_is_away_for_a_moment_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of a stream are not thrown away for it; but nobody goes on past half of the lease that was written last."""
    now_s = 1000.0
    answers: Iterator[bool | Exception] = iter([True, OperationalError("locked"), True, OperationalError("gone")])

    def hold(*_lease: object) -> bool:
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    monkeypatch.setattr(work, "hold", hold)
    monkeypatch.setattr(work, "monotonic", lambda: now_s)
    meanwhile = work._Meanwhile(Operation(), uuid.uuid4(), timedelta(minutes=5))
    assert [meanwhile.holds() for _ in range(3)] == [True] * 3
    now_s += 151
    with pytest.raises(OperationalError):
        meanwhile.holds()
