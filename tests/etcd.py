"""A real etcd on loopback for tests, with TLS and client certificates as kubeadm makes them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.services import ServiceMissing, free_port

START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Etcd:
    endpoint: str
    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """As a backup policy names it."""
        files = {"ca": "ca.crt", "cert": "server.crt", "key": "server.key"}
        return {"runs_in": "host", "endpoint": self.endpoint, "folder": str(self.folder / "snapshots")} | {
            name: str(self.folder / file) for name, file in files.items()
        }

    def ctl(self, *words: str) -> str:
        files = [
            f"--cacert={self.folder}/ca.crt",
            f"--cert={self.folder}/server.crt",
            f"--key={self.folder}/server.key",
        ]
        argv = ["etcdctl", f"--endpoints={self.endpoint}", *files, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, env={"ETCDCTL_API": "3"}).stdout


@contextlib.contextmanager
def etcd(*, data: Path | None = None, name: str = "a") -> Iterator[Etcd]:
    """A new one, or one that goes on with a data directory."""
    program = shutil.which("etcd")
    if program is None or shutil.which("etcdctl") is None:
        raise ServiceMissing("etcd is not installed. Install it: apt-get install etcd-server etcd-client")
    folder = Path(tempfile.mkdtemp(prefix="fleetui-etcd-"))
    try:
        (folder / "snapshots").mkdir()
        _certificates(folder)
        client, peer = free_port(), free_port()
        found = Etcd(f"https://127.0.0.1:{client}", folder)
        argv = [program, f"--name={name}", f"--data-dir={data or folder / 'data'}"]
        argv += [f"--listen-client-urls={found.endpoint}", f"--advertise-client-urls={found.endpoint}"]
        argv += [
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        ]
        argv += [
            f"--initial-cluster={name}=http://127.0.0.1:{peer}",
            "--client-cert-auth",
            f"--trusted-ca-file={folder}/ca.crt",
        ]
        argv += [f"--cert-file={folder}/server.crt", f"--key-file={folder}/server.key"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], stdout=log, stderr=log)
        try:
            _wait(found, process)
            yield found
        finally:
            process.kill()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(found: Etcd, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(subprocess.CalledProcessError):
            found.ctl("endpoint", "health")
            return
        time.sleep(0.1)
    raise ServiceMissing(f"etcd did not start: {(found.folder / 'log').read_text()[-2000:]}")


def _certificates(folder: Path) -> None:
    """An authority, and one pair that serves and is a client, as kubeadm's server.crt is."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _signed("etcd-ca", "etcd-ca", ca_key.public_key(), ca_key, is_ca=True)
    _write(folder / "ca.crt", ca.public_bytes(serialization.Encoding.PEM))
    server = _signed("server", "etcd-ca", key.public_key(), ca_key, is_ca=False)
    _write(folder / "server.crt", server.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _write(folder / "server.key", key.private_bytes(serialization.Encoding.PEM, *private))


def _signed(
    name: str, issuer: str, public: ec.EllipticCurvePublicKey, by: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if not is_ca:
        built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        built = built.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return built.sign(by, hashes.SHA256())


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
