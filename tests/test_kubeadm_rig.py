"""The control plane of a real host, by stand-ins of kubeadm and the kubelet: renewed, restarted, served; and cut off in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodes.hosts.drivers.kubeadm_commands import CERTIFICATES, PODS
from tests import kubeadm
from tests.installation import installation
from tests.rig import Rig
from tests.test_operations_rig import Fleet

#: About 100 s on a real host. In `make test` the same scripts run by nodes/tests/hosts/test_kubeadm.py.
pytestmark = [pytest.mark.e2e, pytest.mark.rig, pytest.mark.soak]
PORTS = dict(zip(PODS, (2379, 6443, 10257, 10259), strict=True))
KUBELET = "/var/lib/kubelet-stand-in.py"
UNIT = f"""\
[Unit]
Description=kubelet: a stand-in
[Service]
ExecStart=/usr/bin/python3 {KUBELET} --root={kubeadm.ROOT}/
[Install]
WantedBy=multi-user.target
"""


def put(rig: Rig, host: str, path: str, text: str) -> None:
    rig.ssh(host, f"sudo mkdir -p {Path(path).parent} && sudo tee {path} >/dev/null", stdin=text)


def with_local(rig: Rig, host: str) -> None:
    """As on Fedora CoreOS, where /usr/local leads there; after each boot anew."""
    there = "mountpoint -q /usr/local || sudo mount --bind /var/usrlocal /usr/local"
    rig.ssh(host, f"sudo mkdir -p /var/usrlocal/bin && ({there})")


def with_control_plane(rig: Rig, host: str) -> None:
    with_local(rig, host)
    put(rig, host, "/usr/local/bin/kubeadm", kubeadm.KUBEADM)
    rig.ssh(host, "sudo chmod 755 /usr/local/bin/kubeadm && sudo kubeadm init phase certs all")
    own = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=own"
    rig.ssh(host, f"sudo {own} -keyout {kubeadm.ROOT}/own.key -out {kubeadm.ROOT}/own.crt")
    for name, text in kubeadm.manifests(PORTS).items():
        put(rig, host, f"{kubeadm.ROOT}/manifests/{name}", text)
    put(rig, host, KUBELET, kubeadm.KUBELET)
    put(rig, host, "/etc/systemd/system/kubelet.service", UNIT)
    rig.ssh(host, "sudo systemctl daemon-reload && sudo systemctl enable --now kubelet")


@pytest.fixture(scope="module")
def plane(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, str]]:
    (given,) = rig.up(1)
    host = str(given["name"])
    with_control_plane(rig, host)
    with installation(tmp_path_factory.mktemp("var"), FLEETUI_POLL_INTERVAL_S="20") as started:
        fleet = Fleet(started, rig)
        fleet.take_in([given])
        fleet.polled(host)
        yield fleet, host


def kept(fleet: Fleet, host: str) -> dict[str, str]:
    rows: list[dict[str, Any]] = fleet.ask("GET", f"nodes/{host}/certificates/?limit=100")["results"]
    return {row["place"]: row["fingerprint"] for row in rows if not row["is_ca"]}


def test_all_are_renewed_and_served_by_pods_that_run_anew(plane: tuple[Fleet, str]) -> None:
    fleet, host = plane
    with_local(fleet.rig, host)
    fleet.ask("POST", f"nodes/{host}/certificates/read/")
    fleet.until(lambda: len(kept(fleet, host)) == len(CERTIFICATES))
    old = kept(fleet, host)
    done = fleet.end(fleet.start("kubeadm_renew", host))
    assert (done["state"], done["result"]) == ("succeeded", "control_plane_renewed"), done
    assert done["result_params"]["pods"] == ", ".join(PODS)
    fleet.until(lambda: not set(kept(fleet, host).values()) & set(old.values()))
    assert fleet.rig.ssh(host, f"ls {kubeadm.ROOT}/manifests").split() == sorted(f"{pod}.yaml" for pod in PODS)
    assert "PRIVATE KEY" not in fleet.rig.ssh(host, "sudo journalctl -q -o cat")


def test_a_power_cut_with_a_manifest_aside_ends_with_it_back(plane: tuple[Fleet, str]) -> None:
    fleet, host = plane
    with_local(fleet.rig, host)
    # A kubelet that is stopped ends no pod: the manifest stays aside until the power goes.
    fleet.rig.ssh(host, "sudo systemctl kill --kill-whom=main -s STOP kubelet")
    operation = fleet.start("kubeadm_renew", host, certificate="apiserver")
    fleet.until(lambda: "kube-apiserver" in fleet.rig.ssh(host, f"ls {kubeadm.ROOT}/fleetui-restart 2>&1 || true"))
    fleet.rig("reboot", host, "--hard")
    done = fleet.end(operation)
    assert (done["state"], done["result"]) == ("failed", "boot_changed"), done
    assert "kube-apiserver.yaml" in fleet.rig.ssh(host, f"ls {kubeadm.ROOT}/manifests")
    assert fleet.rig.ssh(host, f"ls {kubeadm.ROOT}/fleetui-restart 2>/dev/null || echo none").strip() == "none"
