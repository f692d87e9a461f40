"""A host that loses its power, or restarts unasked, in the middle of an upgrade: what is said of it, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings

from fleetui.access.principals import SYSTEM
from nodes.hosts.errors import HostKeyMismatch
from nodes.models import HostKey, Node
from ops.models import LogLine, VersionHold
from ops.services import control
from ops.tests.test_engine_kills import Run
from ops.wording import result_sentence
from simfleet import transitions

pytestmark = pytest.mark.django_db


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    run = Run("upgrade", monkeypatch, soak_s=0)
    yield run
    run.machine.loop.close()


def test_what_had_begun_is_not_told_as_never_started(upgrade: Run) -> None:
    upgrade.machine.transaction_s = 4000
    while not [name for name in upgrade.machine.host.units if "stage" in name]:
        upgrade.rounds(1)
    upgrade.rounds(1)
    upgrade.machine.reboot(upgrade.machine.host)
    done = upgrade.rounds()
    assert (done.state, done.result) == ("failed", "boot_changed")
    told = result_sentence(done.result, done.result_params)
    assert "what had been started on it ended with that restart: sudo -n rpm-ostree" in told
    assert "nothing was started" not in told
    assert LogLine.objects.filter(operation=done, stream="note", text="command_started").count() == 1


def test_what_was_not_finished_at_the_shutdown_never_ran_and_is_not_held_back(upgrade: Run) -> None:
    host = upgrade.machine.host
    while not host.pending:
        upgrade.rounds(1)
    upgrade.rounds(1)
    transitions.drop_staged(host)
    upgrade.machine.reboot(host)
    done = upgrade.rounds()
    told = result_sentence(done.result, done.result_params)
    assert (done.state, done.result) == ("failed", "not_finished"), told
    target = done.memory["wanted"]["version"]
    assert told.startswith(f"The host booted {host.booted.version}, and has no {target} any more")
    assert not VersionHold.objects.exists()
    assert upgrade.machine.left_behind() == []


@pytest.mark.parametrize(
    ("kind", "asks"), [("upgrade", "Go on continues"), ("reboot", "Its restart had been asked for")]
)
def test_another_host_key_after_the_restart_is_told_at_once(
    kind: str, asks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = Run(kind, monkeypatch, soak_s=0)
    while upgrade.operation.step != "await_boot":
        upgrade.rounds(1)
    asked = upgrade.now

    def another_key(*_words: object) -> None:
        raise HostKeyMismatch("127.0.0.1", "SHA256:trusted", "SHA256:seen")

    with monkeypatch.context() as patch:
        patch.setattr(upgrade.machine, "call", another_key)
        found = upgrade.rounds()
    told = result_sentence(found.result, found.result_params)
    assert (found.state, found.result) == ("needs_attention", "contact_refused"), told
    assert "shows another host key than the trusted one" in told
    assert asks in told
    assert upgrade.now - asked < timedelta(minutes=1)
    control.resolve(operation=found, go_on=True, actor=SYSTEM, now=upgrade.now)
    assert upgrade.rounds().result == "healthy"
    assert upgrade.machine.reboots == 1
    upgrade.machine.loop.close()


def test_a_healthy_host_is_told_with_what_it_runs(upgrade: Run) -> None:
    done = upgrade.rounds()
    version = upgrade.machine.host.booted.version
    assert result_sentence(done.result, done.result_params) == f"Done: it runs {version}, and is healthy."
    watched = {**done.result_params, "seconds": 60}
    assert (
        result_sentence(done.result, watched) == f"Done: it runs {version}, and was healthy for 60 s after the restart."
    )


def test_a_key_that_was_accepted_of_a_host_that_stays_away_leaves_a_way_out(upgrade: Run) -> None:
    """While it restarts because of us no cancel and no deadline ends it, and until it was polled no step is run."""
    while upgrade.operation.step != "await_boot":
        upgrade.rounds(1)
    Node.objects.filter(pk=upgrade.node.pk).update(last_seen_at=upgrade.now - timedelta(minutes=5))
    HostKey.objects.filter(node=upgrade.node).update(decided_at=upgrade.now)
    upgrade.machine.is_down = True
    upgrade.rounds(1)
    upgrade.operation.refresh_from_db()
    assert (upgrade.operation.state, upgrade.operation.wait_reason) == ("waiting", "not_read_since_key")
    upgrade.now += timedelta(seconds=settings.OPERATION_RETURN_S + 60)
    found = upgrade.rounds()
    assert (found.state, found.result) == ("needs_attention", "did_not_return")
    control.resolve(operation=found, go_on=False, actor=SYSTEM, now=upgrade.now)


def test_a_plain_restart_is_read_again_too(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run("reboot", monkeypatch, soak_s=0)
    before = Node.objects.get(pk=run.node.pk).boot_id
    done = run.rounds()
    assert (done.state, done.result) == ("succeeded", "healthy")
    assert Node.objects.get(pk=run.node.pk).boot_id != before
    run.machine.loop.close()
