from __future__ import annotations

from datetime import timedelta

import pytest

from nodes.certificates import Certificate, Form, Unreadable, read_all, read_der
from nodes.tests.certificates.making import NOW, ca, kubeconfig, make, ssh_certificate


def test_what_a_certificate_says() -> None:
    authority = ca()
    made = make("web", issuer=authority, names=("web.example.org", "*.web.example.org", "10.0.0.7", "fd00::7"))
    [found] = read_all(made.pem)
    assert isinstance(found, Certificate)
    assert (found.form, found.subject, found.issuer) == (Form.X509, "CN=web", "CN=test CA")
    assert found.names == ("web.example.org", "*.web.example.org", "10.0.0.7", "fd00::7")
    assert (found.not_before, found.not_after) == (NOW - timedelta(days=30), NOW + timedelta(days=335))
    assert (found.key_type, found.key_bits, found.signature, found.is_ca) == ("ECDSA", 256, "sha256", False)
    assert found.fingerprint == made.certificate.fingerprint(made.certificate.signature_hash_algorithm).hex()  # type: ignore[arg-type]
    assert read_der(made.der) == found
    assert "blob" not in repr(found)


def test_a_chain_beside_a_key_is_read_in_its_order_and_the_key_is_not() -> None:
    authority = ca()
    made = make("web", issuer=authority)
    found = list(read_all(b"# haproxy\n" + made.pem + made.key_pem + authority.pem))
    assert [one.subject for one in found if isinstance(one, Certificate)] == ["CN=web", "CN=test CA"]


def test_both_certificates_of_a_kubeconfig() -> None:
    authority = ca("kubernetes")
    client = make("kubernetes-admin", issuer=authority)
    found = list(read_all(kubeconfig(authority, client)))
    assert [one.subject for one in found if isinstance(one, Certificate)] == ["CN=kubernetes", "CN=kubernetes-admin"]


def test_a_host_certificate_of_openssh() -> None:
    [found] = read_all(ssh_certificate("web-1", "10.0.0.7"))
    assert isinstance(found, Certificate)
    assert (found.form, found.subject, found.names, found.serial) == (
        Form.SSH,
        "web-1 2026",
        ("web-1", "10.0.0.7"),
        "7",
    )
    assert found.issuer.startswith("SHA256:")
    assert found.not_after == NOW + timedelta(days=90)


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"\x30\x82\x01\x01" + b"\0" * 40,
        b"ssh-ed25519-cert-v01@openssh.com AAAA\n",
        b"client-certificate-data: AAA\n",
    ],
)
def test_what_is_damaged_is_said(text: bytes) -> None:
    [found] = read_all(text)
    assert isinstance(found, Unreadable)


def test_every_cut_of_a_certificate_is_said_or_nothing() -> None:
    text = make("web").der
    for end in range(1, len(text), 7):
        assert all(isinstance(one, Unreadable) for one in read_all(text[:end]))


def test_what_is_none_gives_nothing() -> None:
    assert list(read_all(b"hello\n")) == []
    assert list(read_all(make("web").key_pem)) == []


def test_names_hold_no_control_characters() -> None:
    [found] = read_all(make("we\nb\x1b[31m").pem)
    assert isinstance(found, Certificate)
    assert found.subject == "CN=web[31m"
