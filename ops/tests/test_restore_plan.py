"""How a backup is brought back: the steps name what is there, and what they say to type does it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyrage
import pytest

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import Pool
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
from tests.conftest import missing
from tests.etcd import etcd

S3 = {"endpoint": "https://s3.example.com", "region": "eu-1", "bucket": "fleet"}
HOSTS = [Host("cp-1", "core@10.0.0.1", 22, "10.0.0.1"), Host("cp-2", "ops@fd00::2", 2222, "fd00::2")]


def lies(kind: str, settings: dict[str, Any] | None = None, **over: Any) -> Lies:
    given: dict[str, Any] = {
        "kind": kind,
        "settings": checked(kind, settings or {}),
        "key": "own-1/2026-11-27-ab.db",
        "sha256": "ab" * 32,
        "location": "s3://fleet/own-1/2026-11-27-ab.db",
        "target_kind": "s3",
        "target_settings": S3,
    }
    return Lies(**{**given, **over})


def steps(of: Lies, hosts: Sequence[Host] = HOSTS) -> dict[str, Step]:
    return {one.code: one for one in restore_steps(of, hosts)}


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("path", {"paths": ["/etc"]}),
    ("postgresql", {"database": "app"}),
    (
        "postgresql",
        {"database": "app", "runs_in": "podman", "container": "db", "run_as": "postgres", "host": "/run/pg"},
    ),
    ("etcd", {}),
    ("etcd", {"runs_in": "kubeadm"}),
    ("etcd", {"runs_in": "docker", "container": "etcd"}),
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
    found = steps(lies("etcd", {"runs_in": "kubeadm"}))
    assert found["restore_fetch_s3"].lines == (
        "aws s3 cp s3://fleet/own-1/2026-11-27-ab.db 2026-11-27-ab.db --region eu-1 --endpoint-url https://s3.example.com",
    )
    assert found["restore_send"].lines[1] == "scp -P 2222 2026-11-27-ab.db ops@fd00::2:/var/tmp/"
    assert found["restore_halt_pods"].on == ("cp-1", "cp-2")
    cluster = "--initial-cluster=cp-1=https://10.0.0.1:2380,cp-2=https://[fd00::2]:2380"
    made = [one for one in restore_steps(lies("etcd", {"runs_in": "kubeadm"}), HOSTS) if one.code == "restore_member"]
    assert [one.on for one in made] == [("cp-1",), ("cp-2",)]
    for name, one in zip(("cp-1", "cp-2"), made, strict=True):
        command = one.lines[1]
        assert cluster in command.replace("'", "")
        assert f"--name={name}" in command
        assert "--bump-revision=1000000000 --mark-compacted --data-dir=/var/lib/etcd" in command
    order = [one.code for one in restore_steps(lies("etcd", {"runs_in": "kubeadm"}), HOSTS)]
    assert order.index("restore_halted_pods") < order.index("restore_aside") < order.index("restore_member")
    assert order[-2:] == ["restore_start_pods", "restore_well_pods"]


def test_no_value_of_a_policy_leaves_its_word() -> None:
    hostile = "x'; rm -rf / #"
    found = steps(
        lies("path", {"paths": ["/etc"]}, key=f"a/{hostile}", location=f"/kept/{hostile}", target_kind="local")
    )
    said = subprocess.run(["bash", "-c", f"cp() {{ printf '%s\\n' \"$@\"; }}; {found['restore_fetch_local'].lines[0]}"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert said.splitlines() == [f"/kept/{hostile}", hostile.rpartition("/")[2]]


def typed(lines: Sequence[str], folder: Path, **env: str) -> str:
    """As somebody types them who is root."""
    script = 'set -eu\nsudo() { "$@"; }\n' + "\n".join(lines)
    programs = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(folder), "ETCDCTL_API": "3"}
    ran = subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**programs, **env}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def there() -> Iterator[Path]:
    """Where a file lies on a host, which is this machine."""
    path = Path("/var/tmp") / f"fleetui-test-{uuid.uuid4().hex}"
    yield path
    path.unlink(missing_ok=True)


def test_files_come_back_as_they_were(tmp_path: Path, there: Path) -> None:
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
    closed = b"".join(Envelope([str(identity.to_public())]).closed(iter([(tmp_path / "packed").read_bytes()])))
    stored = LocalTarget(str(tmp_path)).put(f"files/{there.name}.age", [closed], lambda: None)
    (data / "a file").write_text("spoilt")
    (data / "newer").write_text("stays")
    given = {
        "key": f"files/{there.name}.age",
        "location": str(tmp_path / f"files/{there.name}.age"),
        "target_kind": "local",
    }
    found = steps(lies("path", {"paths": [str(data)]}, sha256=stored.sha256, **given), HOSTS[:1])
    typed([line for code in ("fetch_local", "compare", "open") for line in found[f"restore_{code}"].lines], here)
    shutil.copy(here / there.name, there)
    assert "a file" in typed(found["restore_list"].lines, here)
    typed(found["restore_unpack"].lines, here)
    assert ((data / "a file").read_text(), (data / "newer").read_text()) == ("as it was", "stays")


def test_an_etcd_runs_on_what_was_brought_back(tmp_path: Path, there: Path) -> None:
    with etcd() as first:
        first.ctl("put", "/registry/1", "as it was")
        first.ctl("snapshot", "save", str(there))
    found = steps(
        lies("etcd", key=f"etcd/{there.name}", sha256=hashlib.sha256(there.read_bytes()).hexdigest()), HOSTS[:1]
    )
    (tmp_path / "data").mkdir()
    made = [line for code in ("aside", "member") for line in found[f"restore_{code}"].lines]
    if not shutil.which("etcdutl"):
        made = [line.replace("etcdutl", "etcdctl") for line in made]
    typed(made, tmp_path, DATA_DIR=str(tmp_path / "data"))
    assert (tmp_path / "data.before").is_dir()
    with etcd(data=tmp_path / "data", name="cp-1") as again:
        assert "as it was" in again.ctl("get", "/registry/1")


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
    assert found["steps"][3]["commands"][1].endswith("core@10.0.0.2:/var/tmp/")
    assert api.get(f"{where}?run={older.pk}").json()["location"] == "/kept/etcd/1.db"
    assert api.get(f"{where}?run={uuid.uuid4()}").json()["detail"] == "etcd has no such backup."
    assert api.get(f"{where}?run=newest").json()["field"] == "run"
    shown = page.get(f"/backups/{policy.pk}/").content.decode()
    assert "Show the 12 steps" in shown
    assert "On cp-1, cp-2" in shown
    BackupRun.objects.update(target=None)
    assert page.get(f"/backups/{policy.pk}/").status_code == 200
    assert api.get(where).status_code == 404, "nobody knows any more where it lies"
    other = Api(make_user("carl", ("viewer", make_pool("web"))))
    assert other.get(where).status_code == 404
