"""The engine under kills, lost, late and repeated messages, cancels and a host that goes away: what must never be."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import Conflict
from nodes.models import Node
from ops.engine import claim_due, run_step, start_queued, work
from ops.models import LogLine, Operation
from ops.services import control
from ops.services.request import request_operations
from ops.states import ACTIVE, State
from ops.tests.onehost import Killed, Machine, host_of, make_hosted_node, poll

pytestmark = pytest.mark.one_database

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KINDS = ("upgrade", "reboot", "rollback", "pin", "cleanup_pending", "zincati_pause")


#: Calls until the worker dies (mostly it does not), whether the call it dies in is carried out, lost, repeated.
ROUND = st.tuples(
    st.one_of(st.none(), st.none(), st.integers(0, 4)),
    st.booleans(),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
)


class Engine(RuleBasedStateMachine):
    """One node, operations one after another, and a worker that may die at every call to the host."""

    patch: pytest.MonkeyPatch

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.patch.setattr(clock, "now", lambda: self.now)
        self.machine = Machine()
        self.patch.setattr(work, "SshHost", host_of(self.machine))
        self.sent: list[tuple[uuid.UUID, uuid.UUID]] = []
        self.reboots_before = 0
        self.kind = ""

    @initialize()
    def a_node(self) -> None:
        Operation.objects.all().delete()
        Node.objects.all().delete()
        self.node = make_hosted_node(self.machine, self.now)

    def active(self) -> Operation | None:
        found: Operation | None = Operation.objects.active().first()
        return found

    @precondition(lambda self: self.active() is None and not self.machine.is_down)
    @rule(kind=st.sampled_from(KINDS), roll_back=st.booleans())
    def asked(self, kind: str, roll_back: bool) -> None:
        poll(self.node, self.machine, self.now)
        params: dict[str, Any] = {"soak_s": 0} if kind in ("upgrade", "reboot", "rollback") else {}
        if kind == "upgrade":
            params["roll_back"] = roll_back
        if kind == "pin":
            params["deployment"] = "booted"
        self.reboots_before, self.kind = self.machine.reboots, kind
        request_operations(nodes=[self.node], kind=kind, params=params, actor=SYSTEM, now=self.now)

    @rule(rounds=st.lists(ROUND, min_size=1, max_size=8))
    def worker_works(self, rounds: list[tuple[int | None, bool, bool, bool]]) -> None:
        """Some rounds in a row: in each the worker may die in a call, or its message be lost or repeated."""
        for dies_after, before_effect, lost, again in rounds:
            self.now += timedelta(seconds=4)
            self.machine.goes_on()
            start_queued(self.now)
            claimed = claim_due(self.now)
            self.sent += claimed
            for operation, lease in [] if lost else claimed:
                self.step(operation, lease, dies_after, before_effect)
                if again:
                    self.step(operation, lease, None, before_effect)

    def step(self, operation: uuid.UUID, lease: uuid.UUID, dies_after: int | None, before_effect: bool) -> None:
        self.machine.dies_after, self.machine.dies_before_effect = dies_after, before_effect
        with suppress(Killed):
            run_step(operation, lease, self.now)
        self.machine.dies_after = None

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data())
    def late_message(self, data: st.DataObject) -> None:
        operation, lease = data.draw(st.sampled_from(self.sent[-8:]))
        self.step(operation, lease, None, False)

    @rule(seconds=st.sampled_from([1, 4, 15, 61, 300]))
    def time_goes_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.machine.goes_on()

    @rule(is_down=st.booleans())
    def host_goes(self, is_down: bool) -> None:
        self.machine.is_down = is_down

    @rule()
    def cancelled(self) -> None:
        operation = self.active()
        if operation is not None:
            with suppress(Conflict):
                control.cancel(operation=operation, actor=SYSTEM, now=self.now)

    @invariant()
    def no_host_is_restarted_twice_for_one_operation(self) -> None:
        most = {"reboot": 1, "rollback": 1, "upgrade": 2}.get(self.kind, 0)
        assert self.machine.reboots - self.reboots_before <= most

    @invariant()
    def at_most_one_change_is_active(self) -> None:
        assert Operation.objects.active().count() <= 1

    def teardown(self) -> None:
        """Whatever happened: with the host there and a worker alive, everything ends and nothing is left."""
        if not hasattr(self, "node"):
            return
        self.machine.is_down = False
        for _round in range(400):
            if not Operation.objects.active().exclude(state=State.NEEDS_ATTENTION).exists():
                break
            self.now += timedelta(seconds=5)
            self.machine.goes_on(0.005)
            start_queued(self.now)
            for operation, lease in claim_due(self.now):
                run_step(operation, lease, self.now)
        stuck = [
            (one.kind, one.state, one.step, one.wait_reason, one.wait_params)
            for one in Operation.objects.filter(state__in=sorted(ACTIVE))
            if one.state != State.NEEDS_ATTENTION
        ]
        assert not stuck
        if not Operation.objects.filter(state=State.NEEDS_ATTENTION).exists():
            paused = Operation.objects.filter(kind="zincati_pause", state=State.SUCCEEDED).exists()
            assert paused or self.machine.left_behind() == []
            self.no_host_is_restarted_twice_for_one_operation()
        for one in Operation.objects.all():
            numbers = list(LogLine.objects.filter(operation=one).order_by("seq").values_list("seq", flat=True))
            assert numbers == list(range(1, one.log_seq + 1))
        self.machine.loop.close()


@pytest.mark.django_db
@pytest.mark.parametrize("examples", [8, pytest.param(100, marks=pytest.mark.soak)])
def test_nothing_that_happens_to_workers_harms_a_host(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = type("PatchedEngine", (Engine,), {"patch": monkeypatch})
    limits = settings(
        max_examples=examples, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=limits)
