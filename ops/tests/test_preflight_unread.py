"""A host that answers, but does not say in time what it runs: that is no change of what it runs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from nodes.hosts.facts import Containers, Unread
from nodes.hosts.look import Look
from ops import actions
from ops.outcomes import Fail
from ops.tests.onehost import InProcessHost
from ops.tests.test_engine_kills import Run
from ops.wording import result_sentence
from simfleet.model import Fault

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


def test_what_could_not_be_read_once_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("pin", monkeypatch)
    run.machine.host.faults[Fault.GARBAGE.value] = 1.0
    while run.operation.wait_reason != "again":
        run.rounds(1)
        assert run.operation.ended_at is None, (run.operation.result, run.operation.result_params)
    run.machine.host.faults.clear()
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", "command_done")
    run.machine.loop.close()


def test_what_cannot_be_read_is_not_told_as_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("upgrade", monkeypatch)
    run.machine.host.faults[Fault.GARBAGE.value] = 1.0
    done = run.rounds()
    said = result_sentence(done.result, done.result_params)
    assert (done.state, done.result) == ("failed", "preflight")
    assert said.count("could not be read") == 1
    assert "changed" not in said.removeprefix("Nothing was changed.")
    run.machine.loop.close()


@pytest.mark.parametrize("step", ["stage", "settle", "tidy"])
def test_a_host_that_does_not_say_it_in_the_middle_is_asked_again(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not taken for one that staged nothing, that fell back, or that has nothing of ours any more."""
    run = Run("upgrade", monkeypatch)
    host, booted = run.machine.host, run.machine.host.booted
    while not (run.operation.step == "reboot" if step == "tidy" else run.operation.step == step):
        run.rounds(1)
    if step == "tidy":
        run.cancel()
    if step == "stage":
        while not any(name.startswith("fleetui-") for name in host.units):
            run.rounds(1)
    host.faults[Fault.GARBAGE.value] = 1.0
    run.rounds(10)
    assert run.operation.ended_at is None, (run.operation.result, run.operation.result_params)
    host.faults.clear()
    done = run.rounds()
    assert done.state == ("cancelled" if step == "tidy" else "succeeded"), (done.result, done.result_params)
    assert not [one for one in host.deployments if one.staged]
    assert (host.booted is booted) == (step == "tidy")
    assert run.machine.left_behind() == []
    run.machine.loop.close()


@pytest.mark.parametrize(
    ("kind", "params", "result"),
    [
        (
            "container_update",
            {"unit": "caddy.service", "image": "docker.io/library/caddy:2.11", "soak_s": 0},
            "image_runs",
        ),
        ("container_rollback", {"unit": "caddy.service", "soak_s": 0}, "image_runs"),
        ("container_restart", {"container": "caddy"}, "container_restart_done"),
        ("container_logs", {"container": "caddy", "seconds": 0}, "logs_read"),
        ("image_prune", {}, "images_removed"),
    ],
)
@pytest.mark.parametrize("look", range(3))
def test_containers_that_were_not_read_are_not_taken_for_none(
    kind: str, params: dict[str, Any], result: str, look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy host lacks parts of any one of its looks: what runs has to be kept and known all the same."""
    run = Run(kind, monkeypatch, **params)
    looks = iter(range(100))
    whole = InProcessHost.read

    def read(host: InProcessHost) -> Look:
        found = whole(host)
        if next(looks) != look:
            return found
        there = tuple(replace(one, containers=()) for one in found.facts.containers.runtimes)
        unread = (Unread("podman_units", "timeout", "late"), Unread("podman_root_ps", "timeout", "late"))
        return replace(found, facts=replace(found.facts, containers=Containers(there, ()), unread=unread))

    monkeypatch.setattr(InProcessHost, "read", read)
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", result), done.result_params
    run.machine.loop.close()


def test_unused_images_that_the_plan_does_not_name_are_not_told_as_used() -> None:
    """The plan of a busy host names nothing, since it did not say what it runs."""
    image = {"id": "1", "names": ["quay.io/a/a:1"], "digests": []}
    facts = {"containers": {"units": [], "runtimes": [{"name": "podman", "containers": [], "images": [image]}]}}
    plan: dict[str, Any] = {"target": {"images": []}}
    action = actions.get("image_prune")
    (_there, check) = action.checks(facts, {}, {}, plan)
    assert (check.code, check.level) == ("images_unplanned", "warn")
    host: Any = SimpleNamespace(look=lambda: (SimpleNamespace(as_json=lambda: facts), None))
    ctx: Any = SimpleNamespace(memory={}, plan=plan, host=host)
    (run,) = (step.run for step in action.steps if step.name == "remove_images")
    assert run(ctx) == Fail("images_unplanned", {"count": 1})
