"""Volumes of Kubernetes that live on a node: which those are by the cluster, and what becomes of them on a real host."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from nodes.models import Cluster as ClusterRow
from nodes.tests.make import make_node, make_user
from nodes.tests.pages import signed_in
from ops.backups.sources import Place, SettingRefused, checked, chosen_claims, volume_source
from ops.kubernetes import ClusterNode
from ops.kubernetes.volumes import Volume
from ops.models import BackupPolicy, BackupRun, LogLine, Operation
from ops.services.backups.restoring import restore_of
from ops.tests.kube import Kube, make_kube
from ops.tests.test_backup_runs import Lab
from tests.sshd import RealSshd, real_sshd

HOSTNAME = "kubernetes.io/hostname"


def volume(name: str, claim: str, node: str = "", **spec: Any) -> dict[str, Any]:
    """As the API has it; `spec` says where it lies, and `node` pins it."""
    space, _slash, claimed = claim.partition("/")
    affinity = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [node]}]}
    pinned = {"nodeAffinity": {"required": {"nodeSelectorTerms": [affinity]}}} if node else {}
    reference = {"kind": "PersistentVolumeClaim", "namespace": space, "name": claimed} if claim else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {"claimRef": reference, **pinned, **spec},
        "status": {"phase": "Bound" if claim else "Available"},
    }


def node(name: str = "worker-1", **labels: str) -> ClusterNode:
    return ClusterNode.read({"metadata": {"name": name, "labels": {HOSTNAME: name, **labels}}})


def test_which_volumes_live_on_a_path() -> None:
    read = Volume.read
    assert read(volume("nfs", "shop/a", nfs={"path": "/x", "server": "y"})) is None
    assert read(volume("free", "", local={"path": "/mnt/x"})) is None
    assert read({"spec": {"local": "?"}}) is None
    found = read(volume("pv", "shop/data", "worker-1", local={"path": "/mnt/x"}, volumeMode="Block"))
    assert found is not None
    assert (found.place, found.path, found.is_local, found.is_block) == ("shop/data", "/mnt/x", True, True)
    assert found.is_on(node(), ())
    assert not found.is_on(node("worker-2"), ("shop/data",)), "its affinity is what counts"


@pytest.mark.parametrize(
    ("terms", "is_on"),
    [
        ([], False),
        ([{}], False),
        ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker-1"]}]}], True),
        ([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["worker-1"]}]}], False),
        ([{}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}], True),
        ([{"matchExpressions": [{"key": "disks", "operator": "Gt", "values": ["1"]}]}], True),
        ([{"matchExpressions": [{"key": "disks", "operator": "Lt", "values": ["2"]}]}], False),
        ([{"matchExpressions": [{"key": "zone", "operator": "Gt", "values": ["1"]}]}], False),
        ([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}, {"key": "no", "operator": "Exists"}]}], False),
    ],
)  # fmt: skip
def test_node_affinity_is_read_as_the_scheduler_does(terms: list[Any], is_on: bool) -> None:
    found = Volume.read(
        volume("pv", "shop/a", local={"path": "/x"}, nodeAffinity={"required": {"nodeSelectorTerms": terms}})
    )
    assert found is not None
    assert found.is_on(node(zone="a", disks="2"), ()) is is_on


def test_without_an_affinity_it_is_where_a_pod_uses_it() -> None:
    found = Volume.read(volume("pv", "shop/a", hostPath={"path": "/srv/a", "type": "FileOrCreate"}))
    assert found is not None
    assert (found.is_file, found.is_on(node(), ("shop/a",)), found.is_on(node(), ("shop/b",))) == (True, True, False)


def test_claims_are_chosen_by_namespace_and_name() -> None:
    settings = checked("volume", {"claims": ["shop/data-*", "db/pg"]})
    claims = ["shop/data-1", "shop/data-0", "shop/cache", "db/pg", "other/data-1"]
    assert chosen_claims(settings, claims) == ["db/pg", "shop/data-0", "shop/data-1"]
    for wrong in ([], ["data"], ["shop/"], ["shop/a/b"], ["shop/$(id)"], ["Shop/a"]):
        with pytest.raises(SettingRefused) as refused:
            checked("volume", {"claims": wrong})
        assert refused.value.name == "claims"
    argv = volume_source(settings, [Place("a/b", "/mnt/--x/"), Place("a/c", "/srv/file", is_file=True)]).argv
    assert argv[argv.index("--") + 1 :] == ("mnt/--x/.", "srv/file")


@pytest.fixture(scope="module")
def host() -> Iterator[RealSshd]:
    with real_sshd([], host_key_types=("ed25519",)) as server:
        yield server


@pytest.fixture
def lab(transactional_db: None, host: RealSshd, tmp_path: Any) -> Lab:
    return Lab(host, tmp_path)


@pytest.fixture
def kube(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Kube:
    row = ClusterRow.objects.create(name="prod")
    lab.pool.cluster = row
    lab.pool.save()
    lab.node.refresh_from_db()
    found = make_kube(monkeypatch, row)
    found.cluster.add_node(lab.node.name)
    found.cluster.add_node("elsewhere")
    found.look(clock.now())
    return found


def put(kube: Kube, *documents: dict[str, Any]) -> None:
    for one in documents:
        kube.cluster.post("/api/v1/persistentvolumes", one)


@pytest.mark.sshd
@pytest.mark.xdist_group("backups")
class TestOnAHost:
    def policy(self, lab: Lab, *claims: str, **over: Any) -> BackupPolicy:
        given = {"kind": "volume", "settings": {"claims": list(claims), "exclude": ["*.tmp"]}}
        return lab.policy(**{**given, **over})

    def test_volumes_of_the_node_are_one_archive(self, lab: Lab, kube: Kube) -> None:
        local, used, other = (lab.folder / name for name in ("mnt", "used", "other"))
        for place in (local, used, other):
            place.mkdir()
            (place / "data").write_text(place.name)
        (local / "skipped.tmp").write_text("no")
        # What a local volume points to may be a link to where the disk is mounted.
        (lab.folder / "link").symlink_to(local)
        put(
            kube,
            volume("pv-1", "shop/data-0", lab.node.name, local={"path": str(lab.folder / "link")}),
            volume("pv-2", "shop/used", hostPath={"path": str(used)}),
            volume("pv-3", "shop/unused", hostPath={"path": str(other)}),
            volume("pv-4", "shop/data-1", "elsewhere", local={"path": str(other)}),
            volume("pv-5", "db/pg", lab.node.name, local={"path": str(other)}),
        )
        kube.cluster.add_pod(lab.node.name, "web-1", claim="used")
        policy = self.policy(lab, "shop/*")
        done = lab.work(lab.ask(policy))
        assert (done.state, done.result) == ("succeeded", "backed_up")
        run = BackupRun.objects.get()
        places = {"shop/data-0": str(lab.folder / "link"), "shop/used": str(used)}
        assert (run.state, run.checks["volumes"]) == ("good", places)
        with tarfile.open(lab.kept / run.key) as pack:
            held = {name for name in pack.getnames() if not name.endswith("/.")}
        assert held == {f"{lab.folder}/link/./data".lstrip("/"), f"{used}/./data".lstrip("/")}
        assert any("shop/data-0" in str(line) for line in LogLine.objects.filter(operation=done).values())
        steps = restore_of(policy).steps
        typed = "\n".join(line for step in steps for line in step.lines)
        assert "kubectl --namespace shop get pods" in typed
        assert f"restorecon -R -- {lab.folder / 'link'} {used}" in typed

    def test_killed_in_mid_stream_it_asks_the_cluster_anew(
        self, lab: Lab, kube: Kube, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(kube, volume("pv-1", "shop/data", lab.node.name, local={"path": str(lab.source)}))
        operation = lab.ask(self.policy(lab, "shop/data"))

        class Killed(BaseException):
            pass

        def dies(*_given: Any) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr("ops.actions.backup.pass_on", dies)
            with pytest.raises(Killed):
                lab.work(operation)
        moved = lab.folder / "moved"
        lab.source.rename(moved)
        kube.api.persistentvolumes["pv-1"]["spec"]["local"]["path"] = str(moved)
        lab.leases_run_out()
        assert lab.work(operation).state == "succeeded"
        assert BackupRun.objects.get().checks["volumes"] == {"shop/data": str(moved)}
        assert len(lab.files()) == 1

    @pytest.mark.parametrize(
        ("spec", "code"),
        [
            ({"nfs": {"path": "/x", "server": "y"}}, "no_volumes"),
            ({"local": {"path": "/dev/sdb"}, "volumeMode": "Block"}, "volume_unreadable"),
            ({"hostPath": {"path": "/"}}, "volume_unreadable"),
        ],
    )
    def test_what_cannot_be_read_ends_with_the_reason(
        self, lab: Lab, kube: Kube, spec: dict[str, Any], code: str
    ) -> None:
        put(kube, volume("pv-1", "shop/data", lab.node.name, **spec))
        done = lab.work(lab.ask(self.policy(lab, "shop/data")))
        assert (done.state, done.result) == ("failed", code)
        assert (BackupRun.objects.get().state, lab.files()) == ("failed", [])

    def test_a_claim_that_is_named_and_not_there_is_no_smaller_backup(self, lab: Lab, kube: Kube) -> None:
        put(
            kube,
            volume("pv-1", "shop/data", lab.node.name, local={"path": str(lab.source)}),
            volume("pv-2", "shop/db", hostPath={"path": str(lab.source)}),
        )
        done = lab.work(lab.ask(self.policy(lab, "shop/*", "shop/db")))
        assert (done.state, done.result, done.result_params["claims"]) == ("failed", "no_volumes", "shop/db")
        assert lab.files() == []
        kube.cluster.add_pod(lab.node.name, "db-0", claim="db")
        done = lab.work(lab.ask(BackupPolicy.objects.get()))
        assert done.state == "succeeded"
        notes = LogLine.objects.filter(operation=done, text="backup_volume")
        assert [one.params["claim"] for one in notes] == ["shop/data", "shop/db"]

    def test_a_right_that_is_missing_is_named(self, lab: Lab, kube: Kube) -> None:
        put(kube, volume("pv-1", "shop/data", lab.node.name, local={"path": str(lab.source)}))
        kube.api.denied.add("list persistentvolumes")
        done = lab.work(lab.ask(self.policy(lab, "shop/data")))
        assert done.state == "failed"
        assert "persistentvolumes" in str(Operation.objects.values_list("result_params", flat=True).get())

    def test_a_node_outside_of_a_cluster_is_refused(self, lab: Lab, kube: Kube) -> None:
        for outside in (make_node("lonely"), make_node("unmatched", pool=lab.pool)):
            with pytest.raises(InvalidInput, match=r"cluster|No node of prod") as refused:
                self.policy(lab, "shop/*", node=outside)
            assert refused.value.field == "node"
        with pytest.raises(InvalidInput) as none:
            self.policy(lab)
        assert none.value.field == "claims"

    def test_the_form_has_claims(self, lab: Lab, kube: Kube) -> None:
        client: Client = signed_in(make_user("boss", "admin"))
        address = "/backups/-/add/?kind=volume"
        assert 'name="claims"' in client.get(address).content.decode()
        given = {"name": "vols", "node": lab.node.name, "claims": "shop/*\r\ndb/pg", "exclude": "", "target": "disk"}
        client.post(address, {**given, "overdue_after_h": "26", "zone": "UTC"})
        policy = BackupPolicy.objects.get()
        assert policy.settings == {"claims": ["shop/*", "db/pg"], "exclude": []}
        assert "shop/*" in client.get(f"/backups/{policy.pk}/").content.decode()
        assert policy.set_by != str(SYSTEM)
