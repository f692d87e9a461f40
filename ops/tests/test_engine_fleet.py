"""The engine on simulated hosts over real SSH: what ends how, and what is left on the host."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.hosts import ssh
from nodes.models import HostKey, Node
from nodes.services.polling.targets import target_of
from ops.engine import claim_due, run_step, start_queued
from ops.models import LogLine, Operation
from ops.services import control
from ops.services.request import request_operations
from ops.tests.world import World
from ops.wording import result_sentence
from simfleet.control import send

pytestmark = pytest.mark.django_db(transaction=True)
Fleet = tuple[Path, dict[str, Any]]


@pytest.fixture
def world(fleet: Fleet) -> World:
    return World.of(fleet)


def on_host(node: Node, *argv: str) -> str:
    target = target_of(node, HostKey.objects.get(node=node, state="pinned"))
    assert isinstance(target.identity, ssh.Identity)
    assert target.pinned is not None
    deadline = ssh.Deadline.after(20)
    with ssh.connect(target.endpoint, target.identity, host_key=target.pinned, deadline=deadline) as contact:
        return contact.run(argv, deadline=deadline).stdout.decode()


def ask(kind: str, *names: str, **params: Any) -> list[Operation]:
    nodes = list(Node.objects.filter(name__in=names).select_related("pool__cluster"))
    answer = request_operations(nodes=nodes, kind=kind, params=params, reason="test", actor=SYSTEM, now=clock.now())
    assert not answer.refused
    return list(answer.operations)


def some(**wanted: Any) -> str:
    found = (
        Node.objects.filter(os_family="fcos", reachability="reachable", health="healthy", **wanted)
        .order_by("name")
        .first()
    )
    assert found, list(Node.objects.values_list("name", "os_family", "update_state", "reachability"))
    return str(found.name)


def left_behind(node: Node) -> str:
    units = on_host(node, "systemctl", "list-units", "--all", "--no-legend", "fleetui-*")
    return units + on_host(node, "ls", "/run/zincati/config.d")


def test_an_upgrade_goes_through_with_a_restart_and_leaves_nothing(world: World) -> None:
    name = some(update_state="update_available")
    before = world.node(name).boot_id
    (done,) = world.finish(*ask("upgrade", name, soak_s=0))
    assert (done.state, done.result) == ("succeeded", "healthy"), (done.result, done.result_params, done.memory)
    # Known at the end, without a poll: whoever waited for it asks for the next thing at once.
    node = world.node(name)
    assert node.booted_version == done.plan["target"]["version"] == done.result_params["version"]
    assert node.update_state == "up_to_date"
    assert node.boot_id != before
    assert "fleetui" not in left_behind(node)
    assert list(LogLine.objects.filter(operation=done).values_list("seq", flat=True)) == list(
        range(1, done.log_seq + 1)
    )


def test_a_restart_happens_once(world: World) -> None:
    name = some(update_state="up_to_date")
    boots = on_host(world.node(name), "journalctl", "--list-boots").count("\n")
    (done,) = world.finish(*ask("reboot", name, soak_s=0))
    assert (done.state, done.result) == ("succeeded", "healthy")
    assert on_host(world.node(name), "journalctl", "--list-boots").count("\n") == boots + 1


@pytest.mark.one_database
def test_a_rollback_goes_back(world: World) -> None:
    name = some(update_state="up_to_date")
    previous = world.node(name).rollback
    assert previous
    (done,) = world.finish(*ask("rollback", name, soak_s=0))
    assert (done.state, done.result) == ("succeeded", "healthy"), (done.result, done.result_params)
    world.poll()
    assert world.node(name).booted_version == previous["version"]
    assert "fleetui" not in left_behind(world.node(name))


@pytest.mark.one_database
def test_a_cancel_takes_back_what_was_staged(world: World) -> None:
    name = some(update_state="update_available")
    (asked,) = ask("upgrade", name)
    world.work(
        lambda: (
            Operation.objects.get(pk=asked.pk).step == "stage"
            and bool(Operation.objects.get(pk=asked.pk).memory.get("units"))
        )
    )
    control.cancel(operation=Operation.objects.get(pk=asked.pk), actor=SYSTEM, now=clock.now(), reason="not today")
    (done,) = world.finish(asked)
    assert (done.state, done.result) == ("cancelled", "cancelled")
    said = result_sentence(done.result, done.result_params)
    # What was being staged is named only where it had come so far.
    assert said.endswith(
        (
            ": not today. Taken back: the hold on the update agent.",
            ": not today. Taken back: a staged deployment, the hold on the update agent.",
        )
    )
    world.poll()
    assert world.node(name).staged is None
    assert "fleetui" not in left_behind(world.node(name))


@pytest.mark.one_database
def test_an_unreachable_host_is_waited_for_until_the_deadline(world: World) -> None:
    name = some(update_state="update_available")
    world.fault(name, "unreachable")
    try:
        (asked,) = ask("reboot", name)
        world.work(lambda: Operation.objects.get(pk=asked.pk).wait_reason == "unreachable")
        mine, end = Operation.objects.filter(pk=asked.pk), clock.now() + timedelta(seconds=30)
        mine.update(deadline=end, due_at=clock.now(), memory={**mine.get().memory, "missed": 8})
        world.work(lambda: mine.get().memory["missed"] == 9)
        # A minute apart from look to look by now, but not beyond the deadline.
        assert mine.get().due_at == end
        mine.update(deadline=clock.now(), due_at=clock.now())
        (done,) = world.finish(asked)
    finally:
        world.fault(name, "unreachable", on=False)
    assert (done.state, done.result) == ("timed_out", "deadline")
    assert "does not answer" in result_sentence(done.result, done.result_params)


@pytest.mark.one_database
def test_a_changed_host_key_ends_it_before_anything_changes(world: World) -> None:
    name = some(update_state="update_available")
    (asked,) = ask("reboot", name)
    HostKey.objects.filter(node__name=name).update(public_key=HostKey.objects.exclude(node__name=name)[0].public_key)
    (done,) = world.finish(asked)
    assert (done.state, done.result) == ("failed", "contact_refused"), (done.state, done.result, done.result_params)
    assert done.result_params["kind"] == "key_mismatch"


@pytest.mark.one_database
def test_what_the_agent_staged_with_a_lock_is_finalized(world: World) -> None:
    name = some(update_state="update_available")
    on_host(world.node(name), "sudo", "-n", "rpm-ostree", "upgrade", "--bypass-driver", "--lock-finalization")
    world.poll()
    assert world.node(name).staged
    (done,) = world.finish(*ask("upgrade", name, soak_s=0))
    assert (done.state, done.result) == ("succeeded", "healthy"), (done.result, done.result_params, done.memory)
    world.poll()
    assert world.node(name).booted_version == done.plan["target"]["version"]
    assert "fleetui" not in left_behind(world.node(name))


def test_a_cancel_ends_a_long_read_and_is_told_at_once(world: World) -> None:
    """The host takes 25 s for an answer, and a step may wait for it for 30: nobody has to."""
    name = some(update_state="update_available")
    send(world.folder, {"action": "fault", "name": name, "kind": "slow", "on": True, "value": 25})
    try:
        (asked,) = ask("reboot", name)
        start_queued(clock.now())
        ((operation, lease),) = claim_due(clock.now())
        cancels = threading.Timer(2, _cancel_alone, (asked.pk,))
        cancels.start()
        assert run_step(operation, lease, clock.now())
        cancels.join()
    finally:
        world.fault(name, "slow", on=False)
    # Had the read gone on to its end, the step would be done, and the next one due.
    asked.refresh_from_db()
    assert (asked.state, asked.result, asked.result_params["reason"]) == ("cancelled", "cancelled", "enough")
    assert result_sentence(asked.result, asked.result_params) == "Cancelled by FleetUI: enough. Nothing was changed."


def test_a_host_that_takes_longer_than_a_lease_is_waited_for(world: World, settings: Any) -> None:
    """Without a lease that is renewed meanwhile the step would be begun again and again, by whoever comes next."""
    settings.OPERATION_LEASE_S = 2
    name = some(update_state="update_available")
    send(world.folder, {"action": "fault", "name": name, "kind": "slow", "on": True, "value": 5})
    try:
        (asked,) = ask("reboot", name)
        start_queued(clock.now())
        ((operation, lease),) = claim_due(clock.now())
        others: list[Any] = []
        looks = threading.Timer(3.5, _claims_alone, (others,))
        looks.start()
        assert run_step(operation, lease, clock.now())
        looks.join()
    finally:
        world.fault(name, "slow", on=False)
    assert others == [[]]
    asked.refresh_from_db()
    assert asked.step == "reboot"


def _claims_alone(found: list[Any]) -> None:
    try:
        found.append(claim_due(clock.now()))
    finally:
        connection.close()


def _cancel_alone(pk: uuid.UUID) -> None:
    try:
        control.cancel(operation=Operation.objects.get(pk=pk), actor=SYSTEM, now=clock.now(), reason="enough")
    finally:
        connection.close()
