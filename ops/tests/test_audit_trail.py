"""Every kind leaves its whole trail: request, start, each effect before it happens, and the end; in one chain that holds."""

from __future__ import annotations

from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.audit.verify import verify
from nodes.hosts.drivers.base import Command
from nodes.hosts.ssh import CommandResult
from nodes.services.polling.targets import target_of
from ops.actions.base import LeaseLost
from ops.engine import work
from ops.engine.effects import AuditedHost
from ops.models import ApprovalRule, Operation
from ops.services import control
from ops.services.approve import decide
from ops.tests.onehost import Killed, host_of
from ops.tests.test_engine_kills import PARAMS, RESTARTS, Run
from ops.views.trail import words_of

pytestmark = pytest.mark.django_db


def trail(operation: Operation) -> list[str]:
    events = AuditEvent.objects.filter(subject=f"operation:{operation.pk}").order_by("seq")
    return [action.removeprefix("operations.") for action in events.values_list("action", flat=True)]


def effects() -> int:
    return AuditEvent.objects.filter(action="operations.effect").count()


@pytest.mark.parametrize("kind", PARAMS)
def test_every_kind_leaves_its_trail(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(kind, monkeypatch)
    counted: list[int] = []
    whole: Any = host_of(run.machine)

    class Counting(whole):  # type: ignore[misc]
        def run(self, command: Command) -> CommandResult:
            if command.changes:
                counted.append(effects())
            found: CommandResult = super().run(command)
            return found

    monkeypatch.setattr(work, "SshHost", Counting)
    run.rounds()
    in_cluster = [one for one in run.kube.api.done if not one.startswith("delete")] if run.kube else []
    run.check(kind)
    found = trail(run.operation)
    assert found[:2] == ["request", "start"]
    assert found[-1] == "end"
    assert set(found[2:-1]) <= {"effect"}
    # Each one was in the log before it reached the host.
    assert counted == list(range(1, len(counted) + 1))
    assert len(found) == 3 + len(counted) + len(in_cluster)
    if RESTARTS.get(kind):
        commands = AuditEvent.objects.filter(action="operations.effect").values_list("after", flat=True)
        assert any('"systemctl","reboot"' in after or "reboot" in after for after in commands)
    assert verify().good
    run.machine.loop.close()


def test_a_worker_that_dies_in_an_effect_leaves_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("pin", monkeypatch)
    dying: Any = host_of(run.machine)

    class Dies(dying):  # type: ignore[misc]
        def run(self, command: Command) -> CommandResult:
            if command.changes:
                raise Killed
            found: CommandResult = super().run(command)
            return found

    monkeypatch.setattr(work, "SshHost", Dies)
    run.rounds(most=3)
    assert trail(run.operation) == ["request", "start", "effect"]
    monkeypatch.setattr(work, "SshHost", host_of(run.machine))
    run.rounds()
    assert trail(run.operation) == ["request", "start", "effect", "effect", "end"]
    run.machine.loop.close()


def test_without_the_lease_nothing_is_done_and_nothing_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("pin", monkeypatch)
    host = host_of(run.machine)(target_of(run.node, None))
    late = AuditedHost(host, run.operation, run.operation.pk, "run")
    with pytest.raises(LeaseLost):
        late.run(Command(("sudo", "-n", "systemctl", "reboot")))
    assert run.machine.reboots == 0
    assert effects() == 0
    run.machine.loop.close()


def test_approval_cancel_and_decisions_are_events_too(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("reboot", monkeypatch)
    run.cancel()
    assert trail(run.operation) == ["request", "cancel"]
    ApprovalRule.objects.create(approvers=1, set_by="user:x")
    run.ask("reboot", soak_s=0)
    request = run.operation.request
    type(request).objects.filter(pk=request.pk).update(requester="user:anna")
    request.refresh_from_db()
    decide(request=request, grant=True, actor=SYSTEM, now=run.now)
    approved = AuditEvent.objects.get(action="operations.approve")
    assert approved.subject == f"request:{request.pk}"
    Operation.objects.filter(pk=run.operation.pk).update(state="needs_attention")
    run.operation.refresh_from_db()
    control.resolve(operation=run.operation, go_on=False, actor=SYSTEM, now=run.now, reason="looked at it")
    assert trail(run.operation) == ["request", "resolve"]
    assert verify().good
    run.machine.loop.close()


@pytest.mark.parametrize("action", ["confirm", "told", "reveal_config"])
def test_what_happens_beside_the_steps_of_a_replacement_is_in_words(action: str) -> None:
    assert "operations." not in words_of(f"operations.{action}")
