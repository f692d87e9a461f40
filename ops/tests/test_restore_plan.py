"""How a backup is brought back: the steps name what is there, and what they say to type does it."""

from __future__ import annotations

import getpass
import hashlib
import itertools
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import psycopg.conninfo
import pyrage
import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Node, Pool
from nodes.tests.api.client import Api
from nodes.tests.make import make_node, make_pool, make_user
from nodes.tests.pages import signed_in
from ops.backups.age import Envelope
from ops.backups.local import LocalTarget
from ops.backups.restoring import Host, Lies, Step, restore_steps
from ops.backups.sources import checked
from ops.models import BackupPolicy, BackupRun, BackupTarget
from ops.services.backups.policies import set_policy
from ops.services.backups.targets import set_target
from ops.wording.restore import STEPS
from tests import services
from tests.conftest import missing
from tests.etcd import etcd

S3 = {"endpoint": "https://s3.example.com", "region": "eu-1", "bucket": "fleet"}
HOSTS = [Host("cp-1", "core", "10.0.0.1"), Host("cp-2", "ops", "fd00::2", 2222, ("core@jump:22", "core@inner:2022"))]


def lies(kind: str, settings: dict[str, Any] | None = None, **over: Any) -> Lies:
    given: dict[str, Any] = {
        "kind": kind,
        "settings": checked(kind, settings or {}),
        "key": "own-1/2026-11-27-ab.db",
        "sha256": "ab" * 32,
        "location": "s3://fleet/own-1/2026-11-27-ab.db",
        "target_kind": "s3",
        "target_settings": S3,
        "checks": {"volumes": {"shop/data": "/mnt/a b", "db/pg": "/srv/pg"}} if kind == "volume" else {},
    }
    return Lies(**{**given, **over})


def steps(of: Lies, hosts: Sequence[Host] = HOSTS) -> dict[str, Step]:
    return {one.code: one for one in restore_steps(of, hosts)}


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("path", {"paths": ["/etc"]}),
    ("volume", {"claims": ["shop/*"]}),
    ("postgresql", {"database": "app"}),
    (
        "postgresql",
        {"database": "app", "runs_in": "podman", "container": "db", "run_as": "postgres", "host": "/run/pg"},
    ),
    ("etcd", {}),
    ("etcd", {"runs_in": "kubeadm"}),
    ("etcd", {"runs_in": "docker", "container": "etcd"}),
    ("etcd", {"runs_in": "podman", "container": "etcd"}),
    ("fleetui", {}),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_each_step_has_words_and_lines_that_a_shell_reads(kind: str, settings: dict[str, Any]) -> None:
    found = restore_steps(lies(kind, settings), HOSTS)
    assert {one.code for one in found} <= STEPS.keys()
    text = "\n".join(line for one in found for line in one.lines)
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0, text


def test_every_word_is_used() -> None:
    every = [lies(kind, settings) for kind, settings in KINDS]
    every += [lies("path", {"paths": ["/etc"]}, target_kind="local"), lies("fleetui", key="a/b.zip.age")]
    assert {one.code for of in every for one in restore_steps(of, HOSTS)} == STEPS.keys()


def test_a_control_plane_of_kubeadm_is_made_anew_from_one_snapshot() -> None:
    plan = restore_steps(lies("etcd", {"runs_in": "kubeadm", "folder": "/var/lib/etcd/snap; reboot"}), HOSTS)
    found = {one.code: one for one in plan}
    assert "reboot" not in str(plan), "where the snapshot was written is not where the data lies"
    assert found["restore_fetch_s3"].lines[1] == (
        "aws s3 cp s3://fleet/own-1/2026-11-27-ab.db 2026-11-27-ab.db --region eu-1 --endpoint-url https://s3.example.com"
    )
    assert found["restore_send"].lines == (
        "scp 2026-11-27-ab.db core@10.0.0.1:",
        "scp -J core@jump:22,core@inner:2022 -P 2222 2026-11-27-ab.db 'ops@[fd00::2]:'",
    )
    cluster = "--initial-cluster=cp-1=https://10.0.0.1:2380,cp-2=https://[fd00::2]:2380"
    made = [one for one in plan if one.code == "restore_member"]
    assert [one.on for one in made] == [("cp-1",), ("cp-2",)]
    for name, one in zip(("cp-1", "cp-2"), made, strict=True):
        (command,) = one.lines
        assert cluster in command.replace("'", "")
        assert f"--name={name}" in command
        assert '--entrypoint "$TOOL"' in command
        assert command.endswith('$BUMP --data-dir="${DATA_DIR:?}"')
    order = [one.code for one in plan]
    for before, after in itertools.pairwise(
        (
            "restore_members",
            "restore_look_pods",
            "restore_halt_pods",
            "restore_aside",
            "restore_member",
            "restore_start",
        )
    ):
        assert order.index(before) < order.index(after)
    assert order[-3:] == ["restore_well_pods", "restore_rid", "restore_rid_here"]


def test_what_the_manifest_of_kubeadm_says_is_what_is_restored(tmp_path: Path) -> None:
    """The lines that look, against a manifest as kubeadm writes it; Podman is one that knows etcdctl alone."""
    (tmp_path / "etcd.yaml").write_text(
        "spec:\n  containers:\n  - command:\n    - etcd\n    - --data-dir=/srv/etcd\n    image: registry.k8s.io/etcd:3.5.6-0\n"
    )
    look = next(
        one for one in restore_steps(lies("etcd", {"runs_in": "kubeadm"}), HOSTS) if one.code == "restore_look_pods"
    )
    podman = 'podman() { case "$*" in *etcdutl*) return 125;; *) echo "NAME: etcdctl";; esac; }\n'
    lines = [line.replace("/etc/kubernetes/manifests", str(tmp_path)) for line in look.lines]
    assert typed([podman, *lines], tmp_path).splitlines()[-1].split() == [
        "/srv/etcd",
        "registry.k8s.io/etcd:3.5.6-0",
        "etcdctl",
    ]


def test_without_a_node_there_is_nowhere_to_restore_it() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        restore_steps(lies("path", {"paths": ["/etc"]}), [])


def test_no_value_of_a_policy_leaves_its_word() -> None:
    hostile = "x'; rm -rf / #"
    where = {"key": f"a/{hostile}", "location": f"/kept/{hostile}", "target_kind": "local"}
    found = steps(lies("path", {"paths": ["/etc"]}, **where))
    script = "sudo() { printf '%s\\n' \"$@\"; }; " + found["restore_fetch_local"].lines[1]
    ran = subprocess.run(["bash", "-c", script], env={"USER": "me"}, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-2:] == [f"/kept/{hostile}", hostile.rpartition("/")[2]]


def typed(lines: Sequence[str], folder: Path, **env: str) -> str:
    """As somebody types them who is root."""
    sudo = 'sudo() { case "$1" in *=*) env "$@";; *) "$@";; esac; }\n'
    script = f"set -eu\n{sudo}" + "\n".join(lines)
    programs = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder), "USER": getpass.getuser()}
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**programs, **env}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    if not shutil.which("age"):
        missing("age is not installed")
    data, here = tmp_path / "data", tmp_path / "here"
    data.mkdir()
    here.mkdir()
    (data / "a file").write_text("as it was")
    with tarfile.open(tmp_path / "packed", "w:gz") as archive:
        archive.add(data, arcname=str(data).lstrip("/"))
    identity = pyrage.x25519.Identity.generate()
    (here / "backups.key").write_text(f"{identity}\n")
    closed = b"".join(Envelope([str(identity.to_public())]).closed(one for one in [(tmp_path / "packed").read_bytes()]))
    stored = LocalTarget(str(tmp_path)).put("files/1.tar.gz.age", [closed], lambda: None)
    (data / "a file").write_text("spoilt")
    (data / "newer").write_text("stays")
    where = {"key": "files/1.tar.gz.age", "location": str(tmp_path / "files/1.tar.gz.age"), "target_kind": "local"}
    found = steps(lies("path", {"paths": [str(data)]}, sha256=stored.sha256, **where), HOSTS[:1])
    typed([line for code in ("fetch_local", "compare", "open") for line in found[f"restore_{code}"].lines], here)
    assert (here / "1.tar.gz").stat().st_mode & 0o077 == 0
    assert "a file" in typed(found["restore_list"].lines, here)
    typed(found["restore_unpack"].lines, here)
    assert ((data / "a file").read_text(), (data / "newer").read_text()) == ("as it was", "stays")
    typed(found["restore_rid_here"].lines, here)
    assert [path.name for path in here.iterdir()] == ["backups.key"]


def test_an_etcd_runs_on_what_was_brought_back(tmp_path: Path) -> None:
    with etcd() as first:
        first.ctl("put", "/registry/1", "as it was")
        first.ctl("snapshot", "save", str(tmp_path / "1.db"))
    sha256 = hashlib.sha256((tmp_path / "1.db").read_bytes()).hexdigest()
    found = steps(lies("etcd", key="etcd/1.db", sha256=sha256), HOSTS[:1])
    (tmp_path / "data" / "member").mkdir(parents=True)
    look = [line.replace("/var/lib/etcd", str(tmp_path / "data")) for line in found["restore_look_unit"].lines]
    made = [line for code in ("aside", "member") for line in found[f"restore_{code}"].lines]
    owner = found["restore_start"].lines[:2]
    assert f"found {tmp_path / 'data'}" in typed([*look, *made, *owner], tmp_path).splitlines()
    assert (tmp_path / "data.before" / "member").is_dir()
    with etcd(data=tmp_path / "data", name="cp-1") as again:
        assert "as it was" in again.ctl("get", "/registry/1")


def test_what_is_put_aside_is_never_put_aside_twice(tmp_path: Path) -> None:
    aside = steps(lies("etcd"))["restore_aside"].lines
    for name in ("data", "data.before"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    env = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path / "data")}
    script = 'sudo() { "$@"; }; ' + aside[0]
    assert subprocess.run(["bash", "-c", script], env=env, capture_output=True, check=False).returncode
    assert subprocess.run(
        ["bash", "-c", script], env={**env, "DATA_DIR": ""}, capture_output=True, check=False
    ).returncode
    assert (tmp_path / "data" / "data").exists()


def test_a_system_user_need_not_enter_the_folder_where_a_database_is_loaded() -> None:
    found = steps(lies("postgresql", {"database": "app", "run_as": "postgres"}), HOSTS[:1])
    assert found["restore_load"].lines[0].startswith("sudo -u postgres env --chdir=/ createdb ")


def test_a_database_comes_back_beside_the_old_one(tmp_path: Path) -> None:
    try:
        with services.postgresql() as url:
            place = psycopg.conninfo.conninfo_to_dict(url)
            host, port, user = str(place["host"]), int(str(place["port"])), str(place["user"])
            admin = psycopg.connect(url, autocommit=True)
            admin.execute('CREATE DATABASE "my.app"')
            own = psycopg.connect(url, dbname="my.app", autocommit=True)
            own.execute("CREATE TABLE hosts (name text PRIMARY KEY)")
            own.execute("INSERT INTO hosts VALUES ('as it was')")
            options = [f"--host={host}", f"--port={port}", f"--username={user}"]
            dump = ["pg_dump", "--format=custom", *options, "--dbname=my.app", f"--file={tmp_path / '1.pgdump'}"]
            subprocess.run(dump, check=True, capture_output=True)
            # What would stand in the way of loading over it: rows and a table that came later.
            own.execute("UPDATE hosts SET name = 'spoilt'")
            own.execute("CREATE TABLE later (name text REFERENCES hosts)")
            settings = {"database": "my.app", "user": user, "host": host, "port": port}
            found = steps(lies("postgresql", settings, key="pg/1.pgdump"), HOSTS[:1])
            line = 'sudo() { "$@"; }; ' + found["restore_swap"].lines[0]
            in_use = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
            own.close()
            typed([*found["restore_load"].lines, *found["restore_swap"].lines], tmp_path)
            rows = {}
            for name in ("my.app", "my.app_before"):
                with psycopg.connect(url, dbname=name) as connection:
                    rows[name] = connection.execute("SELECT name FROM hosts").fetchall()
            admin.close()
    except services.ServiceMissing as error:
        missing(str(error))
    assert in_use.returncode
    assert "being accessed by other users" in "".join(in_use.stderr.splitlines()[-2:])
    assert rows == {"my.app": [("as it was",)], "my.app_before": [("spoilt",)]}


@pytest.fixture
def policy(db: None, tmp_path: Path) -> BackupPolicy:
    pool: Pool = make_pool("control")
    for number in (1, 2):
        make_node(f"cp-{number}", pool=pool, address=f"10.0.0.{number}")
    given: dict[str, Any] = {"actor": SYSTEM, "now": clock.now()}
    (tmp_path / "kept").mkdir()
    target = set_target(name="disk", kind="local", settings={"path": str(tmp_path / "kept")}, credentials={}, **given)
    kubeadm: dict[str, Any] = {
        "kind": "etcd",
        "settings": {"runs_in": "kubeadm"},
        "pool": pool,
        "target": target,
        "keep": {},
    }
    return set_policy(name="etcd", **kubeadm, **given)


def a_run(policy: BackupPolicy, name: str) -> BackupRun:
    now = clock.now()
    lies_at = {"key": f"etcd/{name}", "location": f"/kept/etcd/{name}", "target": BackupTarget.objects.get()}
    return BackupRun.objects.create(
        policy=policy, state="good", started_at=now, ended_at=now, sha256="cd" * 32, **lies_at
    )


def test_page_and_api_show_the_steps_of_the_newest_one(policy: BackupPolicy) -> None:
    api, page = Api(make_user("anna", "admin")), signed_in(make_user("bea", "admin"))
    where = f"backups/{policy.pk}/restore/"
    assert api.get(where).json()["detail"] == "etcd has no good backup yet."
    assert "How it is restored" not in page.get(f"/backups/{policy.pk}/").content.decode()
    older, newer = a_run(policy, "1.db"), a_run(policy, "2.db.age")
    found = api.get(where).json()
    assert (found["run_id"], found["location"]) == (str(newer.pk), "/kept/etcd/2.db.age")
    assert [one["step"] for one in found["steps"]][:4] == ["fetch_local", "compare", "open", "send"]
    assert found["steps"][3]["commands"][1].endswith("core@10.0.0.2:")
    assert api.get(f"{where}?run={older.pk}").json()["location"] == "/kept/etcd/1.db"
    assert api.get(f"{where}?run={uuid.uuid4()}").json()["detail"] == "etcd has no such backup, or it was deleted."
    assert api.get(f"{where}?run=newest").json()["field"] == "run"
    shown = page.get(f"/backups/{policy.pk}/").content.decode()
    assert "Show the 14 steps" in shown
    assert "On cp-1, cp-2" in shown
    Node.objects.filter(pool=policy.pool).delete()
    assert "How it is restored" not in page.get(f"/backups/{policy.pk}/").content.decode()
    assert api.get(where).json()["detail"].startswith("No node of etcd is there any more")
    make_node("cp-3", pool=policy.pool)
    assert api.get(where).status_code == 200
    BackupRun.objects.update(target=None)
    assert page.get(f"/backups/{policy.pk}/").status_code == 200
    assert api.get(where).status_code == 404, "nobody knows any more where it lies"
    other = Api(make_user("carl", ("viewer", make_pool("web"))))
    assert other.get(where).status_code == 404
