"""Operations on a simulated Flatcar host without a network: two slots, update_engine and locksmithd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from nodes.services.releases import import_releases
from ops.models import Operation
from ops.tests.onehost import poll
from ops.tests.test_engine_kills import FLATCAR, Run
from ops.wording import check_sentence, result_sentence
from simfleet import transitions
from simfleet.model import Fault

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a run of a kind on a fresh host; closes its loop afterwards."""
    made: list[Run] = []

    def run(kind: str, strategy: str = "reboot", **params: Any) -> Run:
        made.append(Run(kind, monkeypatch, replace(FLATCAR, strategy=strategy), **params))
        return made[-1]

    yield run
    for one in made:
        one.machine.loop.close()


def said(operation: Operation) -> str:
    return result_sentence(operation.result, operation.result_params)


def order(run: Run) -> list[str]:
    """The versions in boot order."""
    return [row.version for row in run.machine.host.deployments]


def works(run: Run, until: Any) -> None:
    for _round in range(200):
        run.rounds(1)
        if until():
            return
    raise AssertionError((run.operation.state, run.operation.step, run.operation.memory))


def test_an_upgrade_restarts_once_although_locksmithd_would_restart_too(runs: Any) -> None:
    run = runs("upgrade", soak_s=0)
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("succeeded", "healthy", 1), said(done)
    assert run.machine.host.booted.version == run.machine.catalog.tip("flatcar/stable").version
    assert run.machine.left_behind() == []
    assert run.machine.ask("systemctl", "is-active", "locksmithd.service").status == 0


def test_without_a_hold_locksmithd_restarts_by_itself(runs: Any) -> None:
    """What the upgrade has to hold back: otherwise the test above would say nothing."""
    run = runs("reboot", soak_s=0)
    run.machine.ask("sudo -n update_engine_client -update")
    assert run.machine.reboots == 1


def test_locksmithd_stays_as_it_was(runs: Any) -> None:
    run = runs("upgrade", strategy="off", soak_s=0)
    assert run.rounds().state == "succeeded"
    assert run.machine.ask("systemctl", "is-active", "locksmithd.service").status == 3


def test_an_upgrade_to_a_given_version(runs: Any) -> None:
    run = runs("reboot", soak_s=0)
    run.rounds()
    older = run.machine.catalog.by_stream["flatcar/stable"][-3].version
    poll(run.node, run.machine, run.now)
    run.ask("upgrade", version=older, soak_s=0)
    done = run.rounds()
    assert (done.state, run.machine.host.booted.version) == ("succeeded", older), said(done)


def test_it_goes_nowhere_else_than_it_was_planned_for(runs: Any) -> None:
    """The update server of the host offers another release than the one that the plan named."""
    run = runs("reboot", soak_s=0)
    run.rounds()
    poll(run.node, run.machine, run.now)
    here = run.machine.host.booted.version
    releases = {"streams": ["stable"], "releases": [{"stream": "stable", "version": "9999.1.0"}]}
    import_releases(text=json.dumps(releases), os_family="flatcar", actor=SYSTEM, now=run.now)
    run.ask("upgrade", soak_s=0)
    assert run.operation.plan["target"]["version"] == "9999.1.0"
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "other_staged")
    assert (order(run)[0], run.machine.reboots) == (here, 1)
    assert run.machine.left_behind() == []


def test_nothing_that_is_offered_is_nothing_to_do(runs: Any) -> None:
    run = runs("upgrade", soak_s=0)
    run.rounds()
    poll(run.node, run.machine, run.now)
    run.ask("upgrade", soak_s=0)
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("succeeded", "there_already", 1)


def test_a_rollback_starts_the_other_slot(runs: Any) -> None:
    run = runs("rollback", soak_s=0)
    other = order(run)[1]
    assert run.operation.plan["target"]["version"] == "USR-B"
    assert run.operation.plan["commands"][1][:4] == ["sudo", "-n", "cgpt", "prioritize"]
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("succeeded", "healthy", 1)
    assert run.machine.host.booted.version == other


def test_a_slot_that_does_not_start_is_recognised_by_its_marks(runs: Any) -> None:
    run = runs("upgrade", soak_s=0)
    run.machine.host.faults[Fault.FALLBACK.value] = 1.0
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "fell_back")
    assert "USR-B was tried and did not start" in said(done)
    assert run.machine.left_behind() == []


def test_a_host_that_is_not_healthy_goes_back_to_its_slot(runs: Any) -> None:
    run = runs("upgrade", soak_s=0, roll_back=True)
    before = order(run)[0]
    works(run, lambda: run.machine.reboots)
    run.machine.host.faults[Fault.FAILED_UNIT.value] = 1.0
    done = run.rounds()
    assert (done.state, done.result, run.machine.reboots) == ("failed", "went_back", 2)
    assert run.machine.host.booted.version == before


@pytest.mark.parametrize("is_staged", [False, True])
def test_a_cancel_gives_the_first_place_back_to_what_runs(runs: Any, is_staged: bool) -> None:
    run = runs("upgrade", soak_s=0)
    here = order(run)[0]
    if not is_staged:
        run.machine.transaction_s = 5.0
    works(run, lambda: run.machine.host.pending if is_staged else run.machine.host.transaction)
    run.cancel()
    done = run.rounds()
    assert (done.state, run.machine.reboots) == ("cancelled", 0)
    assert run.machine.host.transaction is None
    assert run.machine.left_behind() == []
    # Also the boot loader, which goes by the GPT and not by update_engine.
    transitions.boot(run.machine.host, run.machine.catalog, run.machine.now())
    assert run.machine.host.booted.version == here


def test_a_download_is_cancelled_and_a_staged_update_dropped_as_kinds_of_their_own(runs: Any) -> None:
    run = runs("cancel_transaction")
    run.machine.transaction_s = 60.0
    run.machine.ask("sudo -n update_engine_client -check_for_update")
    assert run.machine.host.transaction is not None
    assert run.rounds().state == "succeeded"
    assert run.machine.host.transaction is None
    here = order(run)[0]
    transitions.stage(run.machine.host, run.machine.catalog.tip("flatcar/stable"))
    poll(run.node, run.machine, run.now)
    run.ask("cleanup_pending")
    assert run.rounds().state == "succeeded"
    assert (order(run)[0], run.machine.host.booted.staged) == (here, False)


def test_a_check_stages_so_it_takes_the_exclusive_place_and_says_so(runs: Any) -> None:
    run = runs("reboot", soak_s=0, strategy="etcd-lock")
    run.rounds()
    poll(run.node, run.machine, run.now)
    (plan,) = run.plan("check")
    assert "also fetches and stages" in " ".join(check_sentence(one.code, one.params) for one in plan.checks)
    run.machine.transaction_s = 0.3
    run.ask("check")
    assert run.operation.changes
    assert run.plan("reboot")[0].refused == "busy"
    done = run.rounds()
    assert said(done) == f"An update to {run.machine.catalog.tip('flatcar/stable').version} is available."


def test_a_check_that_finds_nothing_says_so(runs: Any) -> None:
    run = runs("upgrade", soak_s=0)
    run.rounds()
    poll(run.node, run.machine, run.now)
    run.ask("check")
    assert said(run.rounds()).startswith("No update: nothing newer than")


def test_an_upgrade_ends_when_its_boot_is_marked_as_good(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "MARKED_AFTER_S", 60.0)
    run = runs("upgrade", soak_s=0)
    works(run, lambda: run.operation.wait_reason == "confirms")
    assert run.rounds().state == "succeeded"
    assert run.machine.host.uptime_s(run.machine.now()) > 60


def test_a_boot_that_is_never_marked_as_good_is_no_success(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "MARKED_AFTER_S", 86_400.0)
    run = runs("upgrade", soak_s=0)
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "not_confirmed")


def test_what_flatcar_has_not_is_refused_with_the_reason(runs: Any) -> None:
    run = runs("cancel_transaction")
    run.rounds()
    (plan,) = run.plan("kargs", append=["quiet"])
    assert plan.refused == "not_supported"
    assert "grub.cfg" in plan.params["said"]


def test_a_reboot_before_that_is_stopped_by_its_first_check(runs: Any) -> None:
    run = runs("reboot", soak_s=0)
    transitions.stage(run.machine.host, run.machine.catalog.tip("flatcar/stable"))
    transitions.boot(run.machine.host, run.machine.catalog, run.machine.now() + 1000)
    poll(run.node, run.machine, run.now)
    Operation.objects.all().delete()
    run.ask("reboot", soak_s=0)
    done = run.rounds()
    assert (done.state, done.result) == ("failed", "preflight")
    assert "would go back to the other slot" in said(done)
