"""Certificates made for tests: a few lines each, real keys and signatures."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Made:
    """A certificate with its private half."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make(
    name: str,
    *,
    issuer: Made | None = None,
    names: tuple[str, ...] = (),
    begins: datetime | None = None,
    ends: datetime | None = None,
    is_ca: bool = False,
    key: Key | None = None,
) -> Made:
    """Signed by the issuer, or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or NOW - timedelta(days=30))
        .not_valid_after(ends or NOW + timedelta(days=335))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
    return Made(builder.sign(signer, hashes.SHA256()), key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def ca(name: str = "test CA", **over: object) -> Made:
    over.setdefault("ends", NOW + timedelta(days=3650))
    return make(name, is_ca=True, **over)  # type: ignore[arg-type]


def kubeconfig(authority: Made, client: Made) -> bytes:
    data = [base64.b64encode(one).decode() for one in (authority.pem, client.pem, client.key_pem)]
    return (
        "apiVersion: v1\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {data[0]}\n    server: https://10.0.0.1:6443\n  name: kubernetes\n"
        f"users:\n- name: admin\n  user:\n    client-certificate-data: {data[1]}\n    client-key-data: {data[2]}\n"
    ).encode()


def ssh_certificate(*names: str, ends: datetime | None = None, is_host: bool = True) -> bytes:
    authority, key = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    builder = (
        SSHCertificateBuilder()
        .public_key(key.public_key())
        .serial(7)
        .type(SSHCertificateType.HOST if is_host else SSHCertificateType.USER)
        .key_id(b"web-1 2026")
        .valid_principals([name.encode() for name in names])
        .valid_after(int((NOW - timedelta(days=1)).timestamp()))
        .valid_before(int((ends or NOW + timedelta(days=90)).timestamp()))
    )
    return builder.sign(authority).public_bytes() + b" root@web-1\n"
