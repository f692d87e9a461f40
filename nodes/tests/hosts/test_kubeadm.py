"""The scripts that run on a control-plane node, with stand-ins of kubeadm and the kubelet that renew, serve and restart."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nodes.certificates import read_answer
from nodes.hosts import drivers
from nodes.hosts.drivers.base import CommandRefused
from nodes.hosts.drivers.kubeadm_commands import CERTIFICATES, PODS, SERVES, kept_on, read_shown
from tests import kubeadm
from tests.conftest import missing


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    if not (shutil.which("openssl") and shutil.which("curl")):
        missing("openssl and curl are not installed.")


def free_ports() -> dict[str, int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _name in PODS]
    ports = {name: one.getsockname()[1] for name, one in zip(PODS, taken, strict=True)}
    for one in taken:
        one.close()
    return ports


class Plane:
    """A control plane below a folder."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin = folder / "kubernetes", folder / "bin"
        self.bin.mkdir()
        self.root.mkdir()
        for name, text in (
            ("kubeadm", kubeadm.at(kubeadm.KUBEADM, self.root)),
            ("systemctl", "#!/bin/sh\necho active\n"),
        ):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        (folder / "kubelet.py").write_text(kubeadm.KUBELET)
        self.env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        self.make()
        own = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        own += ["-keyout", f"{self.root}/own.key", "-out", f"{self.root}/own.crt", "-subj", "/CN=own"]
        subprocess.run(own, check=True, capture_output=True)
        for name, text in kubeadm.manifests(free_ports()).items():
            (self.root / "manifests" / name).write_text(text)
        words = [sys.executable, str(folder / "kubelet.py"), f"--root={self.root}/"]
        self.kubelet = subprocess.Popen(words, env=self.env)

    def make(self) -> None:
        subprocess.run([self.bin / "kubeadm", "init", "phase", "certs", "all"], env=self.env, check=True)

    def argv(self, kind: str, *, patience_s: int = 20, **params: Any) -> list[str]:
        """What the driver runs, but here: without sudo, below our folder, and without long waits."""
        words = drivers.get("fcos").command(kind, **params).argv[2:]
        short = [one.replace("ENDS=120", f"ENDS={patience_s}").replace("sleep 1;", "sleep 0.1;") for one in words]
        return [kubeadm.at(one, self.root) for one in short]

    def run(self, kind: str, **params: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.argv(kind, **params), env=self.env, capture_output=True, check=False, timeout=60)

    def shown(self) -> dict[str, Any]:
        found = read_shown(self.run("kubeadm_shown").stdout)
        assert found is not None
        return found

    def wait(self) -> dict[str, Any]:
        """Until all is well."""
        for _attempt in range(100):
            found = self.shown()
            if list(found["health"].values()) == ["200"] * len(PODS):
                return found
            time.sleep(0.1)
        raise AssertionError(found)

    def kept(self) -> dict[str, str]:
        output = self.run("kubeadm_certificates").stdout.replace(str(self.root).encode(), kubeadm.ROOT.encode())
        leaves, authorities = kept_on(read_answer(output))
        assert sorted(authorities) == ["ca", "etcd/ca", "front-proxy-ca"]
        return {name: one.fingerprint for name, one in leaves.items()}

    def aside(self) -> list[str]:
        return [one.name for one in self.root.glob("fleetui-restart/*")]

    def close(self) -> None:
        self.kubelet.send_signal(signal.SIGCONT)
        self.kubelet.terminate()
        self.kubelet.wait(10)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with closing(Plane(tmp_path)) as made:
        yield made


def test_what_is_there_is_read_renewed_and_served_after_a_restart(plane: Plane) -> None:
    before, old = plane.wait(), plane.kept()
    assert before["kubeadm"] == "v1.36.2"
    assert before["kubelet"] == "active"
    assert before["keys"] == ["ca", "etcd/ca", "front-proxy-ca"]
    assert (list(before["pods"]), before["away"]) == (list(PODS), [])
    assert sorted(old) == sorted(CERTIFICATES)
    assert before["served"] | {pod: old[name] for pod, name in SERVES.items()} == before["served"]

    assert b"certificate etcd-peer renewed" in plane.run("kubeadm_renew").stdout
    new = plane.kept()
    assert {name for name in old if old[name] != new[name]} == set(CERTIFICATES)
    assert plane.shown()["served"]["etcd"] == old["etcd-server"]

    done = plane.run("kubeadm_restart", pods=["kube-apiserver", "etcd"])
    assert done.returncode == 0, done.stdout
    after = plane.wait()
    assert after["served"] | {pod: new[name] for pod, name in SERVES.items()} == after["served"]
    changed = [pod for pod in PODS if after["pods"][pod] != before["pods"][pod]]
    assert changed == ["etcd", "kube-apiserver"]
    assert not plane.root.joinpath("fleetui-restart").exists()
    assert b"PRIVATE" not in plane.run("kubeadm_shown").stdout


def test_a_restart_that_is_stopped_or_killed_loses_no_manifest(plane: Plane) -> None:
    plane.wait()
    os.kill(plane.kubelet.pid, signal.SIGSTOP)
    late = plane.run("kubeadm_restart", pods=["etcd"], patience_s=2)
    assert (late.returncode, plane.aside()) == (1, [])
    assert b"error: the kubelet did not end etcd within 2 s" in late.stdout

    for told, left in ((signal.SIGTERM, []), (signal.SIGKILL, ["etcd.yaml"])):
        running = subprocess.Popen(
            plane.argv("kubeadm_restart", pods=["etcd"]), env=plane.env, stdout=subprocess.DEVNULL
        )
        for _attempt in range(100):
            if plane.aside():
                break
            time.sleep(0.05)
        running.send_signal(told)
        assert running.wait(10) != 0
        assert plane.aside() == left
    assert plane.shown()["away"] == ["etcd.yaml"]
    assert plane.run("kubeadm_back").returncode == 0
    assert plane.aside() == []
    assert plane.root.joinpath("manifests/etcd.yaml").exists()


def test_a_manifest_that_somebody_put_there_is_not_written_over(plane: Plane) -> None:
    aside = plane.root / "fleetui-restart"
    aside.mkdir()
    (aside / "etcd.yaml").write_text("ours")
    done = plane.run("kubeadm_back")
    assert b"is there already" in done.stdout
    assert (aside / "etcd.yaml").read_text() == "ours"


def test_an_external_authority_is_seen_by_the_key_that_lacks(plane: Plane) -> None:
    old = plane.kept()
    plane.root.joinpath("pki/ca.key").unlink()
    assert plane.shown()["keys"] == ["etcd/ca", "front-proxy-ca"]
    # kubeadm leaves them out, and ends well all the same.
    assert plane.run("kubeadm_renew").returncode == 0
    new = plane.kept()
    assert old["apiserver"] == new["apiserver"]
    assert old["etcd-server"] != new["etcd-server"]


@pytest.mark.parametrize("output", [b"", b"sudo: a password is required\n", b"kubeadm v1.36.2\npod etcd 1.2\n"])
def test_half_an_answer_is_none(output: bytes) -> None:
    assert read_shown(output) is None


def test_odd_lines_are_no_answer_to_go_by() -> None:
    found = read_shown(b"kubeadm\npod ../x 1.2\nserved etcd !!\nserved etcd QUJD\nhealth etcd 200\nend\n")
    assert found is not None
    assert (found["kubeadm"], found["pods"], found["served"]) == ("?", {}, {"etcd": ""})


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("kubeadm_renew", {"certificate": "ca"}),
        ("kubeadm_restart", {}),
        ("kubeadm_restart", {"pods": ["coredns"]}),
        ("kubeadm_restart", {"pods": "etcd"}),
    ],
)
@pytest.mark.parametrize("family", ["fcos", "flatcar"])
def test_what_a_driver_refuses(family: str, kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(CommandRefused):
        drivers.get(family).command(kind, **params)
