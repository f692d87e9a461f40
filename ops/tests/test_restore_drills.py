"""Restore drills on real parts: etcd that restores, archives that are read, what stands against it, and what a worker leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.models import Node
from nodes.tests.make import deployment, make_facts, make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops import wording
from ops.backups.age import Envelope
from ops.backups.base import Stored
from ops.backups.drill import Chosen, DrillFailed, prove
from ops.backups.local import LocalTarget
from ops.backups.scratch import PID, folder, sweep
from ops.engine import claim_due, run_step, start_queued
from ops.models import BackupDrill, BackupPolicy, BackupRun, BackupTarget, Operation
from ops.services.backups.drills import request_drill
from ops.services.backups.gates import gates_on
from ops.services.backups.policies import set_policy
from ops.services.backups.targets import envelope_of, set_target
from ops.services.backups.watching import settle, watch
from ops.services.request import preview
from ops.states import State
from tests.etcd import Etcd, etcd

pytestmark = [pytest.mark.xdist_group("backups")]


@pytest.fixture(scope="module")
def members() -> Iterator[Etcd]:
    with etcd() as server:
        for number in range(25):
            server.ctl("put", f"/registry/{number}", "x" * 100)
        yield server


@pytest.fixture
def local(db: None, tmp_path: Path) -> BackupTarget:
    (tmp_path / "kept").mkdir()
    settings = {"path": str(tmp_path / "kept")}
    return set_target(name="disk", kind="local", settings=settings, credentials={}, actor=SYSTEM, now=clock.now())


@pytest.fixture(autouse=True)
def scratch(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path / "var"
    settings.DATA_DIR.mkdir()
    return tmp_path / "var" / "scratch"


def make_policy(target: BackupTarget, **over: Any) -> BackupPolicy:
    given: dict[str, Any] = {
        "name": "etcd",
        "kind": "etcd",
        "settings": {},
        "pool": make_pool("control"),
        "target": target,
        "keep": {},
        "actor": SYSTEM,
        "now": clock.now(),
    }
    return set_policy(**{**given, **over})


def a_backup(policy: BackupPolicy, content: bytes, **checks: Any) -> BackupRun:
    """A good one in the ledger that lies at its target."""
    key, now = f"etcd/{clock.now().timestamp()}.db", clock.now()
    assert policy.target
    stored = LocalTarget(policy.target.settings["path"]).put(key, [content], lambda: None)
    BackupPolicy.objects.filter(pk=policy.pk).update(last_good_at=now)
    location = f"{policy.target.settings['path']}/{key}"
    return BackupRun.objects.create(
        policy=policy,
        state="good",
        started_at=now,
        ended_at=now,
        target=policy.target,
        key=key,
        location=location,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        checks=checks,
    )


def snapshot(members: Etcd) -> tuple[bytes, dict[str, int]]:
    """As a backup policy takes it: the script itself, and what it says of it."""
    from ops.backups.sources import checked, source_of

    source = source_of("etcd", checked("etcd", members.settings), "drill")
    argv = [word for word in source.argv if word not in ("sudo", "-n")]
    line, _newline, content = subprocess.run(argv, capture_output=True, check=True).stdout.partition(b"\n")
    assert source.read_header
    return content, dict(source.read_header(line).found)


def work(operation: Operation) -> Operation:
    while True:
        Operation.objects.filter(due_at__isnull=False).update(due_at=clock.now())
        start_queued(clock.now())
        claimed = claim_due(clock.now())
        if not claimed:
            break
        for one, lease in claimed:
            run_step(one, lease, clock.now())
    operation.refresh_from_db()
    settle(clock.now())
    return operation


def ask(policy: BackupPolicy) -> Operation:
    return request_drill(policy=policy, actor=SYSTEM, now=clock.now()).operations[0]


def said(operation: Operation) -> str:
    return wording.result_sentence(operation.result, operation.result_params)


def left_of(scratch: Path) -> list[Path]:
    return [path for path in scratch.iterdir() if path.is_dir()] if scratch.exists() else []


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_is_restored_and_the_proof_is_kept(members: Etcd, local: BackupTarget, scratch: Path) -> None:
    policy = make_policy(local, prove_within_s=86_400, is_gate=True)
    node = make_node("cp-1", pool=policy.pool)
    content, found = snapshot(members)
    run = a_backup(policy, content, **found)
    assert [gate.code for gate in gates_on([node], clock.now())[node.pk]] == ["never_proven"]
    operation = work(ask(policy))
    assert operation.state == State.SUCCEEDED, said(operation)
    one = BackupDrill.objects.get()
    assert (one.state, one.proves, one.run_id, one.asked_by) == ("good", "restored", run.pk, str(SYSTEM))
    assert one.found == {"revision": found["revision"], "live_keys": 25, "keys": found["keys"]}
    policy.refresh_from_db()
    assert policy.last_proven_at == one.ended_at
    assert "25 keys alive" in said(operation)
    assert left_of(scratch) == []
    assert [gate.code for gate in gates_on([node], clock.now())[node.pk]] == ["open"]
    # One whose bytes are right and whose numbers are not those of the snapshot proves nothing.
    BackupRun.objects.update(checks={**found, "live_keys": 26})
    operation = work(ask(policy))
    assert (operation.state, operation.result) == (State.FAILED, "drill_differs")
    assert "in the number of keys alive (25, not 26)." in said(operation)
    assert BackupDrill.objects.filter(state="failed").count() == 1


@pytest.mark.one_database
def test_other_bytes_are_named_before_anything_is_restored(local: BackupTarget, scratch: Path) -> None:
    policy = make_policy(local)
    make_node("cp-1", pool=policy.pool)
    run = a_backup(policy, b"a snapshot", revision=1)
    Path(run.location).write_bytes(b"a snapsh0t")
    Rule.objects.create(channel=Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a"))
    operation = work(ask(policy))
    assert operation.result == "drill_other_bytes"
    assert left_of(scratch) == []
    assert "backup.drill_failed" in Delivery.objects.values_list("event", flat=True)


@pytest.mark.one_database
def test_what_is_no_snapshot_does_not_restore(local: BackupTarget, scratch: Path) -> None:
    policy = make_policy(local)
    make_node("cp-1", pool=policy.pool)
    a_backup(policy, b"not a snapshot" * 1000, revision=1)
    operation = work(ask(policy))
    assert operation.result == "drill_not_restored", said(operation)
    assert left_of(scratch) == []


@pytest.mark.one_database
def test_without_its_programs_a_drill_says_so_first(local: BackupTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(local)
    make_node("cp-1", pool=policy.pool)
    a_backup(policy, b"x")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    operation = work(ask(policy))
    assert operation.result == "drill_no_program"
    assert said(operation).startswith("etcd is missing where drills run")


def test_nothing_to_try_and_one_at_a_time(local: BackupTarget) -> None:
    policy = make_policy(local)
    make_node("cp-1", pool=policy.pool)
    with pytest.raises(Conflict, match="no good backup"):
        ask(policy)
    a_backup(policy, b"x")
    ask(policy)
    with pytest.raises(Conflict, match="under way"):
        ask(policy)


# what it proves of archives and dumps, without a database


class _Kept:
    """A target that holds one thing."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, _key: str) -> Iterator[bytes]:
        for at in range(0, len(self._content), 70_000):
            yield self._content[at : at + 70_000]


def proven(kind: str, content: bytes, scratch: Path, kept: bytes | None = None) -> dict[str, Any]:
    import hashlib

    chosen = Chosen("r", kind, "k", Stored(len(content), hashlib.sha256(content).hexdigest()), "there", {})
    return prove(chosen, _Kept(content if kept is None else kept), scratch, lambda: None, Envelope())  # type: ignore[arg-type]


@pytest.mark.one_database
class TestArchives:
    def archive(self, folder: Path) -> bytes:
        (folder / "files").mkdir()
        (folder / "files/a").write_bytes(os.urandom(200_000))
        (folder / "files/b").write_text("b")
        argv = ["tar", "--create", "--gzip", f"--directory={folder}", "files"]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    def test_all_of_it_is_read(self, tmp_path: Path, scratch: Path) -> None:
        assert proven("path", self.archive(tmp_path), scratch) == {"files": 3, "content_bytes": 200_001}

    def test_one_that_was_cut_or_damaged_before_it_was_stored(self, tmp_path: Path, scratch: Path) -> None:
        whole = self.archive(tmp_path)
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        for broken in (whole[:-9], whole[: len(whole) // 2], bytes(flipped)):
            with pytest.raises(DrillFailed) as told:
                proven("path", broken, scratch)
            assert told.value.code == "drill_unreadable"

    def test_other_bytes_at_the_target_are_named_as_such(self, tmp_path: Path, scratch: Path) -> None:
        whole = self.archive(tmp_path)
        for other in (whole[:-1], whole + b"x", b""):
            with pytest.raises(DrillFailed) as told:
                proven("path", whole, scratch, kept=other)
            assert told.value.code == "drill_other_bytes"

    def test_a_dump_that_is_none(self, scratch: Path) -> None:
        if shutil.which("pg_restore") is None:
            pytest.skip("pg_restore is not installed")
        with pytest.raises(DrillFailed) as told:
            proven("postgresql", b"PGDMP and then nothing", scratch)
        assert told.value.code == "drill_unreadable"


@pytest.mark.one_database
class TestWhatAKilledWorkerLeft:
    def test_it_goes_at_the_next_drill_with_the_etcd_that_ran(self, tmp_path: Path) -> None:
        scratch = tmp_path / "drills"
        left = scratch / "0011"
        left.mkdir(parents=True)
        (left / "snapshot.db").write_bytes(b"x")
        process = subprocess.Popen(["sleep", "60"], cwd=left)
        (left / PID).write_text(str(process.pid))
        with folder(scratch) as mine:
            assert left_of(scratch) == [mine]
            assert process.wait(10) == -9
        assert left_of(scratch) == []

    def test_kill_9_frees_the_lock(self, tmp_path: Path) -> None:
        scratch = tmp_path / "drills"
        code = (
            "import sys, time; from pathlib import Path; from ops.backups.scratch import folder\n"
            "with folder(Path(sys.argv[1])):\n    print('in', flush=True); time.sleep(60)"
        )
        argv = [sys.executable, "-c", code, str(scratch)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert process.stdout
        assert process.stdout.readline() == b"in\n"
        (other,) = left_of(scratch)
        assert sweep(scratch) == 0  # it goes on
        process.kill()
        process.wait()
        assert other.exists()
        assert sweep(scratch) == 1
        assert left_of(scratch) == []

    def test_a_number_that_is_somebody_elses_now_is_left_alone(self, tmp_path: Path) -> None:
        left = tmp_path / "drills" / "0022"
        left.mkdir(parents=True)
        process = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
        try:
            (left / PID).write_text(str(process.pid))
            assert sweep(tmp_path / "drills") == 1
            time.sleep(0.05)
            assert process.poll() is None
        finally:
            process.kill()
            process.wait()


class TestGate:
    def stands(self, target: BackupTarget, **columns: Any) -> tuple[Node, list[Any]]:
        policy = make_policy(target, prove_within_s=7200, overdue_after_s=3600, is_gate=True)
        BackupPolicy.objects.filter(pk=policy.pk).update(**columns)
        node = make_node("cp-1", pool=policy.pool, os_family="fcos", reachability="reachable")
        rollback = deployment("42.1", index=1, booted=False, rollback=True, checksum="d" * 64)
        make_facts(node, deployments=[deployment("43.1"), rollback])
        node.refresh_from_db()
        (plan,) = preview(nodes=[node], kind="rollback", params={}, actor=SYSTEM, now=clock.now())
        return node, [check for check in plan.checks if "gate_" in check.code or check.code == "backup_proven"]

    @pytest.mark.parametrize(
        ("good_h", "proven_h", "code", "word"),
        [
            (None, None, "gate_no_backup", "there is no good one"),
            (5, 0, "gate_backup_old", "5 h old"),
            (0, None, "gate_never_proven", "no restore drill"),
            (0, 5, "gate_proof_old", "5 h old"),
            (0, 1, "backup_proven", "1 h ago"),
        ],
    )
    def test_a_plan_says_what_is_missing(
        self, local: BackupTarget, good_h: int | None, proven_h: int | None, code: str, word: str
    ) -> None:
        now = clock.now()
        good, proof = (None if hours is None else now - timedelta(hours=hours) for hours in (good_h, proven_h))
        _node, checks = self.stands(local, last_good_at=good, last_proven_at=proof)
        assert [(check.code, check.level) for check in checks] == [(code, "ok" if code == "backup_proven" else "block")]
        assert word in wording.check_sentence(code, checks[0].params)

    def test_the_live_look_asks_again(self, local: BackupTarget) -> None:
        from ops.engine.standing import standing
        from ops.services.request import request_operations

        now = clock.now()
        node, _checks = self.stands(local, last_good_at=now, last_proven_at=now)
        (row,) = request_operations(nodes=[node], kind="rollback", actor=SYSTEM, now=now).operations
        assert [gate["code"] for gate in standing(row, node)["gates"]] == ["open"]
        BackupPolicy.objects.update(last_proven_at=None)
        assert [gate["code"] for gate in standing(row, node)["gates"]] == ["never_proven"]

    @pytest.mark.one_database
    @pytest.mark.parametrize("given", [{"is_gate": True}, {"prove_within_s": 1}])
    def test_half_a_setting_is_refused(self, local: BackupTarget, given: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            make_policy(local, **given)

    @pytest.mark.one_database
    def test_no_policy_that_is_no_gate_stands_before_anything(self, local: BackupTarget) -> None:
        policy = make_policy(local, prove_within_s=7200)
        node = make_node("cp-1", pool=policy.pool)
        assert gates_on([node], clock.now()) == {node.pk: []}


def test_a_proof_that_is_too_old_is_told_once_and_taken_back(local: BackupTarget) -> None:
    Rule.objects.create(channel=Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a"))
    policy = make_policy(local, prove_within_s=3600, overdue_after_s=86_400 * 30)
    made = policy.created_at
    for _ in range(2):
        watch(made + timedelta(hours=2))
    BackupPolicy.objects.update(last_proven_at=made + timedelta(hours=2))
    watch(made + timedelta(hours=2, minutes=1))
    assert sorted(Delivery.objects.values_list("event", flat=True)) == ["backup.proven", "backup.unproven"]


class TestEncrypted:
    """The target encrypts; an identity that is sealed with it opens what its drills try."""

    @pytest.fixture
    def closed(self, local: BackupTarget, members: Etcd) -> BackupPolicy:
        content, checks = snapshot(members)
        self.identity = pyrage.x25519.Identity.generate()
        self.set(local, recipients=[str(self.identity.to_public())], identity=str(self.identity))
        policy = make_policy(local)
        make_node("cp-1", pool=policy.pool)
        lies = b"".join(envelope_of(BackupTarget.objects.get()).closed(one for one in [content]))
        run = a_backup(policy, lies, **checks)
        name = run.key + ".age"
        path = Path(run.location)
        path.rename(path.with_name(path.name + ".age"))
        BackupRun.objects.update(key=name, location=f"{run.location}.age")
        return policy

    def set(self, local: BackupTarget, *, recipients: list[str], identity: str = "") -> None:
        settings = {"path": local.settings["path"], "recipients": recipients}
        row = BackupTarget.objects.get(pk=local.pk)
        given: dict[str, Any] = {"name": "disk", "kind": "local", "actor": SYSTEM, "now": clock.now(), "target": row}
        set_target(**given, settings=settings, credentials={"identity": identity})

    def test_it_is_restored(self, closed: BackupPolicy, scratch: Path) -> None:
        operation = work(ask(closed))
        assert operation.state == State.SUCCEEDED, said(operation)
        assert BackupDrill.objects.get().found["live_keys"] == 25
        assert left_of(scratch) == []

    def test_without_the_identity_nothing_is_fetched(self, closed: BackupPolicy, local: BackupTarget) -> None:
        self.set(local, recipients=[])
        operation = work(ask(closed))
        assert operation.state == State.FAILED
        assert "no identity that opens it" in said(operation)

    def test_another_identity_says_so(self, closed: BackupPolicy, local: BackupTarget) -> None:
        other = pyrage.x25519.Identity.generate()
        self.set(local, recipients=[str(other.to_public())], identity=str(other))
        operation = work(ask(closed))
        assert operation.state == State.FAILED
        assert "encrypted to other recipients" in said(operation)

    def test_other_bytes_are_told_as_that(self, closed: BackupPolicy) -> None:
        path = Path(BackupRun.objects.get().location)
        path.write_bytes(path.read_bytes()[:-1])
        operation = work(ask(closed))
        assert operation.state == State.FAILED
        assert "not what was written" in said(operation)


def test_a_bad_time_of_the_drill_is_told_at_its_own_field(local: BackupTarget) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_policy(local, cron="0 2 * * *", drill_cron="0 25 * * *")
    assert (caught.value.field, caught.value.value) == ("drill_cron", "0 25 * * *")


def test_page_and_api_show_the_proof_with_its_age(local: BackupTarget) -> None:
    user = make_user("anna", "admin")
    policy = make_policy(local, prove_within_s=7200, is_gate=True, drill_cron="0 5 * * 0")
    make_node("cp-1", pool=policy.pool)
    client = signed_in(user)
    page = client.get(f"/backups/{policy.pk}/").content.decode()
    assert "No drill has proven it yet." in page
    assert "there is no good one" in page
    run, now = a_backup(policy, b"x"), clock.now()
    found = {"revision": 7, "live_keys": 25, "keys": 60}
    told = {"run": run, "state": "good", "proves": "restored", "found": found, "result": "drill_restored"}
    times = {"started_at": now, "ended_at": now, "backup_at": run.ended_at}
    BackupDrill.objects.create(policy=policy, asked_by="user:anna", location=run.location, **times, **told)
    BackupPolicy.objects.update(last_proven_at=now)
    page = client.get(f"/backups/{policy.pk}/").content.decode()
    assert "revision 7, 25 keys alive" in page
    assert "was proven by a restore drill 0 h ago" in page
    assert "proven" in client.get("/backups/").content.decode()
    form = client.get(f"/backups/{policy.pk}/edit/").content.decode()
    assert "0 5 * * 0" in form
    answer = client.get(f"/api/v1/backups/policies/{policy.pk}/").json()
    assert (answer["gate"], answer["drill_cron"], answer["prove_within_s"]) == ("open", "0 5 * * 0", 7200)
    (one,) = client.get(f"/api/v1/backups/{policy.pk}/drills/").json()["results"]
    assert (one["proves"], one["found"], one["asked_by"]) == ("restored", found, "user:anna")
    assert client.post(f"/backups/{policy.pk}/drill/").status_code == 302
    assert BackupDrill.objects.filter(state="running").count() == 1
