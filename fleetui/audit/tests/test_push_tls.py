"""Audit events over TLS, to a real TLS server: only to the name that its certificate is for, by an authority that is trusted."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socketserver
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditPush
from fleetui.audit.push import push
from fleetui.audit.sinks import Syslog
from fleetui.core import clock

pytestmark = pytest.mark.django_db
_PEM, _PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()


class Authority:
    """A certificate authority with its certificate in a file, and certificates by it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        whole = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = self._builder(self._name, self._key).add_extension(whole, critical=True)
        made = made.add_extension(usage, critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(_PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now, day = clock.now(), dt.timedelta(days=1)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(now - day).not_valid_after(now + day)

    def certificate(self, place: x509.GeneralName) -> Path:
        """A file with a key and its certificate for this name or address."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "log")]), key)
        made = made.add_extension(x509.SubjectAlternativeName([place]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = made.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        file = self._folder / f"{signed.serial_number}.pem"
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN)
        file.write_bytes(private + signed.public_bytes(_PEM))
        return file


class Collector(socketserver.ThreadingTCPServer):
    """Takes syslog over TLS, with this certificate."""

    allow_reuse_address = True
    block_on_close = True

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.data = b""
        self.port = int(self.server_address[1])


class _Take(socketserver.BaseRequestHandler):
    server: Collector

    def handle(self) -> None:
        self.request.settimeout(60)
        try:
            with self.server.context.wrap_socket(self.request, server_side=True) as secured:
                while piece := secured.recv(4096):
                    self.server.data += piece
        except OSError:
            return  # the client did not trust us


ADDRESS = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that this process trusts, and no other."""
    found = Authority(tmp_path, "trusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(found.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return found


@pytest.fixture(autouse=True)
def three_events(settings: Any) -> None:
    settings.AUDIT_SEND_ALL = True
    for number in range(3):
        record_alone(Entry(actor="user:ada", action="nodes.edit", subject=f"node:n{number}", after={"x": "ü"}))


def sent_to(certificate: Path) -> tuple[int, bytes]:
    """How many events the push counts as sent, and what the collector read."""
    with Collector(certificate) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        sent = push(Syslog(f"tls://127.0.0.1:{server.port}"), clock.now())
        server.shutdown()
        thread.join(60)
    return sent, server.data


def test_a_collector_with_a_certificate_for_its_address_gets_the_events(authority: Authority) -> None:
    sent, data = sent_to(authority.certificate(ADDRESS))
    assert sent == 3
    seen = []
    while data:
        size, _space, data = data.partition(b" ")
        seen.append(json.loads(data[: int(size)].decode().partition("] ")[2])["subject"])
        data = data[int(size) :]
    assert seen == ["node:n0", "node:n1", "node:n2"]
    assert AuditPush.objects.get().seq == 3


@pytest.mark.parametrize(
    ("by", "place", "why"),
    [
        ("trusted", x509.IPAddress(ipaddress.ip_address("127.0.0.2")), "IP address mismatch"),
        ("trusted", x509.DNSName("log.example.org"), "IP address mismatch"),
        ("other", ADDRESS, "unable to get local issuer certificate"),
    ],
)
def test_nothing_is_sent_to_another_name_or_by_an_authority_that_is_not_trusted(
    authority: Authority, tmp_path: Path, by: str, place: x509.GeneralName, why: str
) -> None:
    issuer = authority if by == "trusted" else Authority(tmp_path, by)
    assert sent_to(issuer.certificate(place)) == (0, b"")
    row = AuditPush.objects.get()
    assert (row.seq, row.failures) == (0, 1)
    assert why in row.last_error, row.last_error
