"""Operations that end early: what was begun on the host is taken back, also when nobody heard that it began."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict
from nodes.hosts.drivers.base import Command
from nodes.hosts.errors import ConnectionRefused
from nodes.hosts.ssh import CommandResult
from nodes.models import HostKey, Node
from ops.engine.start import start_queued
from ops.models import Operation
from ops.services import control
from ops.tests.onehost import InProcessHost, Killed
from ops.tests.test_engine_kills import Run, places_of
from ops.wording import result_sentence, wait_sentence

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def _lost() -> BaseException:
    return ConnectionRefused("127.0.0.1", 22)


#: In every fourth call, and in each by `make soak`.
TRIED = [
    *(
        pytest.param(
            kind, breaks_with, every, id=f"{kind}-{name}-{every}", marks=[pytest.mark.soak] if every == 1 else []
        )
        for kind, name, breaks_with in (
            ("upgrade", "worker", Killed),
            ("upgrade", "connection", _lost),
            ("rollback", "worker", Killed),
            ("rollback", "connection", _lost),
        )
        for every in (1, 4)
    ),
]


@pytest.mark.parametrize(("kind", "breaks_with", "every"), TRIED)
def test_a_cancel_takes_back_what_began_before_the_end_of_a_call(
    kind: str, breaks_with: Callable[[], BaseException], every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = 0
    for place in places_of(kind, monkeypatch)[::every]:
        run = Run(kind, monkeypatch)
        machine = run.machine
        booted = machine.host.booted
        machine.breaks_with, machine.dies_at = breaks_with, place
        while not machine.deaths and run.operation.ended_at is None:
            run.rounds(1)
        assert machine.deaths == 1, place
        with suppress(Conflict):
            control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
        done = run.rounds()
        stand = (place, done.state, done.step, done.result, done.memory)
        assert done.state in ("cancelled", "succeeded"), stand
        assert machine.left_behind() == [], stand
        if machine.reboots == 0:
            assert done.state == "cancelled", stand
            assert machine.host.deployments[0] is booted, stand
            cancelled += 1
        machine.loop.close()
    assert cancelled >= 3 / every


@pytest.mark.parametrize("is_down", [False, True])
def test_a_node_that_is_retired_meanwhile_gets_back_what_was_begun_if_it_answers(
    is_down: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("upgrade", monkeypatch)
    _until(run, lambda one: any(name.startswith("fleetui-") for name in run.machine.host.units))
    run.node.lifecycle = "retired"
    run.node.save(update_fields=["lifecycle"])
    run.machine.is_down = is_down
    done = run.rounds()
    run.machine.is_down = False
    assert (done.state, done.result, run.machine.reboots) == ("void", "void", 0)
    assert "retired" in result_sentence(done.result, done.result_params)
    if not is_down:
        assert run.machine.left_behind() == []
        assert run.machine.host.deployments[0] is run.machine.host.booted
    run.machine.loop.close()


@pytest.mark.parametrize("how", ["deleted", "retired and away"])
def test_what_nobody_can_take_back_any_more_is_named(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _until(run, lambda one: bool(one.memory.get("hold") and one.memory.get("staged")))
    if how == "deleted":
        run.node.delete()
    else:
        run.machine.is_down = True
        Node.objects.update(lifecycle="retired")
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("void", "void", 0)
    assert result_sentence(done.result, done.result_params).endswith(
        "This may still be on the host: a staged deployment, the hold on the update agent."
    )
    run.machine.loop.close()


def test_what_was_not_begun_leaves_nothing_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    run.node.delete()
    start_queued(run.now)
    done = run.rounds()
    assert done.state == "void"
    assert result_sentence(done.result, done.result_params).endswith("Nothing more is done to it.")
    run.machine.loop.close()


def test_nothing_is_done_to_what_may_be_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another key was trusted since the host was read last: its next poll says whether the machine is another one."""
    run = Run("reboot", monkeypatch)
    Node.objects.update(last_seen_at=run.now - timedelta(minutes=1))
    HostKey.objects.update(decided_at=run.now)
    run.rounds(5)
    assert (run.operation.state, run.operation.wait_reason, run.machine.reboots) == ("waiting", "not_read_since_key", 0)
    assert "next poll" in wait_sentence(run.operation.wait_reason, run.operation.wait_params)
    Node.objects.update(last_seen_at=run.now)  # by a poll that found the same machine
    assert run.rounds().state == "succeeded"
    run.machine.loop.close()


def test_a_deadline_is_kept_while_a_host_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("reboot", monkeypatch)
    run.machine.is_down = True
    until = run.now + timedelta(seconds=99)
    Operation.objects.update(deadline=until)
    done = run.rounds()
    assert (done.state, done.result) == ("timed_out", "deadline")
    assert done.ended_at is not None
    assert until <= done.ended_at < until + timedelta(seconds=5)
    run.machine.loop.close()


def test_what_was_staged_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging is about to begin, and no more than that, when the operation is cancelled."""
    run = Run("upgrade", monkeypatch)
    run.machine.ask("sudo", "-n", "rpm-ostree", "upgrade")
    for _round in range(20):
        run.machine.goes_on()
    (before,) = [row for row in run.machine.host.deployments if row is not run.machine.host.booted][:1]
    while not run.operation.memory.get("units") and run.operation.ended_at is None:
        run.rounds(1)
    if run.operation.ended_at is None:
        control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
        run.rounds()
    assert before in run.machine.host.deployments
    run.machine.loop.close()


def test_what_was_never_staged_is_not_said_to_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _until(run, lambda one: one.memory.get("staged") == "any")
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    done = run.rounds()
    assert done.state == "cancelled"
    assert done.result_params["taken_back"] == ["hold"]
    assert "staged" not in result_sentence(done.result, done.result_params)
    run.machine.loop.close()


def test_what_was_staged_is_said_to_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _until(run, lambda one: one.memory.get("staged") not in (None, "", "any"))
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    assert run.rounds().result_params["taken_back"] == ["staged", "hold"]
    run.machine.loop.close()


def _refusing_resume(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = InProcessHost.run

    def refuse(host: InProcessHost, command: Command) -> CommandResult:
        is_removal = any("rm " in word or word == "rm" for word in command.argv)
        return CommandResult(1, b"", b"sudo: a password is required", 0.0) if is_removal else whole(host, command)

    monkeypatch.setattr(InProcessHost, "run", refuse)


def test_what_cannot_be_taken_back_is_a_persons_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _refusing_resume(run, monkeypatch)
    run.operation = _until(run, lambda one: bool(one.memory.get("hold")))
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    done = run.rounds(1000)
    assert (done.state, done.result) == ("needs_attention", "not_taken_back")
    assert "hold" in result_sentence(done.result, done.result_params)
    monkeypatch.undo()
    run.machine.loop.close()


def _until(run: Run, reached: Callable[[Operation], bool]) -> Operation:
    for _round in range(200):
        run.rounds(1)
        if reached(run.operation):
            return run.operation
    raise AssertionError((run.operation.state, run.operation.step, run.operation.memory))


def test_the_time_to_go_down_begins_when_the_restart_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that was away for minutes before it could be asked is not given up in the moment in which it goes down."""
    run = Run("reboot", monkeypatch)
    _until(run, lambda one: bool(one.memory.get("reboot_at")))
    run.machine.is_down = True
    run.rounds(5)
    run.now += timedelta(minutes=6)
    run.machine.is_down = False
    monkeypatch.setattr(run.machine, "reboot", lambda _host: None)
    _until(run, lambda one: one.step == "await_boot")
    for _round in range(5):
        run.rounds(1)
    assert (run.operation.state, run.operation.wait_reason) == ("waiting", "goes_down")
    run.machine.loop.close()


def test_what_a_person_ends_is_tidied_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _until(run, lambda one: bool(one.memory.get("wanted")))
    Operation.objects.filter(pk=run.operation.pk).update(
        state="needs_attention", result="fault", result_params={"error": "KeyError"}, due_at=None, lease_id=None
    )
    control.resolve(operation=run.operation, go_on=False, actor=SYSTEM, now=run.now, reason="by hand")
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("failed", "ended_by_person", 0)
    assert run.machine.left_behind() == []
    assert run.machine.host.deployments[0] is run.machine.host.booted
    said = result_sentence(done.result, done.result_params)
    assert "taken back" in said
    assert "KeyError" in said
    assert done.ended_at is not None
    run.machine.loop.close()


def test_what_cannot_be_taken_back_when_a_person_ends_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    _until(run, lambda one: bool(one.memory.get("hold")))
    run.machine.is_down = True
    Operation.objects.filter(pk=run.operation.pk).update(state="needs_attention", result="did_not_return", due_at=None)
    control.resolve(operation=run.operation, go_on=False, actor=SYSTEM, now=run.now, reason="the host is dead")
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "ended_by_person")
    said = result_sentence(done.result, done.result_params)
    assert "the host is dead. This may still be on the host: the hold on the update agent" in said
    run.machine.loop.close()
