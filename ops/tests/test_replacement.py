"""A machine is replaced: asked for once, known by its own key, proven; and whatever dies or fails on the way."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.db import OperationalError

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput
from nodes.hosts.errors import HostKeyMismatch
from nodes.hosts.facts import Ignition, Unread
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import Facts, HostKey, Node, Pool, Provisioning
from nodes.services.provisioning.serve import fetch
from nodes.tests.make import make_config, make_node, make_version
from ops import wording
from ops.engine import claim_due, replacing, run_step, start_queued, work
from ops.models import BackupPolicy, Operation, Provisioner, Replacement
from ops.replacement import Jobs, Order, Progress
from ops.replacement.hook import Hook
from ops.services import control
from ops.services.replacing import plans
from ops.services.replacing.confirming import confirm, token_of
from ops.services.replacing.provisioners import delete_provisioner, opened, set_provisioner
from ops.services.replacing.sweeping import sweep_jobs
from ops.services.request import preview, request_operations
from ops.tests.onehost import InProcessHost, Killed, Machine, make_hosted_node

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
MARKER = "/etc/fleetui/ignition.json"
DEAD_CLOCK = {"reachability": "reachable", "health": "degraded", "health_reason": "clock_not_synchronized"}


def file_in(config: str, path: str) -> str:
    (found,) = [one for one in json.loads(config)["storage"]["files"] if one["path"] == path]
    return unquote(found["contents"]["source"].removeprefix("data:,"))


class Site:
    """Where machines are made: a provisioner that can be killed at each call, and the machine that it makes."""

    at_once = True
    #: Of one that is not `at_once`: it says when it is about to delete.
    says_begins = False

    def __init__(self, machine: Machine) -> None:
        self.machine, self.key = machine, ""
        self.asked: set[str] = set()
        self.made = 0
        self.fails = 0
        self.shows = ""
        #: What the new machine does besides, once it was made.
        self.joins: Callable[[], None] = lambda: None
        #: Looks at the new machine that end before it has said of what config it is.
        self.slow_looks = 0
        #: The new machine lets nothing be read of it, such as its boot.
        self.says_nothing = False
        #: What the handle of its order holds besides.
        self.left: dict[str, str] = {}

    def ready(self) -> None:
        return None

    def decide(self, decided: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def commands(self, node: str, address: str) -> list[list[str]]:
        return [["make", node]]

    def start(self, order: Order, attempt: int) -> Mapping[str, Any]:
        with self.call():
            self.asked.add(order.id)
        return {"attempt": attempt, "looks": 0, **self.left}

    def look(self, order: Order, handle: Mapping[str, Any]) -> Progress:
        with self.call():
            if self.fails:
                self.fails -= 1
                return Progress("failed", "hook_failed", {"status": 3}, said="no quota")
            if not handle["looks"]:
                return Progress("works", "hook_runs", handle={**handle, "looks": 1}, lines=["deleting"])
            if self.says_begins and handle["looks"] == 1:
                return Progress("works", "tf_agreed", handle={**handle, "looks": 2}, begins=True)
            if not self.made:
                self.make(order.url)
        return Progress("replaced", "replaced")

    def make(self, url: str) -> None:
        config = fetch(url.rpartition("/")[2], address="10.0.0.9", agent="Ignition", now=clock.now())
        assert isinstance(config, str)
        self.made += 1
        self.key = self.shows or file_in(config, HOST_KEY)
        self.machine.reboot(self.machine.host)
        self.machine.host.written = {MARKER: file_in(config, MARKER)}
        self.joins()

    def forget(self, order: Order) -> None:
        return None

    def call(self) -> Any:
        site = self

        class Call:
            def __enter__(self) -> None:
                self.dies = site.machine.enters()

            def __exit__(self, *_details: object) -> None:
                if self.dies:
                    raise site.machine.breaks_with()

        return Call()


def host_at(site: Site) -> type[InProcessHost]:
    """The host of the engine, which trusts no key but the pinned one."""

    class Host(InProcessHost):
        machine = site.machine

        def __init__(self, target: Any, *meanwhile: Any, **options: Any) -> None:
            super().__init__(target, *meanwhile, **options)
            self.pinned = target.pinned

        def trust(self) -> None:
            shown = SshHostKey.parse(site.key) if site.key else None
            if shown and (self.pinned is None or shown.fingerprint != self.pinned.fingerprint):
                raise HostKeyMismatch("127.0.0.1", "SHA256:old", shown.fingerprint, shown)

        def read(self) -> Any:
            self.trust()
            found = super().read()
            if site.says_nothing and site.made:
                return replace(found, facts=replace(found.facts, boot=replace(found.facts.boot, boot_id="")))
            if not found.facts.ignition.version_id or not site.slow_looks:
                return found
            site.slow_looks -= 1
            late = Unread("dmi", "timeout", "this took longer than 5 s")
            return replace(found, facts=replace(found.facts, ignition=Ignition(), unread=(late,)))

        def run(self, command: Any) -> Any:
            self.trust()
            return super().run(command)

    return Host


class Run:
    """One replacement, worked on until it ends or needs a person."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        kind: str = "hook",
        service: Any = None,
        cluster: Callable[[Pool, Machine, datetime], object] | None = None,
        **params: Any,
    ) -> None:
        """With kind "webhook", `service` has settings and secret of one that answers for itself. `cluster` makes one for the pool."""
        self.now, self.machine = START, Machine()
        patch.setattr(clock, "now", lambda: self.now)
        self.site = Site(self.machine)
        patch.setattr(work, "SshHost", host_at(self.site))
        if kind == "hook":
            patch.setattr(replacing, "opened", lambda _row, _host=None: self.site)
            patch.setattr(plans, "opened", lambda _row: self.site)
        Node.objects.all().delete()
        Pool.objects.all().delete()
        Provisioner.objects.all().delete()
        pool = Pool.objects.create(name="web")
        self.node = make_hosted_node(self.machine, self.now)
        Node.objects.filter(pk=self.node.pk).update(pool=pool, last_seen_at=self.now)
        make_node("n2", pool=pool, health="healthy")
        config = make_config(f"edge-{Operation.objects.count()}", pool)
        pool.intended_version = make_version(config, state="approved")
        pool.save()
        settings = {"command": ["make"], "limit_s": 60} if kind == "hook" else service.settings if service else {}
        given: dict[str, Any] = {
            "name": "site",
            "kind": kind,
            "settings": settings,
            "base_url": "https://fleet.example.org",
            "secret": service.secret if service else "",
        }
        set_provisioner(**given, pools=[pool], actor=SYSTEM, now=self.now)
        if cluster:
            cluster(pool, self.machine, self.now)
        self.node = Node.objects.select_related("pool__cluster").get(pk=self.node.pk)
        answer = request_operations(
            nodes=[self.node], kind="replace", params={"soak_s": 0, **params}, actor=SYSTEM, now=self.now
        )
        assert answer.operations, answer.refused
        self.operation = answer.operations[0]

    def rounds(self, most: int = 200, until: str = "") -> Operation:
        for _round in range(most):
            self.now += timedelta(seconds=4)
            self.machine.goes_on(0.001)
            start_queued(self.now)
            claimed = claim_due(self.now)
            for operation, lease in claimed:
                with suppress(Killed, OperationalError):
                    run_step(operation, lease, self.now)
            self.operation.refresh_from_db()
            if not claimed:
                self.now = max([self.now, *filter(None, (self.operation.lease_until, self.operation.due_at))])
            if self.operation.ended_at is not None or self.operation.state == "needs_attention":
                break
            if until and self.operation.wait_reason == until:
                break
        return self.operation

    def check(self, where: object = "") -> None:
        row, node = self.operation, Node.objects.get(pk=self.node.pk)
        assert row.state == "succeeded", (where, row.step, row.result, row.result_params, row.wait_reason)
        assert "restarted" not in sentence(row), where
        assert (self.site.made, node.generation, node.applied_how) == (1, 2, "fetch"), where
        (pinned,) = HostKey.objects.filter(node=node, state="pinned")
        assert pinned.fingerprint == SshHostKey.parse(self.site.key).fingerprint
        made = Replacement.objects.get(operation=row)
        assert (made.sealed_token, made.provisioning and made.provisioning.ending) == ("", "arrived")


def sentence(row: Operation) -> str:
    return wording.result_sentence(row.result, row.result_params)


def test_what_it_works_from_stays_until_a_person_lets_it_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came to the repository between two attempts that nobody asked for was looked at by nobody."""
    run, used = Run(monkeypatch), list[str]()
    commits, start = itertools.count(1), run.site.start
    monkeypatch.setattr(run.site, "decide", lambda known: known or {"commit": f"c{next(commits)}"})
    monkeypatch.setattr("ops.actions.replace.place_of", lambda _source: None)

    def starts(order: Order, attempt: int) -> Mapping[str, Any]:
        used.append(order.source["commit"])
        return start(order, attempt)

    monkeypatch.setattr(run.site, "start", starts)
    run.site.fails = 4
    row = run.rounds()
    assert (row.state, used) == ("needs_attention", ["c1", "c1", "c1"])
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    assert run.rounds().state == "needs_attention"
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()
    assert used[3:] == ["c2", "c3"]


def test_a_worker_may_die_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = 0
    for call in itertools.count():
        run = Run(monkeypatch)
        run.machine.dies_after, run.machine.dies_before_effect = call, call % 2 == 0
        run.rounds()
        run.check(call)
        run.machine.loop.close()
        deaths += run.machine.deaths
        if not run.machine.deaths:
            break
    assert deaths >= 6
    assert sentence(run.operation).startswith("Replaced: generation 2 was made with edge-")
    assert AuditEvent.objects.filter(action="operations.effect").exists()


def test_older_work_is_void_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    answer = request_operations(nodes=[run.node], kind="refresh", params={}, actor=SYSTEM, now=run.now)
    Operation.objects.filter(pk=answer.operations[0].pk).update(state="queued", generation=1, created_at=run.now)
    (other,) = answer.operations
    Operation.objects.filter(pk=other.pk).update(state="awaiting_approval")
    run.rounds()
    run.check()
    Operation.objects.filter(pk=other.pk).update(state="queued")
    run.operation = other
    assert run.rounds().state == "void"


def test_what_fails_says_what_is_there_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.site.fails = 3
    row = run.rounds()
    assert (row.state, row.step) == ("needs_attention", "provision")
    told = sentence(row)
    assert "failed (status 3): no quota" in told
    assert "The old machine still answers with its host key." in told
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


def test_a_new_machine_that_is_not_healthy_is_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.site.joins = lambda: run.machine.host.faults.update(failed_unit=1.0)
    row = run.rounds()
    assert (row.state, row.step, row.result) == ("needs_attention", "soak", "unhealthy")
    run.machine.host.faults.clear()
    run.machine.host.boot_count += 1  # mended by a restart
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


def test_a_machine_that_is_slow_at_first_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.site.slow_looks = 3
    run.rounds()
    run.check()
    run = Run(monkeypatch)
    run.site.slow_looks = 100
    row = run.rounds()
    assert (row.state, row.step, row.result) == ("needs_attention", "verify_machine", "note_unread")
    assert "this took longer than 5 s" in sentence(row)


def test_a_new_machine_of_which_nothing_can_be_read_is_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.site.says_nothing = True
    row = run.rounds()
    assert (row.state, row.step, row.result) == ("needs_attention", "verify_machine", "boot_id_unknown")
    run.site.says_nothing = False
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


def test_what_fails_before_the_machine_is_touched_ends_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that cannot be made leaves nothing to look at, and nothing of it stays."""
    run = Run(monkeypatch)
    monkeypatch.setattr(run.site, "at_once", False)
    run.site.fails = 3
    row = run.rounds()
    assert row.state == "failed"
    assert "no quota" in sentence(row)
    assert Replacement.objects.get(operation=row).sealed_token == ""


def test_folders_of_operations_that_are_over_or_gone_are_swept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any
) -> None:
    settings.DATA_DIR = tmp_path
    run = Run(monkeypatch)
    run.rounds(until="offers")
    folder = tmp_path / "replacements"
    mine, gone = run.operation.pk.hex, "0" * 32
    for name in (f"{mine}-1-1", f"{gone}-1-1-plan", "place-x"):
        (folder / name).mkdir(parents=True)
    sweep_jobs()
    assert sorted(one.name for one in folder.iterdir()) == sorted([f"{mine}-1-1", "place-x"])
    Operation.objects.update(state="void", ended_at=run.now)
    sweep_jobs()
    assert [one.name for one in folder.iterdir()] == ["place-x"]


def test_another_key_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, arrive_within_s=60)
    run.site.shows = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9i"
    row = run.rounds()
    assert (row.state, row.result, row.step) == ("needs_attention", "other_key", "await_machine")
    assert Node.objects.get(pk=run.node.pk).generation == 1
    # Whoever lets it go on gives it as much time again, however late that is.
    run.now += timedelta(hours=3)
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    assert run.rounds(4).state == "waiting"
    row = run.rounds()
    assert (row.state, row.result) == ("needs_attention", "other_key")
    control.resolve(operation=row, go_on=False, actor=SYSTEM, now=run.now, reason="another machine")
    assert run.rounds().state == "failed"
    assert Replacement.objects.get(operation=row).sealed_token == ""
    assert Provisioning.objects.get().ending == "revoked"


def test_by_hand_it_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, "manual")
    with pytest.raises(Conflict):
        confirm(operation=run.operation, what="deleted", actor=SYSTEM, now=run.now)
    row = run.rounds(until="person_deletes")
    assert wording.wait_sentence(row.wait_reason, row.wait_params).startswith(
        "Waits for a person: delete the machine of n1"
    )
    with pytest.raises(Conflict):
        # Of control planes only.
        confirm(operation=run.operation, what="ready", actor=SYSTEM, now=run.now)
    with pytest.raises(Conflict, match="replacing n1"):
        delete_provisioner(provisioner=Provisioner.objects.get(), actor=SYSTEM)
    confirm(operation=row, what="deleted", actor=SYSTEM, now=run.now)
    run.rounds(until="person_creates")
    made, text = token_of(operation=row, actor=SYSTEM)
    run.site.make(f"https://fleet.example.org/ignition/{text}")
    confirm(operation=row, what="created", actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()
    assert {"deleted", "created"} == set(Replacement.objects.get(pk=made.pk).confirmed)
    assert not AuditEvent.objects.filter(after__icontains=text).exists()


def test_a_machine_that_a_person_made_after_a_failure_lets_it_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.site.fails = 9
    row = run.rounds()
    assert (row.state, row.step, row.result) == ("needs_attention", "provision", "hook_failed")
    _made, text = token_of(operation=row, actor=SYSTEM)
    run.site.make(f"https://fleet.example.org/ignition/{text}")
    confirm(operation=row, what="created", actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


@pytest.mark.parametrize("fetches", [False, True])
def test_an_old_system_that_comes_back_is_told(fetches: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    made, boot = run.site.make, run.machine.host.boot_id

    def comes_back(url: str) -> None:
        run.machine.reboot(run.machine.host)
        if fetches:
            fetch(url.rpartition("/")[2], address="10.0.0.9", agent="Ignition", now=clock.now())

    monkeypatch.setattr(run.site, "make", comes_back)
    run.site.left = {"boot": boot}
    row = run.rounds()
    step = "await_machine" if fetches else "await_fetch"
    assert (row.state, row.step, row.result) == ("needs_attention", step, "old_came_back")
    assert "The old machine still answers" in sentence(row)
    _made, text = token_of(operation=row, actor=SYSTEM)
    made(f"https://fleet.example.org/ignition/{text}")
    control.resolve(operation=row, go_on=True, actor=SYSTEM, now=run.now)
    run.rounds()
    run.check()


def test_a_cancel_after_the_deletion_says_that_a_new_machine_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    row = run.rounds(until="hook_runs")
    control.cancel(operation=row, actor=SYSTEM, now=run.now)
    row = run.rounds()
    assert (row.state, run.site.made, Node.objects.get(pk=run.node.pk).generation) == ("cancelled", 1, 2)
    assert "A new machine stands in place of the old one" in sentence(row)
    assert "Taken back" not in sentence(row)


def test_before_the_deletion_a_cancel_takes_all_of_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, "manual")
    run.rounds(until="person_deletes")
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    assert run.rounds().state == "cancelled"
    assert Provisioning.objects.get().ending == "revoked"
    assert (Node.objects.get(pk=run.node.pk).generation, run.site.made) == (1, 0)


def test_a_plan_says_what_stands_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)

    def plan(**params: Any) -> Any:
        node = Node.objects.select_related("pool__cluster").get(pk=run.node.pk)
        (found,) = preview(nodes=[node], kind="replace", params=params, actor=SYSTEM, now=run.now)
        return found

    found = plan()
    assert (found.target["provisioner"], found.target["generation"], found.commands) == ("site", 2, [["make", "n1"]])
    assert [one.code for one in found.checks if one.level != "ok"] == ["machine_deleted"]
    Node.objects.filter(name="n2").update(reachability="unreachable")
    assert "pool_none_left" in [one.code for one in plan().checks if one.level == "block"]
    assert not [one for one in plan(ignore_pool=True).checks if one.level == "block"]
    Node.objects.filter(name="n2").update(**DEAD_CLOCK)
    assert [one.code for one in plan().checks if one.code.startswith("pool_")] == ["pool_whole"]
    full = {"reason": "disk_full", "params": {"mount": "/var", "used_percent": 97}}
    Node.objects.filter(name="n2").update(health_params={"also": [full]})
    (none,) = [one for one in plan().checks if one.level == "block"]
    assert wording.check_sentence(none.code, none.params).endswith("take its place. n2: /var is 97 % full")
    gate = {"name": "etcd", "kind": "etcd", "pool": run.node.pool, "is_gate": True}
    BackupPolicy.objects.create(**gate, overdue_after_s=3600, set_by="user:admin")
    (shut,) = [one for one in plan(ignore_pool=True).checks if one.level == "block"]
    assert (shut.code, shut.params["policy"]) == ("gate_no_backup", "etcd")
    Node.objects.filter(name="n1").update(last_seen_at=None)
    assert plan().refused == "nothing_there"
    Node.objects.filter(name="n1").update(last_seen_at=run.now)
    Provisioner.objects.all().delete()
    assert plan().refused == "no_provisioner"


@pytest.mark.parametrize(("reachability", "level"), [("reachable", "block"), ("unreachable", "warn")])
def test_what_may_be_a_control_plane_is_read_first(
    reachability: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(monkeypatch)
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    facts = Facts.objects.get(node=run.node)
    facts.document["unread"] = [{"section": "kubernetes_paths", "reason": "timeout"}]
    facts.save()
    node = Node.objects.get(pk=run.node.pk)
    node.reachability = reachability
    (plan,) = preview(nodes=[node], kind="replace", params={}, actor=SYSTEM, now=run.now)
    assert level in [one.level for one in plan.checks if one.code == "role_unread"]


def test_a_plan_says_that_the_command_is_not_there(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    run = Run(monkeypatch)
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    settings.PROVISIONERS_DIR = str(tmp_path)
    monkeypatch.setattr(plans, "opened", opened)

    def found() -> list[tuple[str, str]]:
        node = Node.objects.select_related("pool__cluster").get(pk=run.node.pk)
        (plan,) = preview(nodes=[node], kind="replace", params={}, actor=SYSTEM, now=run.now)
        return [(one.code, one.level) for one in plan.checks if one.code == "hook_absent"]

    (tmp_path / "make").write_text("#!/bin/sh\n")
    settings.CELERY_BROKER_URL = "filesystem://"
    assert found() == [("hook_absent", "block")], "not executable"
    settings.CELERY_BROKER_URL = "redis://broker"
    assert found() == [("hook_absent", "warn")], "workers elsewhere may have it"
    (tmp_path / "make").chmod(0o755)
    assert found() == []


def silent(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Asked for only while nothing answers, and nothing does."""
    run = Run(monkeypatch, only_unreachable=True)
    Node.objects.filter(pk=run.node.pk).update(reachability="unreachable")
    run.machine.is_down = True
    return run


def test_what_is_replaced_only_when_nothing_answers_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    run = silent(monkeypatch)
    make = run.site.make

    def made(url: str) -> None:
        make(url)
        run.machine.is_down = False

    monkeypatch.setattr(run.site, "make", made)
    run.rounds()
    run.check()


@pytest.mark.parametrize("until", ["", "offers"])
def test_it_is_left_alone_when_it_answers_by_then(monkeypatch: pytest.MonkeyPatch, until: str) -> None:
    """At the first look, and again right before the machine would be gone."""
    run = silent(monkeypatch)
    if until:
        run.rounds(until=until)
    run.machine.is_down = False
    row = run.rounds()
    assert (row.state, row.result, run.site.asked) == ("failed", "answers_again", set())
    assert sentence(row) == "Nothing was deleted: the machine answers again."
    assert Node.objects.get(pk=run.node.pk).generation == 1
    assert [one.ending for one in Provisioning.objects.all()] == (["revoked"] if until else [])


def test_another_key_at_its_address_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    run = silent(monkeypatch)
    run.machine.is_down = False
    run.site.key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9i"
    row = run.rounds()
    assert (row.state, row.result, run.site.asked) == ("failed", "answers_again", set())
    assert "it is not certain that nothing answers: " in sentence(row)


def test_a_worker_may_die_at_every_call_of_what_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = 0
    for call in itertools.count():
        run = silent(monkeypatch)
        make = run.site.make

        def made(url: str, run: Run = run, make: Any = make) -> None:
            make(url)
            run.machine.is_down = False

        monkeypatch.setattr(run.site, "make", made)
        run.machine.dies_after, run.machine.dies_before_effect = call, call % 2 == 0
        run.rounds()
        run.check(call)
        run.machine.loop.close()
        deaths += run.machine.deaths
        if not run.machine.deaths:
            break
    assert deaths >= 6


def test_a_plan_says_that_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    control.cancel(operation=run.operation, actor=SYSTEM, now=run.now)
    for reachability, stops in (("reachable", ["answers_again"]), ("unreachable", [])):
        Node.objects.filter(pk=run.node.pk).update(reachability=reachability)
        node = Node.objects.select_related("pool__cluster").get(pk=run.node.pk)
        (found,) = preview(nodes=[node], kind="replace", params={"only_unreachable": True}, actor=SYSTEM, now=run.now)
        assert [one.code for one in found.checks if one.level == "block"] == stops


def test_settings_of_a_provisioner_are_checked() -> None:
    def saved(**over: Any) -> Any:
        given = {"name": "x", "kind": "hook", "settings": {"command": ["make"]}, "base_url": "https://f.example"}
        return set_provisioner(**{**given, **over}, actor=SYSTEM, now=START)

    for field, over in (
        ("command", {"settings": {"command": "make it"}}),
        ("command", {"settings": {"command": ["/bin/sh"]}}),
        ("command", {"settings": {"command": ["../sh"]}}),
        ("limit_s", {"settings": {"command": ["make"], "limit_s": 1}}),
        ("base_url", {"base_url": "fleet"}),
        ("kind", {"kind": "magic"}),
        ("name", {"name": " "}),
    ):
        with pytest.raises(InvalidInput) as refused:
            saved(**over)
        assert refused.value.field == field
    one = saved(pools=[pool := Pool.objects.create(name="web")])
    assert one.settings == {"command": ["make"], "limit_s": 900}
    with pytest.raises(Conflict):
        saved(name="y", pools=[pool])


HOOK = """#!/bin/sh
read -r asked
echo "$asked" >> {folder}/asked
echo line >&2
case "$(wc -l < {folder}/asked)" in
  1) {first} ;;
  2) echo '{{"state": "working", "handle": {{"vm": 7}}, "again_s": 1}}' ;;
  *) echo '{{"state": "replaced", "sentence": "made", "address": "10.0.0.7"}}' ;;
esac
"""
ORDER = Order("a1", "n1", "10.0.0.1", 22, "web", "", 2, "https://f/x", "sha512-1", "SHA256:x")


def make_hook(folder: Path, first: str) -> Hook:
    (folder / "make").write_text(HOOK.format(folder=folder, first=first))
    (folder / "make").chmod(0o755)
    return Hook(("make",), 20, folder, Jobs(folder / "jobs", {"PATH": "/usr/bin:/bin"}))


def looked(hook: Hook, handle: Mapping[str, Any], until: tuple[str, ...]) -> Progress:
    lines: list[str] = []
    for _look in range(400):
        found = hook.look(ORDER, handle)
        lines += found.lines
        if found.code in until:
            return replace(found, lines=lines)
        handle = found.handle or handle
        time.sleep(0.02)
    raise AssertionError(found)


def test_a_hook_is_asked_until_it_has_an_end(tmp_path: Path) -> None:
    hook = make_hook(tmp_path, "kill -9 $PPID; sleep 0.2")
    handle = hook.start(ORDER, 1)
    assert hook.start(ORDER, 1) == handle, "once"
    found = looked(hook, handle, ("hook_works",))
    assert (found.handle["answered"], found.handle["asked"]) == ({"vm": 7}, 2), "its runner was killed in the first run"
    found = looked(hook, found.handle, ("replaced",))
    assert (found.address, found.said, found.lines) == ("10.0.0.7", "made", ["line"])
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert [one["id"] for one in asked] == ["a1"] * 3
    assert asked[2]["handle"] == {"vm": 7}
    assert asked[0]["ignition"] == {"url": "https://f/x", "sha512": "sha512-1"}
    hook.forget(ORDER)
    assert [one.name for one in (tmp_path / "jobs").iterdir()] == ["place"]


@pytest.mark.parametrize(
    ("first", "code"),
    [("exit 3", "hook_failed"), ("echo no", "hook_no_json"), ("echo '{}'", "hook_no_state"),
     ("""echo '{"state": "failed", "sentence": "no quota"}'""", "hook_says_failed")],
)  # fmt: skip
def test_a_hook_that_fails_says_why(tmp_path: Path, first: str, code: str) -> None:
    hook = make_hook(tmp_path, first)
    found = looked(hook, hook.start(ORDER, 1), (code,))
    assert found.state == "failed"
    assert wording.result_sentence(code, {"name": "site", "said": found.said, **found.params})
