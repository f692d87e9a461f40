"""Guided restores end to end on real parts: sshd, tar, and an etcd of several members, each on a host of its own."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput
from nodes.hosts import ssh
from nodes.models import HostKey, Node
from nodes.services.credentials import add_credential
from nodes.tests.api.client import Api
from nodes.tests.make import NOW, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops import wording
from ops.actions import restoring
from ops.engine import claim_due, run_step, start_queued
from ops.models import BackupPolicy, BackupRun, Operation
from ops.services.backups.guiding import guide_of, restore_at, tell
from ops.services.backups.policies import set_policy
from ops.services.backups.restores import request_restore
from ops.services.backups.runs import request_backup
from ops.services.backups.targets import set_target
from ops.services.control import cancel, resolve
from ops.services.restored import end_what_was_under_way
from ops.states import FINAL, State
from tests.conftest import missing
from tests.sshd import free_port, real_sshd

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("backups")]
FOLDERS = Path("/var/tmp")
_SUDO = """#!/bin/bash
while :; do case "$1" in -n) shift ;; *=*) export "$1"; shift ;; *) break ;; esac; done
exec "$@"
"""
#: A host whose only service is its etcd.
_SYSTEMCTL = """#!/bin/bash
cd {folder} || exit 1
pid=$(cat pid 2>/dev/null)
case "$*" in
    "show --property=MainPID"*) echo "${{pid:-0}}" ;;
    show*) echo ;;
    is-active*) kill -0 "$pid" 2>/dev/null ;;
    stop*) [ -z "$pid" ] || {{ kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; rm -f pid; }} ;;
    start*) setsid {etcd} </dev/null >>log 2>&1 & echo $! >pid ;;
esac
"""


class Killed(BaseException):
    """The worker is gone."""


class Site:
    """Hosts that are real sshds, with a target, and an operation that is led on step by step."""

    def __init__(self, stack: ExitStack, folder: Path, count: int = 1) -> None:
        self.folder, self.kept = folder, folder / "kept"
        self.kept.mkdir()
        name = pwd.getpwuid(os.getuid()).pw_name
        credential = add_credential(name="site", username=name, actor=SYSTEM, now=NOW)
        self.pool = make_pool("site", credential=credential)
        self.nodes: list[Node] = []
        for number in range(1, count + 1):
            place = folder / f"n{number}"
            (place / "bin").mkdir(parents=True)
            self.put(place / "bin" / "sudo", _SUDO)
            path = f"SetEnv PATH={place}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
            host = stack.enter_context(real_sshd([credential.public_key], options=[path], host_key_types=("ed25519",)))
            node = make_node(f"n{number}", address=host.address, port=host.port, pool=self.pool)
            HostKey.pinned(node, ssh.HostKey.parse(host.host_key_lines["ed25519"]), by="user:tests", now=NOW).save()
            self.nodes.append(node)
        given: dict[str, Any] = {"settings": {"path": str(self.kept)}, "credentials": {}, "actor": SYSTEM, "now": NOW}
        self.target = set_target(name="disk", kind="local", **given)

    @staticmethod
    def put(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def policy(self, kind: str, settings: dict[str, Any], **over: Any) -> BackupPolicy:
        given: dict[str, Any] = {"name": kind, "kind": kind, "settings": settings, "target": self.target, "keep": {}}
        return set_policy(**{**given, "actor": SYSTEM, "now": clock.now(), **over})

    def back_up(self, policy: BackupPolicy) -> BackupRun:
        operation = request_backup(policy=policy, actor=SYSTEM, now=clock.now()).operations[0]
        self.work(operation)
        run = BackupRun.objects.get(operation=operation)
        assert run.state == "good", run.result_params
        return run

    def ask(self, policy: BackupPolicy) -> Operation:
        given: dict[str, Any] = {"run_id": None, "confirm": policy.name, "actor": SYSTEM, "now": clock.now()}
        return request_restore(policy=policy, **given).operations[0]

    def work(self, operation: Operation, timeout_s: float = 60) -> Operation:
        """Until it has ended, or waits for a person."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            Operation.objects.filter(due_at__isnull=False).exclude(kind="restore_beside").update(due_at=NOW)
            start_queued(clock.now())
            for pk, lease in claim_due(clock.now()):
                run_step(pk, lease, clock.now())
            operation.refresh_from_db()
            rests = (
                operation.wait_reason.startswith("restore_asks")
                and Operation.objects.get(pk=operation.pk).lease_id is None
            )
            if operation.state in FINAL or operation.state == State.NEEDS_ATTENTION or rests:
                return operation
            if operation.wait_reason == "restore_gets_well":
                time.sleep(0.1)
        raise AssertionError((operation.state, operation.step, operation.wait_reason, operation.wait_params))

    def say(self, operation: Operation, what: str = "go_on") -> Operation:
        operation.refresh_from_db()
        tell(operation=operation, what=what, step=operation.step, actor=SYSTEM, now=clock.now())
        return self.work(operation)

    def work_until(self, operation: Operation, step: str) -> None:
        """Let it go on, and stop it before a step."""
        tell(operation=operation, what="go_on", step=operation.step, actor=SYSTEM, now=clock.now())
        for _ in range(50):
            Operation.objects.filter(pk=operation.pk).update(due_at=NOW)
            for pk, lease in claim_due(clock.now()):
                run_step(pk, lease, clock.now())
            operation.refresh_from_db()
            if operation.step == step:
                return
        raise AssertionError(operation.step)

    def lead(self, operation: Operation) -> Operation:
        self.work(operation)
        while operation.state not in FINAL and operation.state != State.NEEDS_ATTENTION:
            self.say(operation)
        return operation


def said(operation: Operation) -> str:
    return wording.result_sentence(operation.result, operation.result_params)


def folders(operation: Operation) -> list[Path]:
    return sorted(FOLDERS.glob(f"fleetui-restore-{operation.pk.hex}-*"))


@pytest.fixture
def site(transactional_db: None, tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path)


@pytest.fixture
def files(site: Site) -> tuple[BackupPolicy, Path]:
    data = site.folder / "data"
    data.mkdir()
    (data / "a file").write_text("as it was")
    policy = site.policy("path", {"paths": [str(data)]}, node=site.nodes[0])
    site.back_up(policy)
    (data / "a file").write_text("spoilt")
    return policy, data


def test_files_come_back_when_a_person_lets_them(site: Site, files: tuple[BackupPolicy, Path]) -> None:
    policy, data = files
    operation = site.work(site.ask(policy))
    assert (operation.step, operation.wait_reason) == ("restore_unpack", "restore_asks_go_on")
    assert (data / "a file").read_text() == "spoilt"
    (folder,) = folders(operation)
    assert folder.stat().st_mode & 0o077 == 0
    found = guide_of(restore_at(operation))
    states = {task.code: task.state for task in found.tasks}
    assert (states["restore_list"], states["restore_unpack"], states["restore_see"]) == ("done", "now", "to_come")
    (listed,) = [task for task in found.tasks if task.code == "restore_list"]
    assert "a file" in listed.on[0].printed
    assert not found.may_go_back
    site.say(operation)
    assert operation.state == State.SUCCEEDED, said(operation)
    assert (data / "a file").read_text() == "as it was"
    assert folders(operation) == []


def test_cancelled_before_the_first_change_nothing_is_left(site: Site, files: tuple[BackupPolicy, Path]) -> None:
    policy, data = files
    operation = site.work(site.ask(policy))
    assert folders(operation)
    cancel(operation=operation, actor=SYSTEM, now=clock.now())
    assert site.work(operation).state == State.CANCELLED
    assert folders(operation) == []
    assert (data / "a file").read_text() == "spoilt"


def test_when_fleetui_itself_was_restored_a_person_looks_first(site: Site, files: tuple[BackupPolicy, Path]) -> None:
    policy, data = files
    operation = site.work(site.ask(policy))
    # As a backup of the installation has it that was made once the person had said so.
    tell(operation=operation, what="go_on", actor=SYSTEM, now=clock.now())
    Operation.objects.filter(pk=operation.pk).update(memory={**operation.memory, "changed": True})
    assert end_what_was_under_way(made_at=NOW, now=clock.now()) == 0
    assert site.work(operation).state == State.NEEDS_ATTENTION
    assert "FleetUI itself was restored" in said(operation)
    assert (data / "a file").read_text() == "spoilt"
    assert guide_of(restore_at(operation)).asks == "go_on"


def test_what_is_not_the_backup_of_the_ledger_is_refused(site: Site, files: tuple[BackupPolicy, Path]) -> None:
    policy, data = files
    stored = Path(BackupRun.objects.get().location)
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    operation = site.work(site.ask(policy))
    assert (operation.state, operation.result) == (State.FAILED, "restore_other_bytes")
    assert (data / "a file").read_text() == "spoilt"
    assert folders(operation) == []


def test_it_asks_for_its_name_its_permission_and_a_free_node(site: Site, files: tuple[BackupPolicy, Path]) -> None:
    policy, _data = files
    given: dict[str, Any] = {"policy": policy, "run_id": None, "now": clock.now()}
    with pytest.raises(InvalidInput, match="not typed"):
        request_restore(**given, confirm="pat", actor=SYSTEM)
    where = f"backups/{policy.pk}/restore/"
    body = {"confirm": "path"}
    assert Api(make_user("vera", "viewer")).post(where, body).status_code == 403
    api = Api(make_user("anna", "admin"))
    planned = api.post(where, {"dry_run": True}).json()
    assert [one["step"] for one in planned["steps"] if one["asks"]] == ["restore_unpack"]
    assert Operation.objects.filter(kind="restore").count() == 0
    made = api.post(where, body)
    assert made.status_code == 201, made.json()
    with pytest.raises(Conflict, match="cannot be restored now"):
        request_restore(**given, confirm="path", actor=SYSTEM)
    operation = Operation.objects.get(kind="restore")
    site.work(operation)
    there = f"operations/{operation.pk}/restore/"
    assert api.post(there, {"what": "go_on", "step": "restore_swap"}).status_code == 409
    assert api.post(there, {"what": "go_back"}).status_code == 409
    assert api.get(there).json()["asks"] == "go_on"
    page = signed_in(make_user("bea", "admin"))
    assert "Unpack it over what is there" in page.get(f"/operations/{operation.pk}/restore/").content.decode()
    assert page.get(f"/backups/{policy.pk}/restore/").status_code == 200
    assert "Restore…" in page.get(f"/backups/{policy.pk}/").content.decode()
    assert page.get(f"/operations/{operation.pk}/").status_code == 200
    assert api.post(there, {"what": "go_on", "step": "restore_unpack"}).status_code == 200
    assert site.work(operation).state == State.SUCCEEDED


class Cluster(Site):
    """Each host has a member of one etcd."""

    def __init__(self, stack: ExitStack, folder: Path, count: int) -> None:
        super().__init__(stack, folder, count)
        peers = {node.name: f"http://127.0.0.1:{free_port()}" for node in self.nodes}
        self.clients = {node.name: f"http://127.0.0.1:{free_port()}" for node in self.nodes}
        listed = ",".join(f"m-{name}={peer}" for name, peer in peers.items())
        for name, peer in peers.items():
            place, client = folder / name, self.clients[name]
            argv = f"etcd --name=m-{name} --data-dir={place}/data --initial-cluster={listed} --heartbeat-interval=50"
            argv += f" --listen-client-urls={client} --advertise-client-urls={client} --election-timeout=500"
            argv += f" --listen-peer-urls={peer} --initial-advertise-peer-urls={peer}"
            self.put(place / "bin" / "systemctl", _SYSTEMCTL.format(folder=place, etcd=argv))
            # Each host asks the member that is on it.
            self.put(
                place / "bin" / "etcdctl",
                f'#!/bin/bash\nexec /usr/bin/etcdctl "${{@/#--endpoints=*/--endpoints={client}}}"\n',
            )
            stack.callback(self.power, name, "stop")
            self.power(name, "start")
        self.ctl("put", "/a", "as it was")

    def power(self, name: str, verb: str) -> None:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run([self.folder / name / "bin" / "systemctl", verb], check=False, timeout=10)

    def ctl(self, *words: str) -> str:
        end = time.monotonic() + 20
        while True:
            argv = ["/usr/bin/etcdctl", f"--endpoints={','.join(self.clients.values())}", *words]
            done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"ETCDCTL_API": "3"})
            if not done.returncode or time.monotonic() > end:
                assert not done.returncode, done.stderr
                return done.stdout
            time.sleep(0.1)

    def before(self) -> list[bool]:
        return [(self.folder / node.name / "data.before").exists() for node in self.nodes]

    def backed_up(self) -> BackupPolicy:
        settings = {"runs_in": "host", "endpoint": self.clients["n1"], "folder": str(self.folder)}
        policy = self.policy("etcd", settings, pool=self.pool)
        self.back_up(policy)
        self.ctl("put", "/a", "spoilt")
        return policy


@pytest.fixture
def cluster(transactional_db: None, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if not Path("/usr/bin/etcdctl").exists():
        missing("etcd is not installed")
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path, getattr(request, "param", 1))


@pytest.mark.parametrize("cluster", [1, pytest.param(3, marks=pytest.mark.soak)], indirect=True)
def test_all_members_of_an_etcd_come_back(cluster: Cluster) -> None:
    count = len(cluster.nodes)
    beside = Operation.objects.filter(kind="restore_beside")
    policy = cluster.backed_up()
    operation = cluster.work(cluster.ask(policy))
    assert operation.step == "restore_halt_unit"
    assert beside.filter(state__in=[State.RUNNING, State.WAITING]).count() == count - 1
    for one in beside:
        with pytest.raises(Conflict, match="keeps this host"):
            cancel(operation=one, actor=SYSTEM, now=clock.now())
    cluster.say(operation)
    assert (operation.step, cluster.before()) == ("restore_aside", [False] * count)
    with pytest.raises(Conflict, match="begun to change"):
        cancel(operation=operation, actor=SYSTEM, now=clock.now())
    cluster.say(operation)
    assert operation.state == State.SUCCEEDED, (said(operation), operation.memory)
    assert "as it was" in cluster.ctl("get", "/a")
    assert cluster.before() == [True] * count
    assert "data.before" in said(operation)
    assert folders(operation) == []
    beside.filter(due_at__isnull=False).update(due_at=NOW)
    cluster.work(operation)
    for pk, lease in claim_due(clock.now()):
        run_step(pk, lease, clock.now())
    assert list(beside.values_list("state", flat=True)) == [State.SUCCEEDED] * (count - 1)


def test_it_goes_back_to_what_ran_before(cluster: Cluster) -> None:
    policy = cluster.backed_up()
    operation = cluster.work(cluster.ask(policy))
    cluster.say(operation)
    # Somebody starts it in the middle: nothing is put aside below a member that runs.
    cluster.power("n1", "start")
    cluster.say(operation)
    assert (operation.state, operation.result) == (State.NEEDS_ATTENTION, "restore_not_now"), operation.memory
    assert "etcd runs here" in said(operation)
    assert cluster.before() == [False]
    cluster.power("n1", "stop")
    cluster.work_until(operation, "restore_start")
    assert cluster.before() == [True]
    cluster.say(operation, "go_back")
    assert (operation.state, operation.result) == (State.FAILED, "restore_went_back"), operation.memory
    states = {task.code: task.state for task in guide_of(restore_at(operation)).tasks}
    assert [states[f"restore_{step}"] for step in ("aside", "start", "well")] == ["done", "to_come", "to_come"]
    assert "spoilt" in cluster.ctl("get", "/a")
    assert cluster.before() == [False]
    assert folders(operation) == []


@pytest.mark.soak
def test_killed_in_every_step_it_does_nothing_twice(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker dies after each of its calls to the host, before it has written down what became of it."""
    policy = cluster.backed_up()
    operation = cluster.ask(policy)
    real, died = restoring.run_there, []

    def dies(ctx: Any, host: Any, argv: tuple[str, ...]) -> Any:
        found = real(ctx, host, argv)
        key = (ctx.step, argv[5] if len(argv) > 5 else "")
        if key not in died:
            died.append(key)
            raise Killed
        return found

    monkeypatch.setattr("ops.actions.restore.run_there", dies)
    for _ in range(60):
        try:
            cluster.lead(operation)
            break
        except Killed:
            Operation.objects.update(lease_until=NOW)
    assert operation.state == State.SUCCEEDED, (said(operation), operation.memory)
    assert {step for step, _name in died} >= {"restore_halt_unit", "restore_aside", "restore_member", "restore_start"}
    assert "as it was" in cluster.ctl("get", "/a")
    assert cluster.before() == [True]


def test_by_hand_the_backup_stays_where_it_was_brought(cluster: Cluster) -> None:
    policy = cluster.backed_up()
    operation = cluster.work(cluster.ask(policy))
    cluster.say(operation)
    (cluster.folder / "n1" / "data.before").mkdir()
    (cluster.folder / "n1" / "data.before" / "other").touch()
    cluster.say(operation)
    assert operation.state == State.NEEDS_ATTENTION
    resolve(operation=operation, go_on=False, actor=SYSTEM, now=clock.now(), reason="by hand")
    operation.refresh_from_db()
    assert operation.state == State.FAILED
    (folder,) = folders(operation)
    assert list(folder.glob("*.db"))
    subprocess.run(["rm", "-rf", str(folder)], check=True)
