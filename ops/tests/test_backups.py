"""Backup targets, policies, reports and what is overdue: rights, refusals, and what people and scripts see."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage
import pytest
import time_machine
from django.test import Client

from fleetui.access.models import User
from fleetui.access.principals import SYSTEM
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.errors import Conflict, InvalidInput, NotAllowed
from fleetui.core.heartbeats import Signs, look
from fleetui.core.vitals import Glance
from fleetui.notify.models import Channel, Delivery, Rule
from nodes.models import Node
from nodes.tests.api.client import Api as ApiClient
from nodes.tests.make import make_heartbeat, make_node, make_pool, make_token, make_user, principal
from nodes.tests.pages import signed_in
from ops import wording
from ops.actions import backup as backup_action
from ops.backups import calendar, local
from ops.backups.base import TargetError
from ops.backups.job import SourceFailed
from ops.backups.retention import plan
from ops.backups.sources import ETCD_SCRIPT, SettingRefused, checked, source_of
from ops.models import BackupPolicy, BackupRun, BackupTarget, Operation, Schedule
from ops.services.backups import targets
from ops.services.backups.keeping import checked_keep, key_of
from ops.services.backups.policies import delete_policy, set_policy
from ops.services.backups.reading import ledger
from ops.services.backups.runs import report, request_backup
from ops.services.backups.targets import envelope_of, rotate_seals, secrets_of, set_target
from ops.services.backups.watching import settle, watch
from ops.services.schedule_runs import run_due
from ops.vital_signs import streams


class Api:
    """Answers are compared with the status that is meant, and read."""

    def __init__(self, user: User, token: str | None = None) -> None:
        self._client = ApiClient(user, token=token)

    def get(self, path: str, status: int = 200) -> Any:
        return self._read(self._client.get(path), status)

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        return self._read(self._client.post(path, body), status)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self._read(self._client.put(path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._read(self._client.delete(path), status)

    @staticmethod
    def _read(found: Any, status: int) -> Any:
        assert found.status_code == status, found.content
        return found.json() if found.content else None


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class TestPure:
    def test_the_newest_of_each_period_stays_and_the_last_one_always(self) -> None:
        every_six_hours = [(number, NOW - timedelta(hours=6 * number)) for number in range(40)]
        kept = [one for one in plan(every_six_hours, {"daily": 3, "weekly": 2}) if not one.goes]
        assert [one.at.date() for one in kept] == [
            date(2026, 11, 25),
            date(2026, 11, 24),
            date(2026, 11, 23),
            date(2026, 11, 22),
        ]
        assert kept[0].reasons == ("newest", "daily", "weekly")
        assert kept[-1].reasons == ("weekly",)
        alone = plan([("old", NOW - timedelta(days=900))], {"hourly": 1})
        assert [one.goes for one in alone] == [False]

    def test_without_rules_nothing_goes(self) -> None:
        assert not any(one.goes for one in plan([(number, NOW) for number in range(5)], {}))
        assert not any(one.goes for one in plan([(number, NOW) for number in range(5)], {"daily": 0}))

    def test_a_year_of_squares_ends_today(self) -> None:
        today = date(2026, 11, 25)
        found = calendar.year_of([(today, True), (today, False), (today - timedelta(days=1), False)], today)
        assert (found.days[-1].at, found.days[-1].level, found.days[-2].level) == (today, "ok", "bad")
        assert (found.good_days, found.failed_days) == (1, 1)
        assert found.days[0].at.weekday() == 0
        assert 365 <= len(found.days) <= 371
        assert max(day.x for day in found.days) < found.width

    @pytest.mark.parametrize(
        ("kind", "given", "name"),
        [
            ("path", {}, "paths"),
            ("path", {"paths": ["etc"]}, "paths"),
            ("path", {"paths": ["/etc/../root"]}, "paths"),
            ("path", {"paths": "/etc", "shell": "x"}, "shell"),
            ("postgresql", {"database": "a;b"}, "database"),
            ("postgresql", {"database": "-x"}, "database"),
            ("postgresql", {"database": "app", "port": True}, "port"),
            ("postgresql", {"database": "app", "runs_in": "podman"}, "container"),
            ("postgresql", {"database": "app", "runs_in": "kubeadm"}, "runs_in"),
            ("etcd", {"endpoint": "127.0.0.1"}, "endpoint"),
            ("etcd", {"cert": "/a"}, "key"),
            ("etcd", {"runs_in": "podman", "container": "--privileged"}, "container"),
            ("reported", {"x": 1}, "x"),
        ],
    )
    def test_what_cannot_be_a_source_names_its_setting(self, kind: str, given: dict[str, Any], name: str) -> None:
        with pytest.raises(SettingRefused) as caught:
            checked(kind, given)
        assert caught.value.name == name

    def test_no_setting_stands_inside_a_script(self) -> None:
        found = source_of("etcd", checked("etcd", {"runs_in": "kubeadm"}), "abc")
        assert found.argv[:5] == ("sudo", "-n", "sh", "-c", ETCD_SCRIPT)
        assert "/etc/kubernetes/pki/etcd/server.key" in found.argv
        assert found.leaves[0] == "/var/lib/etcd/fleetui-backup-abc.db"
        dump = source_of(
            "postgresql", checked("postgresql", {"database": "app", "runs_in": "podman", "container": "db"}), "x"
        )
        assert dump.argv[:6] == ("sudo", "-n", "podman", "exec", "db", "pg_dump")

    def test_a_host_without_crictl_says_so(self, tmp_path: Path) -> None:
        for program in ("rm", "find", "sh"):
            (tmp_path / program).symlink_to(shutil.which(program) or program)
        found = source_of("etcd", checked("etcd", {"runs_in": "kubeadm", "folder": str(tmp_path)}), "abc")
        ran = subprocess.run(found.argv[2:], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
        assert (ran.returncode, "crictl" in ran.stderr, "not on this host" in ran.stderr) == (70, True, True)

    def test_a_path_that_looks_like_an_option_is_none(self) -> None:
        argv = source_of("path", checked("path", {"paths": ["/--checkpoint-action=exec=sh"]}), "x").argv
        assert argv[argv.index("--") + 1 :] == ("--checkpoint-action=exec=sh",)

    def test_how_long_is_kept_is_a_number(self) -> None:
        assert checked_keep({"daily": 7, "weekly": 0}) == {"daily": 7}
        for wrong in ({"daily": -1}, {"daily": True}, {"sometimes": 1}, {"daily": 10_000}):
            with pytest.raises(InvalidInput):
                checked_keep(wrong)


@pytest.fixture
def target(db: None, tmp_path: Path) -> BackupTarget:
    folder = tmp_path / "kept"
    folder.mkdir()
    return set_target(
        name="disk", kind="local", settings={"path": str(folder)}, credentials={}, actor=SYSTEM, now=clock.now()
    )


def make_policy(target: BackupTarget | None = None, **over: Any) -> BackupPolicy:
    given: dict[str, Any] = {"name": "jobs", "kind": "reported", "settings": {}, "keep": {}, "actor": SYSTEM}
    if target is not None:
        node = over.pop("node", None) or make_node("cp-1", pool=make_pool("control"))
        given |= {"name": "files", "kind": "path", "settings": {"paths": ["/etc"]}, "target": target, "node": node}
    return set_policy(**{**given, "now": clock.now(), **over})


class TestTargets:
    def test_it_is_tried_before_it_is_saved(self, db: None, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            set_target(
                name="x", kind="local", settings={"path": str(tmp_path / "no")}, credentials={}, actor=SYSTEM, now=NOW
            )
        assert caught.value.field == "path"
        assert not BackupTarget.objects.exists()

    def test_nothing_of_the_try_stays(self, target: BackupTarget) -> None:
        assert list(Path(target.settings["path"]).iterdir()) == []

    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({"bucket": "backups", "endpoint": "http://s3.example.com"}, "endpoint"),
            ({"bucket": "backups", "endpoint": "https://a:b@s3.example.com"}, "endpoint"),
            ({"bucket": "b"}, "bucket"),
            ({"bucket": "backups", "lock": "GOVERNANCE"}, "lock_days"),
            ({"bucket": "backups", "encryption": "ROT13"}, "encryption"),
            ({"bucket": "backups", "acl": "public-read"}, "acl"),
            ({"bucket": "backups", "endpoint": "http://127.0.0.1:9"}, "endpoint"),
        ],
    )
    def test_what_cannot_be_a_bucket_names_its_field(self, db: None, settings: dict[str, Any], field: str) -> None:
        keys = {"access_key": "a", "secret_key": "b"}
        with pytest.raises(InvalidInput) as caught:
            set_target(name="x", kind="s3", settings=settings, credentials=keys, actor=SYSTEM, now=NOW)
        assert caught.value.field == field

    def test_keys_are_sealed_and_never_answered(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(targets, "_try", lambda *_: None)
        keys = {"access_key": "AK", "secret_key": "a secret"}
        given: dict[str, Any] = {"name": "s", "kind": "s3", "actor": SYSTEM, "now": NOW}
        made = set_target(**given, settings={"bucket": "backups"}, credentials=keys)
        assert "a secret" not in made.sealed
        assert "a secret" not in str(list(AuditEvent.objects.values_list("after", flat=True)))
        kept = set_target(**given, settings={"bucket": "other-one"}, credentials={}, target=made)
        assert secrets_of(kept) == keys
        moved = {"bucket": "backups", "endpoint": "https://elsewhere.example.com"}
        with pytest.raises(InvalidInput, match="needs keys"):
            set_target(**given, settings=moved, credentials={}, target=kept)
        api = Api(make_user("anna", "admin"))
        assert "a secret" not in str(api.get("backups/targets/"))
        assert rotate_seals() == 0

    def test_recipients_are_shown_and_the_identity_never(self, target: BackupTarget) -> None:
        identity = pyrage.x25519.Identity.generate()
        public, secret = str(identity.to_public()), str(identity)
        api = Api(make_user("anna", "admin"))
        place = {"path": target.settings["path"]}

        def put(recipients: Any, status: int = 200, **credentials: str) -> dict[str, Any]:
            body = {"name": "disk", "kind": "local", "settings": {**place, "recipients": recipients}}
            return dict(api.put(f"backups/targets/{target.pk}/", {**body, "credentials": credentials}, status=status))

        assert put([public], identity=secret)["settings"]["recipients"] == [public]
        assert secret not in str(list(AuditEvent.objects.values_list("after", flat=True)))
        assert envelope_of(BackupTarget.objects.get()).identity == secret
        put([public, "ssh-ed25519 " + "A" * 20], 400)
        assert put(["age1nobody"], 400)["value"] == "age1nobody"
        told = put([secret], 400)
        assert (told["field"], told["value"], secret in str(told)) == ("recipients", None, False)
        other = str(pyrage.x25519.Identity.generate().to_public())
        assert put([other], 400, identity=secret)["field"] == "identity"
        put([public, other])
        assert envelope_of(BackupTarget.objects.get()).identity == secret, "kept while it opens something"
        put([other])
        assert envelope_of(BackupTarget.objects.get()).identity == ""
        page = signed_in(make_user("bea", "admin"))
        form = page.get(f"/backups/targets/{target.pk}/").content.decode()
        assert other in form
        sent = {"name": "disk", **place, "recipients": f"{public}\r\n{other}\r\n", "identity": secret, "revision": ""}
        assert page.post(f"/backups/targets/{target.pk}/", sent).status_code == 302
        assert envelope_of(BackupTarget.objects.get()).recipients == [public, other]
        form = page.get(f"/backups/targets/{target.pk}/").content.decode()
        assert ("One is kept" in form, secret in form) == (True, False)

    def test_a_bucket_takes_several_recipients(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(targets, "_try", lambda *_: None)
        lines = [str(pyrage.x25519.Identity.generate().to_public()) for _number in range(2)]
        page = signed_in(make_user("anna", "admin"))
        sent = {
            "name": "s",
            "bucket": "backups",
            "access_key": "a",
            "secret_key": "b",
            "recipients": "\r\n".join(lines),
        }
        assert page.post("/backups/targets/-/add/?kind=s3", sent).status_code == 302
        target = BackupTarget.objects.get()
        assert target.settings["recipients"] == lines
        BackupTarget.objects.update(sealed="v1:gone:x")
        again = {**sent, "endpoint": "https://s3.example.com", "revision": target.revision}
        assert page.post(f"/backups/targets/{target.pk}/", again).status_code == 302, "keys given anew mend it"

    def test_one_in_use_stays_and_so_does_its_place(self, target: BackupTarget, tmp_path: Path) -> None:
        policy = make_policy(target)
        api = Api(make_user("anna", "admin"))
        assert api.delete(f"backups/targets/{target.pk}/", status=409)["detail"].startswith("Policies back up")
        BackupRun.objects.create(policy=policy, state="good", started_at=NOW, ended_at=NOW, target=target)
        other = tmp_path / "other"
        other.mkdir()
        with pytest.raises(Conflict, match="lie at this place"):
            set_target(
                name="disk",
                kind="local",
                settings={"path": str(other)},
                credentials={},
                target=target,
                actor=SYSTEM,
                now=NOW,
            )


class TestRights:
    def test_who_sees_and_sets_what(self, target: BackupTarget) -> None:
        web, other = make_pool("web"), make_pool("db")
        mine, theirs = make_node("w1", pool=web), make_node("d1", pool=other)
        make_policy(target, name="mine", node=mine)
        make_policy(target, name="theirs", node=theirs)
        make_policy(name="everywhere")
        viewer = Api(make_user("vera", ("viewer", web)))
        assert [one["name"] for one in viewer.get("backups/policies/")["results"]] == ["mine"]
        operator = make_user("otto", ("operator", web))
        with pytest.raises(NotAllowed):
            make_policy(target, name="new", node=mine, actor=principal(operator))
        owner = principal(make_user("ada", ("admin", web)))
        make_policy(target, name="new", node=mine, actor=owner)
        with pytest.raises(NotAllowed):
            make_policy(target, name="more", node=theirs, actor=owner)
        foreign = BackupPolicy.objects.get(name="theirs")
        assert Api(operator).post(f"backups/{foreign.pk}/runs/", {}, status=404)["status"] == 404

    def test_a_backup_is_no_operation_on_any_node(self, target: BackupTarget) -> None:
        policy, other = make_policy(target), make_node("other")
        api = Api(make_user("anna", "admin"))
        body = {"kind": "backup", "nodes": [other.name], "params": {"policy": str(policy.pk)}}
        api.post("operations/", body, status=400)
        assert not Operation.objects.exists()

    def test_a_token_of_the_scope_backups_reports_and_nothing_else(self, db: None) -> None:
        policy = make_policy()
        user = make_user("anna", "admin")
        api = Api(user, token=make_token(user, "backups"))
        assert api.post(f"backups/{policy.pk}/report/", {"good": True}, status=201)["state"] == "good"
        api.get("nodes/", status=403)
        api.delete(f"backups/policies/{policy.pk}/", status=403)


def test_the_script_of_the_docs_reports_in_json_whatever_the_place_is_named(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "docs/backups/report-backup.sh"
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$ARGUMENTS"\n')
    curl.chmod(0o755)
    told = tmp_path / "told"
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "ARGUMENTS": str(told),
        "FLEETUI_URL": "http://x",
        "POLICY": "1",
        "FLEETUI_TOKEN": "t",
        "LOCATION": 's3://b/"x\\y"\n',
    }
    ended = subprocess.run(["/bin/sh", str(script), "sh", "-c", "exit 3"], env=environment, check=False)
    body = json.loads(next(line for line in told.read_text().splitlines() if line.startswith("{")))
    assert (ended.returncode, body["good"], body["location"]) == (3, False, 's3://b/"x\\y"')
    assert "--retry-connrefused" in told.read_text()


class TestWhatIsNotMounted:
    def test_it_is_neither_filled_nor_listed_nor_taken_for_emptied(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place, table = tmp_path / "a disk", tmp_path / "fstab"
        (place / "kept").mkdir(parents=True)
        table.write_text(f"# UUID=0 {place}\nUUID=1 / ext4\n")
        monkeypatch.setattr(local, "_FSTAB", table)
        target = local.LocalTarget(str(place / "kept"))
        assert target.put("a/1", [b"x"], lambda: None).size_bytes == 1  # a comment mounts nothing
        table.write_text(f"UUID=1 {str(place).replace(' ', chr(92) + '040')} ext4\nshort\n")
        for attempt in (
            lambda: target.put("a/2", [b"x"], lambda: None),
            lambda: target.delete("a/1"),
            lambda: list(target.entries("a")),
        ):
            with pytest.raises(TargetError, match="not_there") as told:
                attempt()
            assert "not mounted" in told.value.said
        assert [path.name for path in place.rglob("*") if path.is_file()] == ["1"]
        monkeypatch.setattr(Path, "is_mount", lambda _self: True)
        target.delete("a/1")
        assert list(target.entries("a")) == []


@pytest.mark.parametrize(("status", "again"), [(1, True), (126, False), (127, False)])
def test_a_program_that_is_not_there_is_no_passing_fault(status: int, again: bool) -> None:
    assert SourceFailed("source_failed", status=status, said="").again is again


class TestReports:
    def test_a_report_counts(self, db: None) -> None:
        policy = make_policy()
        ended = clock.now() - timedelta(minutes=5)
        given: dict[str, Any] = {
            "policy": policy,
            "is_good": True,
            "ended_at": ended,
            "size_bytes": 10,
            "actor": SYSTEM,
        }
        run = report(**given, now=clock.now())
        assert report(**given, now=clock.now()) == run
        policy.refresh_from_db()
        assert policy.last_good_at == ended
        late = report(policy=policy, is_good=True, ended_at=ended - timedelta(days=1), actor=SYSTEM, now=clock.now())
        policy.refresh_from_db()
        assert (policy.last_good_at, late.state) == (ended, "good")
        failed = report(policy=policy, is_good=False, said="disk gone", actor=SYSTEM, now=clock.now())
        policy.refresh_from_db()
        assert (policy.last_good_at, failed.result_params["said"]) == (ended, "disk gone")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"sha256": "abc"},
            {"ended_at": NOW + timedelta(days=900)},
            {"started_at": NOW, "ended_at": NOW - timedelta(1)},
        ],
    )
    def test_what_cannot_be_is_refused(self, db: None, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            report(policy=make_policy(), is_good=True, actor=SYSTEM, now=clock.now(), **wrong)

    def test_each_kind_in_its_own_way(self, target: BackupTarget) -> None:
        with pytest.raises(Conflict):
            report(policy=make_policy(target), is_good=True, actor=SYSTEM, now=clock.now())
        with pytest.raises(Conflict):
            request_backup(policy=make_policy(), actor=SYSTEM, now=clock.now())


class TestOverdue:
    def test_it_is_told_once_and_taken_back_once(self, db: None) -> None:
        channel = Channel.objects.create(name="c", kind="webhook", settings={}, set_by="user:a")
        Rule.objects.create(channel=channel)
        policy = make_policy(overdue_after_s=3600)
        made = policy.created_at
        assert watch(made + timedelta(minutes=59)) == 0
        for _ in range(2):
            assert watch(made + timedelta(hours=1)) == 1
        assert list(Delivery.objects.values_list("event", flat=True)) == ["backup.overdue"]
        assert AuditEvent.objects.filter(action="backups.overdue").count() == 1
        BackupPolicy.objects.update(last_good_at=made + timedelta(hours=1))
        assert watch(made + timedelta(hours=1, minutes=1)) == 0
        assert sorted(Delivery.objects.values_list("event", flat=True)) == ["backup.overdue", "backup.recovered"]

    def test_every_page_says_so(self, db: None) -> None:
        policy = make_policy(overdue_after_s=600)
        client = signed_in(make_user("anna", "admin"))
        watch(policy.created_at)
        assert "no recent good backup" not in client.get("/nodes/").content.decode()
        watch(policy.created_at + timedelta(hours=1))
        assert "jobs has no recent good backup" in client.get("/nodes/").content.decode()

    def test_a_run_keeps_why_it_failed_when_its_operation_is_gone(self, target: BackupTarget) -> None:
        policy = make_policy(target)
        operation = request_backup(policy=policy, actor=SYSTEM, now=clock.now()).operations[0]
        assert settle(clock.now()) == 0
        Operation.objects.update(
            state="failed", ended_at=clock.now(), due_at=None, result="target_full", result_params={"said": "x"}
        )
        assert settle(clock.now()) == 1
        Operation.objects.all().delete()
        run = BackupRun.objects.get()
        assert (run.state, run.result, run.operation_id) == ("failed", "target_full", None)
        assert operation.pk


class TestPolicies:
    def test_its_schedule_makes_the_backup(self, target: BackupTarget) -> None:
        user = make_user("anna", "admin")
        policy = make_policy(target, cron="0 2 * * *", actor=principal(user))
        schedule = policy.schedule
        assert schedule is not None
        assert (schedule.job, schedule.task) == ("backup", {"policy": str(policy.pk)})
        due = schedule.next_run_at
        assert due is not None
        with time_machine.travel(due + timedelta(seconds=5), tick=False):
            assert run_due(clock.now()) == 1
        operation = Operation.objects.get()
        assert (operation.kind, operation.node_name, operation.changes) == ("backup", "cp-1", False)
        assert BackupRun.objects.get().operation == operation
        assert operation.request.requester == "user:anna"
        changed = make_policy(target, cron="", policy=policy, node=policy.node)
        assert changed.schedule is None
        assert not Schedule.objects.exists()

    def test_of_a_pool_one_that_answers_makes_it(self, target: BackupTarget) -> None:
        pool = make_pool("control")
        make_node("a", pool=pool, reachability="unreachable")
        make_node("b", pool=pool, reachability="reachable")
        make_node("c", pool=pool, reachability="reachable", lifecycle="retired")
        settings = {"runs_in": "kubeadm"}
        policy = set_policy(
            name="etcd",
            kind="etcd",
            settings=settings,
            pool=pool,
            target=target,
            keep={},
            actor=SYSTEM,
            now=clock.now(),
        )
        assert request_backup(policy=policy, actor=SYSTEM, now=clock.now()).operations[0].node_name == "b"

    def test_a_node_that_is_gone_says_so(self, target: BackupTarget) -> None:
        policy = make_policy(target)
        Node.objects.all().delete()
        policy.refresh_from_db()
        with pytest.raises(Conflict, match="no node any more"):
            request_backup(policy=policy, actor=SYSTEM, now=clock.now())
        page = signed_in(make_user("anna", "admin")).get(f"/backups/{policy.pk}/")
        assert "is not there any more" in page.content.decode()

    def test_deleted_with_its_ledger(self, target: BackupTarget) -> None:
        policy = make_policy(target, cron="0 2 * * *")
        delete_policy(policy=policy, actor=SYSTEM)
        assert not Schedule.objects.exists()
        assert not BackupPolicy.objects.exists()

    def test_keys_say_when_and_never_repeat(self, target: BackupTarget) -> None:
        policy = make_policy(target, name="Ops & Co")
        first, second = key_of(policy, NOW, ".db"), key_of(policy, NOW, ".db")
        assert first != second
        assert first.startswith(f"ops-co-{policy.pk.hex[:8]}/2026-11-25T120000Z-")


def test_somebody_has_to_take_streams_once_there_are_any(db: None, target: BackupTarget) -> None:
    glance = Glance(clock.now(), Signs())
    assert list(streams(glance)) == []
    make_policy(target)
    assert [line.level for line in streams(glance)] == ["bad"]
    make_heartbeat("worker", queues=["stream"])
    assert [line.level for line in streams(Glance(clock.now(), look()))] == ["ok"]


class TestApi:
    def test_a_policy_is_written_read_and_deleted(self, target: BackupTarget) -> None:
        make_node("cp-1", pool=make_pool("control"))
        api = Api(make_user("anna", "admin"))
        body = {
            "name": "files",
            "kind": "path",
            "settings": {"paths": ["/etc"]},
            "node": "cp-1",
            "target": "disk",
            "keep": {"daily": 7},
            "cron": "0 2 * * *",
        }
        made = api.post("backups/policies/", body, status=201)
        assert (made["state"], made["node"], made["target"]) == ("waits", "cp-1", "disk")
        assert made["next_run_at"]
        address = f"backups/policies/{made['id']}/"
        changed = api.put(address, {**body, "keep": {"weekly": 2}, "revision": made["revision"]})
        assert changed["keep"] == {"weekly": 2}
        nothing = {"cron": None, "drill_cron": None, "zone": None}
        assert api.put(address, {**body, **nothing, "revision": changed["revision"]})["next_run_at"] is None
        api.put(address, {**body, "revision": made["revision"]}, status=412)
        wrong = api.post("backups/policies/", {**body, "name": "b", "node": "nowhere"}, status=400)
        assert "nowhere" in str(wrong)
        started = api.post(f"backups/{made['id']}/runs/", {}, status=201)
        assert started["operations"][0]["node"] == "cp-1"
        (run,) = api.get(f"backups/{made['id']}/runs/")["results"]
        assert (run["state"], run["operation_id"]) == ("running", started["operations"][0]["id"])
        api.post(f"backups/{made['id']}/runs/", {}, status=409)
        assert api.get(f"backups/{made['id']}/plan/")["results"] == []

    def test_unknown_is_404(self, db: None) -> None:
        api = Api(make_user("anna", "admin"))
        for address in ("backups/policies/{}/", "backups/{}/runs/", "backups/targets/{}/"):
            api.get(address.format(uuid.uuid4()), status=404)


class TestPages:
    @pytest.fixture
    def client(self, db: None) -> Client:
        return signed_in(make_user("anna", "admin"))

    def test_empty_pages_teach(self, client: Client) -> None:
        assert "Begin with a target" in client.get("/backups/").content.decode()
        assert "There is no target yet" in client.get("/backups/targets/").content.decode()
        assert "There is no target yet" in client.get("/backups/-/add/?kind=etcd").content.decode()

    def test_the_command_of_a_report_is_one_that_a_shell_takes(self, client: Client) -> None:
        page = client.get(f"/backups/{make_policy().pk}/").content.decode()
        assert "/report/ \\\n  -H" in page

    def test_forms_add_a_target_and_every_kind_of_policy(self, client: Client, tmp_path: Path) -> None:
        made = client.post("/backups/targets/-/add/?kind=local", {"name": "disk", "path": str(tmp_path)})
        assert made.status_code == 302
        make_node("cp-1", pool=make_pool("control"))
        common = {"target": "disk", "cron": "0 2 * * *", "zone": "UTC", "daily": "7", "overdue_after_h": "26"}
        kinds: dict[str, dict[str, str]] = {
            "path": {"node": "cp-1", "paths": "/etc\n/srv", "exclude": "*.tmp", "one_file_system": "on"},
            "postgresql": {"node": "cp-1", "database": "app", "port": "5432", "runs_in": "host"},
            "etcd": {"pool": "control", "runs_in": "kubeadm"},
            "reported": {},
        }
        for kind, own in kinds.items():
            shown = client.get(f"/backups/-/add/?kind={kind}&node=cp-1")
            assert shown.status_code == 200
            answer = client.post(f"/backups/-/add/?kind={kind}", {"name": kind, **common, **own})
            assert answer.status_code == 302, answer.content.decode()
            policy = BackupPolicy.objects.get(name=kind)
            page = client.get(f"/backups/{policy.pk}/").content.decode()
            assert kind in page
            assert client.get(f"/backups/{policy.pk}/edit/").status_code == 200
        assert BackupPolicy.objects.get(name="path").settings["paths"] == ["/etc", "/srv"]
        listed = client.get("/backups/").content.decode()
        assert all(kind in listed for kind in kinds)
        schedule = Schedule.objects.get(name="Backup of etcd")
        moved = client.get(f"/operations/schedules/{schedule.pk}/edit/")
        assert "/backups/" in moved.headers["Location"]

    def test_mistakes_stand_at_their_field(self, client: Client, target: BackupTarget) -> None:
        body = {
            "name": "x",
            "target": "disk",
            "zone": "UTC",
            "overdue_after_h": "26",
            "node": "nowhere",
            "paths": "etc",
        }
        answer = client.post("/backups/-/add/?kind=path", body)
        assert answer.status_code == 422
        assert "There is no such node." in answer.content.decode()

    def test_the_button_leads_to_the_operation(self, client: Client, target: BackupTarget) -> None:
        policy = make_policy(target)
        answer = client.post(f"/backups/{policy.pk}/run/", {})
        assert answer.headers["Location"] == f"/operations/{Operation.objects.get().pk}/"
        again = client.post(f"/backups/{policy.pk}/run/", {}, follow=True)
        assert "under way" in again.content.decode()
        operation = client.get(f"/operations/{Operation.objects.get().pk}/").content.decode()
        assert "Stream to the target" in operation

    def test_lists_cost_the_same_for_many(
        self, client: Client, target: BackupTarget, django_assert_max_num_queries: Any
    ) -> None:
        node = make_node("cp-1", pool=make_pool("control"))
        for number in range(8):
            policy = make_policy(target, name=f"p{number}", node=node)
            run = BackupRun.objects.create(policy=policy, state="good", started_at=NOW, ended_at=NOW, size_bytes=2048)
            BackupPolicy.objects.filter(pk=policy.pk).update(last_good_at=run.ended_at)
        client.get("/backups/")
        with django_assert_max_num_queries(16):
            page = client.get("/backups/").content.decode()
        assert page.count("2.0") >= 8 or page.count("2 K") >= 8, page
        assert "last one failed" not in page
        BackupRun.objects.create(
            policy=policy, state="failed", started_at=NOW + timedelta(hours=1), result="target_full"
        )
        assert client.get("/backups/").content.decode().count("last one failed") == 1
        for hours, gone in ((2, NOW), (3, None)):
            at = NOW - timedelta(hours=hours)
            BackupRun.objects.create(policy=policy, state="good", started_at=at, ended_at=at, deleted_at=gone)
        assert [run.started_at for run in ledger(policy, 2)][2:] == [NOW - timedelta(hours=3)], "kept, though old"
        BackupRun.objects.update(target=target, key="p/1.tar.gz", location="/kept/p/1.tar.gz", sha256="ab" * 32)
        with django_assert_max_num_queries(20):
            assert "Show the 8 steps" in client.get(f"/backups/{policy.pk}/").content.decode()


def test_a_stream_says_how_much_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    ctx: Any = SimpleNamespace(lease_s=60, vault=SimpleNamespace(passes=told.append))
    at_s = iter((0.0, 1.0, 20.0, 20.0, 21.0, 40.0, 40.0))
    monkeypatch.setattr(backup_action, "monotonic", lambda: next(at_s))
    came = backup_action._telling(ctx)
    for _piece in range(4):
        came(1_000_000_000)
    assert told == [2_000_000_000, 4_000_000_000]
    assert (
        wording.wait_sentence("copies", {"size_bytes": told[0]}) == "It streams to the target; 1.9 GB have come so far."
    )
    assert wording.wait_sentence("copies") == "It streams to the target."
