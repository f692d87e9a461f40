"""A real etcd of several members with TLS between them on loopback, laid out on disk as kubeadm lays it out on each host.

Each member has an address and a root of its own, and stands for the host of a control plane: what FleetUI runs there runs
here with that root in the place of /etc/kubernetes, and with a `crictl` that runs etcdctl in this place.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.services import ServiceMissing, free_port

START_TIMEOUT_S = 60.0
ROOT = "/etc/kubernetes"
#: The static pod of etcd is the process itself: `crictl exec ID COMMAND` runs the command here.
CRICTL = '#!/bin/sh\ncase "$1" in ps) echo 5f0c1f2e ;; exec) shift 2; exec "$@" ;; esac\n'
_ETCD = """\
apiVersion: v1
kind: Pod
metadata:
  name: etcd
spec:
  containers:
  - command:
    - etcd
    - --listen-client-urls={client}
    - --listen-peer-urls={peer}
"""
_API = """\
apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
spec:
  containers:
  - command:
    - kube-apiserver
    - --etcd-servers={servers}
"""


@dataclass
class Plane:
    """One member and the host that it is on."""

    name: str
    address: str
    folder: Path
    client: str
    peer: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        return self.folder / "kubernetes"

    def lay_out(self, *, servers: str = "", has_etcd: bool = True) -> None:
        """The manifests as kubeadm writes them; with `servers` of an etcd elsewhere, and without one of its own."""
        manifests = self.root / "manifests"
        manifests.mkdir(parents=True, exist_ok=True)
        (manifests / "kube-apiserver.yaml").write_text(_API.format(servers=servers or self.client))
        (manifests / "etcd.yaml").unlink(missing_ok=True)
        if has_etcd:
            (manifests / "etcd.yaml").write_text(_ETCD.format(client=self.client, peer=self.peer))

    def run(self, argv: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """What is run on the host, with its root in the place of /etc/kubernetes."""
        # Members that do not answer are given up sooner than on hosts.
        words = [word.replace(ROOT, str(self.root)).replace("-timeout=4s", "-timeout=1500ms") for word in argv]
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        return subprocess.run(words, input=stdin, capture_output=True, env={"PATH": path}, check=False)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Etcds:
    """The members by name."""

    folder: Path
    planes: dict[str, Plane] = field(default_factory=dict)

    def ctl(self, *words: str, by: str = "") -> str:
        plane = self.planes[by] if by else next(one for one in self.planes.values() if one.is_up)
        pki = plane.root / "pki/etcd"
        files = [f"--cacert={pki}/ca.crt", f"--cert={pki}/server.crt", f"--key={pki}/server.key"]
        argv = ["etcdctl", f"--endpoints={plane.client}", *files, *words]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env={"ETCDCTL_API": "3"})
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def members(self) -> dict[str, dict[str, Any]]:
        """By name; one that never started has none."""
        found: dict[str, dict[str, Any]] = {}
        for one in json.loads(self.ctl("member", "list", "--write-out=json"))["members"]:
            found[one.get("name", "")] = one
        return found

    def make(self, name: str, number: int) -> Plane:
        folder = self.folder / f"{name}-{number}"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "crictl").write_text(CRICTL)
        (folder / "bin" / "crictl").chmod(0o755)
        (folder / "bin" / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
        (folder / "bin" / "sudo").chmod(0o755)
        address = f"127.0.77.{number}"
        ports = [free_port(), free_port()]
        plane = Plane(name, address, folder, f"https://{address}:{ports[0]}", f"https://{address}:{ports[1]}")
        plane.lay_out()
        shutil.copytree(self.folder / "pki", plane.root / "pki" / "etcd")
        return plane

    def start(self, plane: Plane, cluster: str, *, joins: bool = False) -> None:
        pki = plane.root / "pki/etcd"
        argv = ["etcd", f"--name={plane.name}", f"--data-dir={plane.folder}/data", f"--initial-cluster={cluster}"]
        argv += [f"--initial-cluster-state={'existing' if joins else 'new'}"]
        argv += [f"--listen-client-urls={plane.client}", f"--advertise-client-urls={plane.client}"]
        argv += [f"--listen-peer-urls={plane.peer}", f"--initial-advertise-peer-urls={plane.peer}"]
        for of in ("", "peer-"):
            argv += [f"--{of}client-cert-auth", f"--{of}trusted-ca-file={pki}/ca.crt"]
            argv += [f"--{of}cert-file={pki}/server.crt", f"--{of}key-file={pki}/server.key"]
        argv += ["--heartbeat-interval=50", "--election-timeout=500"]
        with (plane.folder / "log").open("ab") as log:
            plane.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], stdout=log, stderr=log)
        self.planes[plane.name] = plane

    def join(self, name: str, number: int, *, learner: bool = False, starts: bool = True) -> Plane:
        """What `kubeadm join --control-plane` does: a member more, and then its process."""
        plane = self.make(name, number)
        as_learner = ["--learner"] if learner else []
        said = self.patiently("member", "add", name, f"--peer-urls={plane.peer}", *as_learner)
        (line,) = [one for one in said.splitlines() if one.startswith("ETCD_INITIAL_CLUSTER=")]
        if starts:
            self.start(plane, line.partition("=")[2].strip('"'), joins=True)
            self.wait(plane, learner=learner)
        return plane

    def patiently(self, *words: str) -> str:
        """etcd changes no members while one of them is connected for less than 5 s."""
        end = time.monotonic() + 20
        while True:
            try:
                return self.ctl(*words)
            except RuntimeError as error:
                if "unhealthy cluster" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def wait(self, plane: Plane, *, learner: bool = False) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        words = ("endpoint", "status") if learner else ("endpoint", "health")
        while time.monotonic() < end and plane.is_up:
            with contextlib.suppress(RuntimeError):
                self.ctl(*words, by=plane.name)
                return
            time.sleep(0.05)
        raise ServiceMissing(f"etcd did not start: {(plane.folder / 'log').read_text()[-2000:]}")


@contextlib.contextmanager
def etcds(count: int) -> Iterator[Etcds]:
    """So many members, named n1, n2 and so on, all well."""
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        raise ServiceMissing("etcd is not installed. Install it: apt-get install etcd-server etcd-client")
    folder = Path(tempfile.mkdtemp(prefix="fleetui-etcds-"))
    found = Etcds(folder)
    try:
        # Members see each other come from 127.0.0.1.
        make_pki(folder / "pki", ["127.0.0.1", *(f"127.0.77.{number}" for number in range(1, 30))])
        planes = [found.make(f"n{number}", number) for number in range(1, count + 1)]
        cluster = ",".join(f"{one.name}={one.peer}" for one in planes)
        for one in planes:
            found.start(one, cluster)
        for one in planes:
            found.wait(one)
        yield found
    finally:
        for one in found.planes.values():
            one.stop()
        shutil.rmtree(folder, ignore_errors=True)


def make_pki(folder: Path, addresses: Sequence[str]) -> None:
    """An authority, and one pair for all members that serves and is a client, as kubeadm's server.crt is."""
    folder.mkdir()
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    ca = _begun("etcd-ca", ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pair = _begun("node", key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    pair = pair.add_extension(usages, critical=False)
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "ca.crt").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (folder / "server.crt").write_bytes(pair.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    (folder / "server.key").write_bytes(key.private_bytes(pem, *private))


def _begun(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd-ca")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
