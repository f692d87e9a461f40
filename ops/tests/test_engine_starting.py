"""A host that answers again while its services are still starting: its update agent is among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.hosts.facts import Facts, Measurement
from ops.engine import work
from ops.tests.onehost import host_of
from ops.tests.test_engine_kills import Run
from simfleet import transitions

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


class SlowStart:
    """While `is_starting`, the host of a run says so after its restart."""

    def __init__(self, run: Run, patch: pytest.MonkeyPatch) -> None:
        self.is_starting = True
        told, plain = self, host_of(run.machine)

        class Host(plain):  # type: ignore[valid-type, misc]
            def look(self) -> tuple[Facts, Measurement]:
                facts, measured = super().look()
                if told.is_starting and run.machine.reboots:
                    facts = replace(facts, health=replace(facts.health, system_state="starting"))
                return facts, measured

        patch.setattr(work, "SshHost", Host)


def _until_settling(run: Run) -> None:
    for _round in range(200):
        run.rounds(1)
        if run.operation.wait_reason == "settles":
            return
    raise AssertionError((run.operation.state, run.operation.step, run.operation.memory))


@pytest.mark.parametrize("kind", ["upgrade", "rollback", "kargs"])
def test_the_update_agent_is_held_before_the_services_are_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(kind, monkeypatch)
    slow = SlowStart(run, monkeypatch)
    _until_settling(run)
    held = [path for path in run.machine.host.written if path.startswith("/run/zincati/config.d/")]
    assert held, "the agent may stage and restart on its own until the last service is up"
    assert run.operation.step == "settle"
    slow.is_starting = False
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("succeeded", "healthy", 1)
    assert run.machine.left_behind() == []
    run.machine.loop.close()


def test_a_host_that_restarts_while_it_starts_is_held_again_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a host that tries a version some times and then gives it up."""
    run = Run("upgrade", monkeypatch)
    before, slow = run.machine.host.booted.version, SlowStart(run, monkeypatch)
    _until_settling(run)
    host = run.machine.host
    host.deployments.reverse()
    transitions.boot(host, run.machine.catalog, run.machine.now())
    assert not run.machine.left_behind()
    for _round in range(8):
        run.rounds(1)
    assert any(path.startswith("/run/zincati/config.d/") for path in host.written)
    slow.is_starting = False
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "fell_back")
    assert done.result_params["booted"] == before
    assert run.machine.left_behind() == []
    run.machine.loop.close()
