"""Backups end to end on real parts: sshd, tar, etcd with TLS, a directory and an S3 server; and everything that goes wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pwd
import shutil
import ssl as ssl_module
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.crypto import seal
from fleetui.core.errors import Conflict
from nodes.hosts import ssh
from nodes.models import HostKey, Node
from nodes.services.credentials import add_credential
from nodes.tests.make import NOW, make_node, make_pool
from ops import wording
from ops.actions import backup as action
from ops.backups.base import WITHHELD, TargetError, try_out
from ops.backups.local import LocalTarget
from ops.backups.s3 import S3Place, S3Target
from ops.engine import claim_due, run_step, start_queued
from ops.models import BackupPolicy, BackupRun, LogLine, Operation
from ops.services.backups.policies import set_policy
from ops.services.backups.runs import request_backup
from ops.services.backups.targets import opened, set_target
from ops.services.backups.watching import settle
from ops.services.control import cancel
from ops.states import FINAL, State
from tests.conftest import missing
from tests.etcd import Etcd, etcd
from tests.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, s3_server
from tests.sshd import RealSshd, real_sshd

pytestmark = [pytest.mark.sshd, pytest.mark.xdist_group("backups")]
CONTENT = os.urandom(3_000_000)


class Killed(BaseException):
    """The worker is gone: nothing that it would have done next happens."""


class Lab:
    """One node that is a real sshd, with files on it, and a directory as target."""

    def __init__(self, host: RealSshd, folder: Path) -> None:
        self.folder = folder
        name = pwd.getpwuid(os.getuid()).pw_name
        credential = add_credential(name="lab", username=name, actor=SYSTEM, now=NOW)
        with (host.folder / "authorized_keys").open("a") as keys:
            keys.write(f"{credential.public_key}\n")
        self.pool = make_pool(credential=credential)
        self.node: Node = make_node("cp-1", address=host.address, port=host.port, pool=self.pool)
        HostKey.pinned(self.node, ssh.HostKey.parse(host.host_key_lines["ed25519"]), by="user:tests", now=NOW).save()
        self.source, self.kept = folder / "source", folder / "kept"
        self.source.mkdir()
        self.kept.mkdir()
        (self.source / "data.bin").write_bytes(CONTENT)
        (self.source / "skipped.tmp").write_text("no")
        self.local = set_target(
            name="disk", kind="local", settings={"path": str(self.kept)}, credentials={}, actor=SYSTEM, now=NOW
        )

    def policy(self, **over: Any) -> BackupPolicy:
        given = {
            "name": "files",
            "kind": "path",
            "settings": {"paths": [str(self.source)], "exclude": ["*.tmp"]},
            "node": self.node,
            "target": self.local,
            "keep": {"daily": 7},
            "actor": SYSTEM,
            "now": clock.now(),
        }
        return set_policy(**{**given, **over})

    def ask(self, policy: BackupPolicy) -> Operation:
        return request_backup(policy=policy, actor=SYSTEM, now=clock.now()).operations[0]

    def step(self) -> bool:
        """Everything that is due now, once; waits and attempts are due at once. False when nothing is left to do."""
        Operation.objects.filter(due_at__isnull=False).update(due_at=NOW)
        start_queued(clock.now())
        claimed = claim_due(clock.now())
        for operation, lease in claimed:
            run_step(operation, lease, clock.now())
        return bool(claimed)

    def work(self, operation: Operation) -> Operation:
        while self.step():
            pass
        operation.refresh_from_db()
        settle(clock.now())
        return operation

    def files(self) -> list[str]:
        return sorted(path.name for path in self.kept.rglob("*") if path.is_file())

    def leases_run_out(self) -> None:
        Operation.objects.update(lease_until=NOW)


@pytest.fixture(scope="module")
def host() -> Iterator[RealSshd]:
    with real_sshd([], host_key_types=("ed25519",)) as server:
        yield server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def members() -> Iterator[Etcd]:
    with etcd() as server:
        for number in range(25):
            server.ctl("put", f"/registry/{number}", "x" * 100)
        yield server


@pytest.fixture
def lab(transactional_db: None, host: RealSshd, tmp_path: Path) -> Lab:
    return Lab(host, tmp_path)


def on_s3(lab: Lab, s3: S3Server) -> Any:
    settings = {"endpoint": s3.endpoint, "bucket": BUCKET, "prefix": lab.folder.name.replace("_", "-")}
    keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    return set_target(name="store", kind="s3", settings=settings, credentials=keys, actor=SYSTEM, now=NOW)


def said(operation: Operation) -> str:
    return wording.result_sentence(operation.result, operation.result_params)


def uploads(target: Any) -> list[Any]:
    s3: S3Target = opened(target)  # type: ignore[assignment]
    found = s3._s3.list_multipart_uploads(Bucket=BUCKET, Prefix=target.settings["prefix"])
    return list(found.get("Uploads", ()))


def test_files_of_a_host_lie_in_a_directory(lab: Lab) -> None:
    policy = lab.policy()
    os.setxattr(lab.source / "data.bin", "user.kept", b"with it")
    operation = lab.work(lab.ask(policy))
    assert operation.state == State.SUCCEEDED, said(operation)
    run = BackupRun.objects.get()
    assert (run.state, run.source, run.deleted_at) == ("good", "cp-1", None)
    path = Path(run.location)
    packed = path.read_bytes()
    assert len(packed) == run.size_bytes
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        names = archive.getnames()
        member = archive.extractfile(str(lab.source / "data.bin").lstrip("/"))
        assert member is not None
        assert member.read() == CONTENT
        pax = archive.getmember(str(lab.source / "data.bin").lstrip("/")).pax_headers
        assert pax["SCHILY.xattr.user.kept"] == "with it"
    assert not any(name.endswith(".tmp") for name in names)
    policy.refresh_from_db()
    assert policy.last_good_at == run.ended_at
    assert run.location in said(operation)
    effect = AuditEvent.objects.get(action="operations.effect")
    assert '"tar"' in effect.after
    assert path.stat().st_mode & 0o077 == 0


def test_what_a_lock_holds_stays_and_versions_go_too(s3: S3Server) -> None:
    """A bucket with locks keeps versions: deleting a name alone would leave every backup there, hidden."""
    locked = S3Target(s3.place(bucket="locked", lock="GOVERNANCE", lock_days=1))
    locked._s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    try_out(locked, ".try/1")
    locked.put("a/1", [b"held"], lambda: None)
    with pytest.raises(TargetError) as refused:
        locked.delete("a/1")
    assert refused.value.code in WITHHELD
    assert b"".join(locked.read("a/1")) == b"held"
    locked.forget("a/1")
    assert list(locked.entries("")) == []

    free = S3Target(s3.place(bucket="locked"))
    free.put("a/2", [b"free"], lambda: None)
    free.delete("a/2")
    assert list(free._versions("a/2")) == []


def test_s3_encrypts_where_that_is_asked(s3: S3Server) -> None:
    target = S3Target(s3.place(encryption="AES256"))
    key = "sse/one"
    stored = target.put(key, [b"a" * 100], lambda: None)
    assert b"".join(target.read(key)) == b"a" * 100
    assert stored.size_bytes == 100
    assert target._s3.head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] == "AES256"


def test_s3_is_trusted_as_the_machine_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    place = S3Place("bucket", "key", "secret", endpoint="https://s3.example.com")
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    seen = S3Target(place)._s3._endpoint.http_session._verify
    assert seen == (ssl_module.get_default_verify_paths().cafile or True)
    monkeypatch.setenv("AWS_CA_BUNDLE", "/own/ca.pem")
    assert S3Target(place)._s3._endpoint.http_session._verify == "/own/ca.pem"


@pytest.mark.parametrize("place", ["directory", "s3"])
def test_what_is_encrypted_is_opened_by_age_alone(lab: Lab, s3: S3Server, tmp_path: Path, place: str) -> None:
    if not shutil.which("age"):
        missing("age is not installed")
    subprocess.run(["age-keygen", "-o", tmp_path / "key"], check=True, capture_output=True)
    public = subprocess.check_output(["age-keygen", "-y", tmp_path / "key"], text=True).strip()
    target = lab.local if place == "directory" else on_s3(lab, s3)
    given: dict[str, Any] = {"name": target.name, "kind": target.kind, "target": target, "actor": SYSTEM, "now": NOW}
    target = set_target(**given, settings={**target.settings, "recipients": [public]}, credentials={})
    operation = lab.work(lab.ask(lab.policy(target=target)))
    assert operation.state == State.SUCCEEDED, said(operation)
    run = BackupRun.objects.get()
    assert run.key.endswith(".tar.gz.age")
    assert run.checks["recipients"] == [public]
    lies = b"".join(opened(target).read(run.key))
    assert (len(lies), hashlib.sha256(lies).hexdigest()) == (run.size_bytes, run.sha256)
    packed = subprocess.run(["age", "-d", "-i", tmp_path / "key"], input=lies, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        member = archive.extractfile(str(lab.source / "data.bin").lstrip("/"))
        assert member is not None
        assert member.read() == CONTENT


def test_an_etcd_snapshot_lies_in_s3(lab: Lab, s3: S3Server, members: Etcd) -> None:
    target = on_s3(lab, s3)
    settings = members.settings
    policy = lab.policy(name="etcd", kind="etcd", node=None, pool=lab.pool, settings=settings, target=target)
    operation = lab.work(lab.ask(policy))
    assert operation.state == State.SUCCEEDED, said(operation)
    run = BackupRun.objects.get()
    assert run.location.startswith(f"s3://{BUCKET}/")
    restored = lab.folder / "restored.db"
    restored.write_bytes(b"".join(opened(target).read(run.key)))
    status = subprocess.run(
        ["etcdctl", "snapshot", "status", str(restored)],
        env={"ETCDCTL_API": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert status.split(", ")[:3] == [
        run.checks["hash"].lstrip("0"),
        str(run.checks["revision"]),
        str(run.checks["keys"]),
    ]
    assert run.checks["keys"] >= 25
    assert list((members.folder / "snapshots").iterdir()) == []
    assert uploads(target) == []
    lines = {line.text: line.params for line in LogLine.objects.filter(stream="note")}
    assert "25" in wording.note_sentence("backup_copied", lines["backup_copied"])


def test_what_the_host_says_of_etcd_is_what_people_read(lab: Lab, members: Etcd) -> None:
    wrong = {**members.settings, "endpoint": "https://127.0.0.1:1"}
    policy = lab.policy(name="etcd", kind="etcd", settings=wrong)
    operation = lab.work(lab.ask(policy))
    assert (operation.state, operation.result) == (State.FAILED, "source_failed")
    assert "status" in said(operation)
    run = BackupRun.objects.get()
    assert (run.state, run.result) == ("failed", "source_failed")
    assert lab.files() == []


def test_a_missing_file_fails_and_leaves_nothing(lab: Lab) -> None:
    policy = lab.policy(settings={"paths": [str(lab.folder / "nowhere")]})
    operation = lab.work(lab.ask(policy))
    assert operation.result == "source_failed"
    assert "nowhere" in said(operation)
    assert lab.files() == []
    assert BackupRun.objects.get().state == "failed"


def _dies(monkeypatch: pytest.MonkeyPatch, target: type, after: int) -> None:
    """The worker is killed while it streams: nothing of it runs any more, not what would tidy up."""
    real = target.put  # type: ignore[attr-defined]

    def put(self: Any, key: str, chunks: Any, held: Callable[[], None]) -> Any:
        def some() -> Iterator[bytes]:
            for number, chunk in enumerate(chunks):
                if number >= after:
                    monkeypatch.setattr(target, "put", real)
                    raise Killed
                yield chunk

        return real(self, key, some(), held)

    monkeypatch.setattr(target, "put", put)


def test_killed_in_mid_stream_it_begins_anew(lab: Lab, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    target = on_s3(lab, s3)
    operation = lab.ask(lab.policy(target=target))
    # kill -9 runs no `except`: what the worker had begun stays at the target.
    monkeypatch.setattr(S3Target, "_abort", lambda *_: None)
    _dies(monkeypatch, S3Target, after=3)
    with pytest.raises(Killed):
        lab.work(operation)
    assert len(uploads(target)) == 1
    run = BackupRun.objects.get()
    assert (run.state, len(run.halves)) == ("running", 1)
    first = run.key
    monkeypatch.undo()
    lab.leases_run_out()
    operation = lab.work(operation)
    assert operation.state == State.SUCCEEDED, said(operation)
    run.refresh_from_db()
    assert (run.state, run.halves) == ("good", [])
    assert run.key != first
    assert uploads(target) == []
    assert [entry.key for entry in opened(target).entries("")] == [run.key]


def test_killed_before_it_was_read_back_it_does_not_count_until_it_was(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise Killed

    policy = lab.policy()
    operation = lab.ask(policy)
    with monkeypatch.context() as patched:
        patched.setattr(action, "read_back", dies)
        with pytest.raises(Killed):
            lab.work(operation)
    policy.refresh_from_db()
    assert policy.last_good_at is None
    assert BackupRun.objects.there().count() == 0
    lab.leases_run_out()
    assert lab.work(operation).state == State.SUCCEEDED
    assert BackupRun.objects.there().count() == 1
    assert len(lab.files()) == 1


def test_what_reads_back_differently_does_not_count(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real = LocalTarget.read
    monkeypatch.setattr(LocalTarget, "read", lambda self, key: (chunk[:-1] for chunk in real(self, key)))
    operation = lab.work(lab.ask(lab.policy()))
    assert operation.result == "reads_differently"
    assert BackupRun.objects.get().state == "failed"
    # What does not count does not lie about as if it did.
    assert lab.files() == []


def test_a_broken_network_is_tried_again_and_leaves_no_half(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = LocalTarget.put, []

    def breaks(self: LocalTarget, key: str, chunks: Any, held: Callable[[], None]) -> Any:
        calls.append(key)
        if len(calls) == 1:

            def cut() -> Iterator[bytes]:
                yield next(iter(chunks))
                raise TargetError("broken", "reset by peer", passes=True)

            return real(self, key, cut(), held)
        return real(self, key, chunks, held)

    monkeypatch.setattr(LocalTarget, "put", breaks)
    operation = lab.work(lab.ask(lab.policy()))
    assert operation.state == State.SUCCEEDED, said(operation)
    assert len(calls) == 2
    assert len(lab.files()) == 1


def test_a_target_that_does_not_answer_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = LocalTarget.put, []

    def away(self: LocalTarget, key: str, chunks: Any, held: Callable[[], None]) -> Any:
        calls.append(key)
        if len(calls) <= 4:
            raise TargetError("no_contact", "connection refused", passes=True)
        return real(self, key, chunks, held)

    monkeypatch.setattr(LocalTarget, "put", away)
    operation = lab.ask(lab.policy())
    lab.step()
    lab.step()
    operation.refresh_from_db()
    assert "Waits for the target. The target does not answer." in wording.wait_sentence(
        operation.wait_reason, operation.wait_params
    )
    assert lab.work(operation).state == State.SUCCEEDED


def test_a_host_that_is_lost_in_the_middle_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from nodes.hosts.errors import ConnectionLost

    real, calls = LocalTarget.put, []

    def lost(self: LocalTarget, key: str, chunks: Any, held: Callable[[], None]) -> Any:
        calls.append(key)
        assert Operation.objects.get().wait_reason == "copies", "the second time too"

        def cut() -> Iterator[bytes]:
            yield next(iter(chunks))
            raise ConnectionLost("127.0.0.1", "the cable")

        return real(self, key, cut() if len(calls) == 1 else chunks, held)

    monkeypatch.setattr(LocalTarget, "put", lost)
    operation = lab.ask(lab.policy())
    lab.step()
    lab.step()
    operation.refresh_from_db()
    assert (operation.state, operation.wait_reason) == (State.WAITING, "unreachable")
    assert lab.files() == []
    assert lab.work(operation).state == State.SUCCEEDED


def test_wrong_keys_end_it_with_the_reason(lab: Lab, s3: S3Server) -> None:
    target = on_s3(lab, s3)
    policy = lab.policy(target=target)
    sealed_elsewhere = {"access_key": ACCESS_KEY, "secret_key": "is not it any more"}
    target.sealed = seal(json.dumps(sealed_elsewhere), place=target.seal_place)
    target.save()
    operation = lab.work(lab.ask(policy))
    assert operation.result == "target_credentials"
    assert "does not accept the keys" in said(operation)
    assert BackupRun.objects.get().result == "target_credentials"


def test_a_full_target_ends_it_with_the_reason(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real disk of one MiB where this may be mounted."""
    if (
        os.getuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", lab.kept], check=False).returncode
    ):
        pytest.skip("no small disk can be mounted here")
    try:
        operation = lab.work(lab.ask(lab.policy()))
        assert operation.result == "target_full"
        assert "is full" in said(operation)
        assert lab.files() == []
    finally:
        subprocess.run(["umount", lab.kept], check=True)


def test_a_cancel_in_mid_stream_ends_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.engine import work as engine

    operation = lab.ask(lab.policy())
    real = LocalTarget.put

    def put(self: LocalTarget, key: str, chunks: Any, held: Callable[[], None]) -> Any:
        def some() -> Iterator[bytes]:
            for chunk in chunks:
                operation.refresh_from_db()
                if operation.cancel_requested_at is None:
                    cancel(operation=operation, actor=SYSTEM, now=clock.now())
                yield chunk

        return real(self, key, some(), held)

    monkeypatch.setattr(LocalTarget, "put", put)
    monkeypatch.setattr(engine, "LOOK_FOR_CANCEL_S", 0.0)
    assert lab.work(operation).state == State.CANCELLED
    assert lab.files() == []
    assert BackupRun.objects.get().state == "failed"


def test_whoever_lost_the_lease_completes_nothing(lab: Lab, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was stopped in mid-stream, and wakes up when another has done the work."""
    target = on_s3(lab, s3)
    operation = lab.ask(lab.policy(target=target))
    real = S3Target.put
    asleep: list[str] = []

    def put(self: S3Target, key: str, chunks: Any, held: Callable[[], None]) -> Any:
        def some() -> Iterator[bytes]:
            for chunk in chunks:
                yield chunk
                if not asleep:
                    asleep.append(key)
                    lab.leases_run_out()
                    lab.work(operation)

        return real(self, key, some(), held)

    monkeypatch.setattr(S3Target, "put", put)
    monkeypatch.setattr(action, "RENEWED_PER_LEASE", 1e9)
    lab.work(operation)
    assert operation.state in FINAL
    assert operation.state == State.SUCCEEDED, said(operation)
    run = BackupRun.objects.get()
    assert run.key != asleep[0]
    assert [entry.key for entry in opened(target).entries("")] == [run.key]
    assert uploads(target) == []


def test_what_is_older_than_it_is_kept_goes_and_the_last_one_never(lab: Lab) -> None:
    policy = lab.policy(keep={"hourly": 1})
    for _ in range(3):
        assert lab.work(lab.ask(policy)).state == State.SUCCEEDED
    assert len(lab.files()) == 1
    runs = list(BackupRun.objects.order_by("started_at"))
    assert [run.deleted_at is None for run in runs] == [False, False, True]
    assert Path(runs[-1].location).exists()
    assert AuditEvent.objects.filter(action="backups.delete").count() == 2


def test_one_backup_of_a_policy_at_a_time(lab: Lab) -> None:
    policy = lab.policy()
    lab.ask(policy)
    with pytest.raises(Conflict, match="under way"):
        lab.ask(policy)
    assert Operation.objects.count() == 1


def test_rights_on_a_node_give_no_way_to_the_files_of_another(lab: Lab) -> None:
    policy = lab.policy()
    operation = lab.ask(policy)
    policy.node = make_node("other")
    policy.save()
    assert lab.work(operation).result == "policy_elsewhere"
    assert lab.files() == []


def test_the_script_leaves_nothing_when_nobody_listens_any_more(members: Etcd) -> None:
    from ops.backups.sources import checked, source_of

    source = source_of("etcd", checked("etcd", members.settings), "cut")
    argv = [word for word in source.argv if word not in ("sudo", "-n")]
    for number in range(5):
        members.ctl("put", f"/large/{number}", "y" * 100_000)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) != 0
    assert list((members.folder / "snapshots").iterdir()) == []
