"""Polling from claim to rows, with outcomes made by hand: no network here."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import Conflict
from nodes.hosts import ssh
from nodes.hosts.errors import ConnectionRefused, HostKeyMismatch, HostKeyUnknown
from nodes.hosts.facts import (
    Boot,
    Container,
    Containers,
    ContainerUnit,
    Deployment,
    Facts,
    FailedUnit,
    FilesystemUse,
    Health,
    Image,
    Kubernetes,
    Measurement,
    Os,
    Runtime,
    Unread,
)
from nodes.hosts.look import Look
from nodes.models import ContainerOnNode, CredentialTrial, HostKey, Node, Release, Stream, TimelineEvent
from nodes.services.host_keys import accept_key
from nodes.services.nodes import request_poll, set_lifecycle
from nodes.services.polling import Outcome, claim, claim_due, hold, store
from nodes.services.polling.due import back_off_s
from nodes.tests.make import make_credential

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = ssh.HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIJ0r0m4kq8x6c6XW0k2WQzqN0yqkq2k7Zt0m3y6o7m9A")
OTHER_KEY = ssh.HostKey("ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIB1r0m4kq8x6c6XW0k2WQzqN0yqkq2k7Zt0m3y6o7m9B")


def node(name: str = "web-1", **over: Any) -> Node:
    return Node.objects.create(name=name, address="127.0.0.1", poll_due_at=NOW, **over)


def facts(version: str = "43.20260101.3.0", boot: str = "a" * 36, **over: Any) -> Facts:
    booted = Deployment(
        index=0, id=f"fedora-coreos-{version}.0", version=version, checksum=version.ljust(64, "0"), booted=True
    )
    base = Facts(
        os=Os(family="fcos", name="Fedora CoreOS", version=version, stream="stable", arch="x86_64"),
        deployments=(booted,),
        health=Health(system_state="running"),
        boot=Boot(boot_id=boot, booted_at="2026-02-01T00:00:00+00:00", kernel="6.18"),
    )
    return replace(base, **over)


def seen(target: Node, read: Facts | None = None, used: float = 20.0) -> Outcome:
    measured = Measurement(
        load_1=0.2, filesystems=(FilesystemUse("/boot", 100, int(used), 100 - int(used), used, 1.0),)
    )
    return Outcome(target.pk, Look("fcos", read or facts(), measured, b"raw output"))


def poll(outcome: Outcome, now: datetime) -> Node:
    Node.objects.filter(pk=str(outcome.node_id)).update(poll_due_at=now)
    lease = claim_due(lane="live", now=now) or claim_due(lane="slow", now=now)
    assert lease
    assert store([outcome], lease=lease, now=now) == 1
    return Node.objects.get(pk=str(outcome.node_id))


def test_a_batch_is_claimed_once_and_given_back() -> None:
    target = node()
    lease = claim_due(lane="live", now=NOW)
    assert lease
    assert claim_due(lane="live", now=NOW) is None
    assert hold(lease=lease, now=NOW)
    store([seen(target)], lease=lease, now=NOW)
    target.refresh_from_db()
    assert target.poll_lease is None
    assert target.poll_due_at > NOW


def test_what_a_busy_host_did_not_say_of_its_containers_stays_as_it_was_read() -> None:
    image = Image("i1", ("r.example/app:v1",), ("r.example/app@sha256:" + "a1" * 32,))
    running = Container(id="c1", name="web", image="r.example/app:v1", image_id="i1", state="running")
    unit = ContainerUnit(name="web.service", kind="unit", source="/etc/systemd/system/web.service", container="web")
    whole = Containers((Runtime("podman", "5.4.2", (running,), (image,)),), (unit,))
    missed = ("podman_root_ps", "podman_root_images", "podman_units", "docker_ps", "docker_images")
    late = tuple(Unread(name, "timeout", "late") for name in missed)

    def rows() -> list[tuple[str, str, str]]:
        return list(ContainerOnNode.objects.values_list("name", "state", "digest"))

    target = poll(seen(node(), facts(containers=whole)), NOW)
    before, was = rows(), target.facts_at
    for minutes in (1, 2):
        empty = facts(containers=Containers((Runtime("podman", "5.4.2"), Runtime("docker"))), unread=late)
        target = poll(seen(target, empty), NOW + timedelta(minutes=minutes))
        assert rows() == before
        assert target.facts is not None
        assert [one["name"] for one in target.facts.document["containers"]["runtimes"]] == ["podman"]
        # The time of the last look that read them, also after several that did not.
        assert {one["kept_from"] for one in target.facts.document["unread"]} == {NOW.isoformat()}
    assert (was, target.facts_at) == (NOW, NOW + timedelta(minutes=1))
    # Podman runs no service that could be down: on a full disk its containers run on.
    full = tuple(Unread(name, "failed", "no space left on device", 125) for name in missed[:2])
    silent = facts(containers=Containers((Runtime("podman", "5.4.2"),), (unit,)), unread=full)
    target = poll(seen(target, silent), NOW + timedelta(minutes=2, seconds=30))
    assert rows() == before
    assert set(TimelineEvent.objects.values_list("kind", flat=True)) == {"os_detected"}
    restarted = replace(silent, boot=replace(silent.boot, boot_id="another"))
    target = poll(seen(target, restarted), NOW + timedelta(minutes=2, seconds=40))
    assert "running" not in {state for _name, state, _digest in rows()}
    # What the host says is not there is not there, and another machine knows nothing of this one.
    poll(seen(target, facts(containers=Containers((Runtime("podman", "5.4.2"),)))), NOW + timedelta(minutes=3))
    assert rows() == []
    poll(seen(target, facts(containers=whole)), NOW + timedelta(minutes=4))
    Node.objects.update(generation=2)
    poll(seen(target, facts(containers=Containers(), unread=late)), NOW + timedelta(minutes=5))
    assert rows() == []


def test_releases_that_another_process_took_in_count_at_the_next_look() -> None:
    target = poll(seen(node()), NOW)
    assert target.update_state_reason == "no_releases"
    stream = Stream.objects.create(os_family="fcos", name="stable")
    Release.objects.create(stream=stream, version="44.20260215.3.0")
    target = poll(seen(target), NOW + timedelta(seconds=10))
    assert (target.update_state, target.update_state_reason) == ("update_available", "newer_release")


def test_what_somebody_asked_for_waits_behind_no_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(claim.BATCH_NODES, "slow", 2)
    for number in range(3):
        node(f"dead-{number}", failures=1)
    wanted = node("wanted", failures=4, poll_requested_at=NOW)
    lease = claim_due(lane="slow", now=NOW)
    claimed = Node.objects.filter(poll_lease=lease)
    assert wanted in claimed
    assert claimed.count() == 2


def test_a_lease_that_ran_out_is_claimed_again_and_the_late_worker_writes_nothing() -> None:
    target = node()
    lost = claim_due(lane="live", now=NOW)
    assert lost
    later = NOW + timedelta(minutes=5)
    again = claim_due(lane="live", now=later)
    assert again
    assert again != lost
    assert not hold(lease=lost, now=later)
    assert store([seen(target)], lease=lost, now=later) == 0
    assert Node.objects.get(pk=target.pk).facts is None


def test_the_first_look_fills_columns_deployments_and_timeline() -> None:
    target = poll(seen(node()), NOW)
    assert (target.reachability, target.health, target.os_family) == ("reachable", "healthy", "fcos")
    assert target.booted_version == "43.20260101.3.0"
    assert target.booted
    assert target.booted["checksum"].startswith("43.2026")
    assert target.facts_at == NOW
    assert [event.kind for event in target.timeline.all()] == ["os_detected"]
    assert target.deployments.get().is_booted


def test_the_same_facts_write_no_new_row_and_little_else(django_assert_max_num_queries: Any) -> None:
    target = node()
    poll(seen(target), NOW)
    later = NOW + timedelta(minutes=1)
    Node.objects.filter(pk=target.pk).update(poll_due_at=later)
    lease = claim_due(lane="live", now=later)
    assert lease
    with django_assert_max_num_queries(6):
        store([seen(target)], lease=lease, now=later)
    target.refresh_from_db()
    assert target.last_seen_at == later
    assert target.facts_at == NOW
    assert target.facts_history.count() == 1


def test_nodes_that_are_polled_together_do_not_stay_together() -> None:
    targets = [node(f"web-{number}") for number in range(200)]
    later = NOW + timedelta(minutes=30)
    for now in (NOW, later):
        Node.objects.update(poll_due_at=now)
        lease = claim_due(lane="live", now=now)
        assert lease
        assert store([seen(target) for target in targets], lease=lease, now=now) == 200
    waits = [(due - later).total_seconds() for due in Node.objects.values_list("poll_due_at", flat=True)]
    assert len(set(waits)) > 150
    assert all(54 <= wait <= 66 for wait in waits)
    assert 58.5 < sum(waits) / len(waits) < 61.5


def test_quiet_batches_cost_the_same_whatever_their_size(django_assert_num_queries: Any) -> None:
    from django.db import connection

    counts = []
    for size in (2, 40):
        nodes = [node(f"n{size}-{index}") for index in range(size)]
        for at in (NOW, NOW + timedelta(minutes=1)):
            Node.objects.filter(pk__in=[one.pk for one in nodes]).update(poll_due_at=at)
            lease = claim_due(lane="live", now=at)
            assert lease
            with CaptureQueriesContext(
                connection,
            ) as captured:
                store([seen(one) for one in nodes], lease=lease, now=at)
        counts.append(len(captured))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("43.20260101.3.0", "43.20260201.3.0", "upgraded"),
        ("43.20260201.3.0", "43.20260101.3.0", "rolled_back"),
        ("43.20260101.3.0", "43.20260101.3.0", "rebooted"),
    ],
)
def test_an_update_is_told_when_the_deployments_could_not_be_read_after_the_reboot(
    first: str, second: str, kind: str
) -> None:
    target = poll(seen(node(), facts(first)), NOW)
    # The poll right after the reboot meets a busy host: no deployments, only os-release.
    target = poll(seen(target, facts(second, boot="b" * 36, deployments=())), NOW + timedelta(minutes=1))
    target = poll(seen(target, facts(second, boot="b" * 36)), NOW + timedelta(minutes=2))
    kinds = [event.kind for event in target.timeline.order_by("at")]
    assert kinds == ["os_detected", kind, "facts_changed"]
    if kind != "rebooted":
        assert target.timeline.get(kind=kind).params == {"before": first, "after": second}


def test_a_host_too_slow_to_say_its_role_keeps_it_until_it_says_another_one() -> None:
    plane = Kubernetes("control-plane", hints=("/etc/kubernetes/manifests/kube-apiserver.yaml",))
    target = poll(seen(node(), facts(kubernetes=plane)), NOW)
    late = (Unread("kubernetes_paths", "timeout", "The command did not finish in time."),)
    for minute, unread, role in ((1, late, "control-plane"), (2, late, "control-plane"), (3, (), None)):
        target = poll(seen(target, facts(unread=unread)), NOW + timedelta(minutes=minute))
        assert target.facts
        assert target.facts.document["kubernetes"]["role"] == role


@pytest.mark.parametrize("back", [True, False])
def test_a_rollback_that_was_queued_by_hand_is_none_the_less_a_rollback(back: bool) -> None:
    newer, older = (facts(f"43.2026010{day}.3.0").deployments[0] for day in (2, 1))
    booted, other = (newer, older) if back else (older, newer)
    booted, other = replace(booted, checksum="a" * 64, id="a.0"), replace(other, checksum="b" * 64, id="b.0")
    # `rpm-ostree rollback` puts the other deployment first: it is neither staged nor called the rollback then.
    queued = (replace(other, index=0, booted=False), replace(booted, index=1))
    gone = (replace(other, index=0), replace(booted, index=1, booted=False, rollback=True))
    target = poll(seen(node(), facts(deployments=queued)), NOW)
    target = poll(seen(target, facts(boot="b" * 36, deployments=gone)), NOW + timedelta(minutes=1))
    event = target.timeline.exclude(kind="os_detected").get()
    assert event.kind == ("rolled_back" if back else "upgraded")
    assert event.params == {"before": booted.version, "after": other.version}


def test_what_is_staged_is_told_once_though_a_look_between_read_no_deployments() -> None:
    booted = facts().deployments[0]
    waits = Deployment(index=0, id="new.0", version="43.20260201.3.0", checksum="f" * 64, staged=True)
    staged, unread = facts(deployments=(waits, replace(booted, index=1))), facts(deployments=())
    target = poll(seen(node()), NOW)
    for minute, read in enumerate((staged, unread, staged), start=1):
        target = poll(seen(target, read), NOW + timedelta(minutes=minute))
    assert target.timeline.filter(kind="staged").count() == 1
    another = replace(staged, deployments=(replace(waits, id="other.0", checksum="e" * 64), staged.deployments[1]))
    for minute, read in enumerate((unread, another), start=4):
        target = poll(seen(target, read), NOW + timedelta(minutes=minute))
    assert target.timeline.filter(kind="staged").count() == 2


def test_a_slot_that_is_named_otherwise_is_not_staged_again() -> None:
    booted = facts().deployments[0]
    waits = Deployment(index=0, id="USR-B", version="4459.2.1", staged=True)
    target = poll(seen(node(), facts(deployments=(waits, replace(booted, index=1)))), NOW)
    renamed = facts(deployments=(replace(waits, id="staged"), replace(booted, index=1)))
    target = poll(seen(target, renamed), NOW + timedelta(minutes=1))
    assert not target.timeline.filter(kind="staged").exists()


def test_a_new_version_and_a_failed_unit_become_events() -> None:
    target = poll(seen(node()), NOW)
    old = facts().deployments[0]
    new = Deployment(index=0, id="new.0", version="43.20260201.3.0", checksum="f" * 64, booted=True)
    read = facts(
        "43.20260201.3.0",
        boot="b" * 36,
        deployments=(new, replace(old, index=1, booted=False, rollback=True)),
        health=Health("degraded", (FailedUnit("backup.service"),)),
    )
    target = poll(seen(target, read), NOW + timedelta(minutes=2))
    assert {event.kind for event in target.timeline.all()} == {"os_detected", "upgraded", "units_failed"}
    assert (target.health, target.health_reason) == ("degraded", "units_failed")
    assert target.rollback
    assert target.rollback["version"] == "43.20260101.3.0"
    assert target.facts_history.count() == 2


def test_a_full_disk_degrades_without_new_facts() -> None:
    target = poll(seen(node()), NOW)
    target = poll(seen(target, used=97.0), NOW + timedelta(minutes=1))
    assert (target.health, target.health_reason) == ("degraded", "disk_full")
    assert target.facts_history.count() == 1
    assert target.measurement.fullest_percent == 97.0


def test_failures_back_off_and_keep_since_and_why() -> None:
    target = poll(seen(node()), NOW)
    first = NOW + timedelta(minutes=1)
    target = poll(Outcome(target.pk, error=ConnectionRefused("127.0.0.1", 22)), first)
    assert (target.reachability, target.reachability_reason) == ("unreachable", "refused")
    target = poll(Outcome(target.pk, error=ConnectionRefused("127.0.0.1", 22)), first + timedelta(minutes=1))
    assert target.failures == 2
    assert target.failing_since == first
    assert target.reachability_since == first
    assert [event.kind for event in target.timeline.all()] == ["became_unreachable", "os_detected"]
    target = poll(seen(target), first + timedelta(minutes=2))
    assert (target.reachability, target.failures, target.last_error_kind) == ("reachable", 0, "")


@pytest.mark.parametrize(
    ("interval", "failures", "expected"), [(60, 1, 60), (60, 3, 240), (60, 50, 600), (3600, 9, 3600)]
)
def test_back_off(interval: int, failures: int, expected: int) -> None:
    assert back_off_s(interval, failures) == expected


def test_dead_nodes_wait_in_their_own_lane() -> None:
    node("dead", failures=3)
    node("alive")
    lease = claim_due(lane="live", now=NOW)
    assert list(Node.objects.filter(poll_lease=lease).values_list("name", flat=True)) == ["alive"]
    slow = claim_due(lane="slow", now=NOW)
    assert list(Node.objects.filter(poll_lease=slow).values_list("name", flat=True)) == ["dead"]


def test_a_changed_host_key_stops_contact_until_it_is_accepted() -> None:
    target = poll(seen(node()), NOW)
    pinned = HostKey.objects.create(
        node=target, type=KEY.type, public_key=KEY.base64, fingerprint=KEY.fingerprint, state="pinned"
    )
    error = HostKeyMismatch("127.0.0.1", KEY.fingerprint, OTHER_KEY.fingerprint, OTHER_KEY)
    at = NOW + timedelta(minutes=1)
    target = poll(Outcome(target.pk, error=error, seen_key=OTHER_KEY), at)
    assert target.reachability == "key_mismatch"
    much_later = at + timedelta(days=1)
    assert claim_due(lane="slow", now=much_later) is None
    offered = target.host_keys.get(state="offered")
    accept_key(host_key=offered, actor=SYSTEM, now=much_later, reason="reinstalled")
    pinned.refresh_from_db()
    assert pinned.state == "replaced"
    assert claim_due(lane="slow", now=much_later)


def test_an_unknown_key_is_offered_once() -> None:
    target = node()
    for minute in range(2):
        target = poll(
            Outcome(target.pk, error=HostKeyUnknown("127.0.0.1", KEY), seen_key=KEY),
            NOW + timedelta(minutes=minute * 20),
        )
    assert target.reachability == "never_seen"
    assert target.host_keys.get().state == "offered"


def test_poll_now_makes_due_and_retired_nodes_are_left_alone() -> None:
    target = poll(seen(node()), NOW)
    gone = node("gone")
    set_lifecycle(node=gone, lifecycle="retired", reason="sold", actor=SYSTEM, now=NOW)
    assert claim_due(lane="live", now=NOW) is None
    assert request_poll(nodes=Node.objects.all(), actor=SYSTEM, now=NOW) == 1
    lease = claim_due(lane="live", now=NOW)
    assert list(Node.objects.filter(poll_lease=lease)) == [target]


def test_a_batch_of_strangers_is_ignored() -> None:
    target = node()
    assert store([seen(target)], lease=uuid.uuid4(), now=NOW) == 0


def test_one_outcome_that_cannot_be_stored_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import IntegrityError

    from nodes import tasks
    from nodes.services.polling import store as real

    good, bad = node("good"), node("bad")
    lease = claim_due(lane="live", now=NOW)
    assert lease

    def refusing(outcomes: list[Outcome], **given: Any) -> int:
        if any(outcome.node_id == bad.pk and outcome.look for outcome in outcomes):
            raise IntegrityError("refused")
        return real(outcomes, **given)

    monkeypatch.setattr(tasks, "store", refusing)
    assert tasks._store([seen(good), seen(bad)], lease) == 2
    good.refresh_from_db()
    bad.refresh_from_db()
    assert good.reachability == "reachable"
    assert (bad.last_error_kind, bad.poll_lease) == ("host_error", None)


def test_an_offer_is_withdrawn_when_the_pinned_key_answers_again() -> None:
    target = poll(seen(node()), NOW)
    HostKey.objects.create(
        node=target, type=KEY.type, public_key=KEY.base64, fingerprint=KEY.fingerprint, state="pinned"
    )
    error = HostKeyMismatch("127.0.0.1", KEY.fingerprint, OTHER_KEY.fingerprint, OTHER_KEY)
    target = poll(Outcome(target.pk, error=error, seen_key=OTHER_KEY), NOW + timedelta(minutes=1))
    assert target.host_keys.get(state="offered")
    request_poll(nodes=Node.objects.all(), actor=SYSTEM, now=NOW + timedelta(minutes=2))
    target = poll(seen(target), NOW + timedelta(minutes=2))
    assert target.reachability == "reachable"
    assert not target.host_keys.filter(state="offered").exists()


def test_a_lifecycle_that_was_read_before_an_edit_is_refused() -> None:
    from nodes.services.nodes import edit_node

    target = node()
    early = Node.objects.get(pk=target.pk)
    edit_node(node=target, changes={"labels": {"rack": "1"}}, actor=SYSTEM, now=NOW)
    with pytest.raises(Conflict):
        set_lifecycle(node=early, lifecycle="retired", reason="", actor=SYSTEM, now=NOW)


def of_machine(number: int) -> Facts:
    found = facts(boot=str(number) * 36)
    return replace(found, os=replace(found.os, machine_id=str(number) * 32))


def show_key(target: Node, key: ssh.HostKey, now: datetime) -> HostKey:
    """Another key than the trusted one is seen and accepted."""
    HostKey.pinned(target, KEY, by="user:anna", now=NOW).save(force_insert=True)
    poll(Outcome(target.pk, error=HostKeyMismatch(target.address, KEY.fingerprint, key.fingerprint), seen_key=key), now)
    offered = HostKey.objects.get(node=target, state="offered")
    return accept_key(host_key=offered, actor=SYSTEM, now=now + timedelta(seconds=5), reason="reinstalled")


def test_another_machine_by_a_key_that_was_accepted_is_the_next_generation() -> None:
    target = poll(seen(node(), of_machine(1)), NOW)
    credential = make_credential()
    CredentialTrial.objects.create(node=target, credential=credential, fingerprint="x", state="works", due_at=NOW)
    Node.objects.filter(pk=target.pk).update(applied_how="fetch", applied_at=NOW)
    show_key(target, OTHER_KEY, NOW + timedelta(minutes=1))
    target = poll(seen(target, of_machine(2)), NOW + timedelta(minutes=2))
    assert (target.generation, target.machine_id) == (2, "2" * 32)
    assert target.facts is not None
    assert target.facts.generation == 2
    assert (target.applied_how, target.applied_at) == ("", None)
    assert not CredentialTrial.objects.exists()
    raised = target.timeline.get(kind="generation_raised")
    assert (raised.generation, raised.params) == (2, {"generation": 2})
    # The machine before is not compared with this one.
    assert not target.timeline.filter(kind="rebooted").exists()
    assert poll(seen(target, of_machine(2)), NOW + timedelta(minutes=3)).generation == 2


@pytest.mark.parametrize("machine", [1, 2])
def test_neither_another_key_nor_another_machine_id_alone_is_another_machine(machine: int) -> None:
    """New keys of the same system, or one that runs from memory and makes its id at each start."""
    target = poll(seen(node(), of_machine(1)), NOW)
    if machine == 1:
        show_key(target, OTHER_KEY, NOW + timedelta(minutes=1))
    assert poll(seen(target, of_machine(machine)), NOW + timedelta(minutes=2)).generation == 1
    assert poll(seen(target, of_machine(machine)), NOW + timedelta(minutes=3)).machine_id == str(machine) * 32


def test_a_key_that_was_accepted_long_ago_says_nothing_of_the_machine_id_of_today() -> None:
    target = poll(seen(node(), of_machine(1)), NOW)
    show_key(target, OTHER_KEY, NOW + timedelta(minutes=1))
    target = poll(seen(target, of_machine(1)), NOW + timedelta(minutes=2))
    assert poll(seen(target, of_machine(2)), NOW + timedelta(minutes=3)).generation == 1
