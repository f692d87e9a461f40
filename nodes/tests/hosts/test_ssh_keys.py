"""Identities, host keys and known_hosts texts."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import pickle
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519

import nodes.hosts.ssh as ssh
from nodes.hosts.errors import BadIdentity, HostError, TimedOut
from tests.sshd import keygen

PEM, PKCS8, OPENSSH = (
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.OpenSSH,
)
ED25519, ECDSA = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def text_of(key: object, layout: serialization.PrivateFormat, passphrase: str = "") -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    data: bytes = key.private_bytes(serialization.Encoding.PEM, layout, encryption)  # type: ignore[attr-defined]
    return data.decode()


def public_line(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    layout = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, layout).decode()


@pytest.mark.parametrize("passphrase", ["", "a pässphrase"], ids=["open", "encrypted"])
@pytest.mark.parametrize(
    ("key", "layout"),
    [
        pytest.param(ED25519, OPENSSH, id="ed25519-openssh"),
        pytest.param(ED25519, PKCS8, id="ed25519-pkcs8"),
        pytest.param(ECDSA, OPENSSH, id="ecdsa-openssh"),
        pytest.param(ECDSA, PEM, id="ecdsa-pem"),
        pytest.param(ECDSA, PKCS8, id="ecdsa-pkcs8"),
        pytest.param(RSA, OPENSSH, id="rsa-openssh"),
        pytest.param(RSA, PEM, id="rsa-pem"),
        pytest.param(RSA, PKCS8, id="rsa-pkcs8"),
    ],
)
def test_every_usual_format_is_read(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    layout: serialization.PrivateFormat,
    passphrase: str,
) -> None:
    identity = ssh.load_identity(text_of(key, layout, passphrase), passphrase=passphrase or None)
    assert identity.public_line == public_line(key)
    assert identity.algorithm == public_line(key).split()[0]
    assert identity.fingerprint == ssh.HostKey.parse(identity.public_line).fingerprint
    if not passphrase:
        assert ssh.load_identity(text_of(key, layout), passphrase="needless").fingerprint == identity.fingerprint


def test_pasted_text_is_forgiven_its_white_space() -> None:
    text = text_of(ED25519, OPENSSH)
    pasted = "\ufeff\r\n  " + text.replace("\n", "  \r\n  ").rstrip()
    assert ssh.load_identity(pasted).public_line == public_line(ED25519)


PUTTY = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\n"
CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQ= me"
CUT = text_of(ED25519, OPENSSH)[:150] + "\n-----END OPENSSH PRIVATE KEY-----\n"


BAD_IDENTITIES: list[tuple[str, str | None, str]] = [
    ("", None, "empty"),
    (" \n\t", None, "empty"),
    (public_line(ED25519), None, "public_key"),
    (public_line(ECDSA), None, "public_key"),
    ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", None, "public_key"),
    (CERTIFICATE, None, "certificate"),
    (PUTTY, None, "putty"),
    ("~/.ssh/id_ed25519", None, "path"),
    ("/root/key", None, "path"),
    ("hunter2", None, "not_a_key"),
    ("\x00\udcff", None, "not_a_key"),
    (CUT, None, "damaged"),
    ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", None, "damaged"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\n\n-----END OPENSSH PRIVATE KEY-----\n", "x", "damaged"),
    (text_of(ED25519, OPENSSH, "right"), None, "passphrase_missing"),
    (text_of(ED25519, OPENSSH, "right"), "", "passphrase_missing"),
    (text_of(ED25519, OPENSSH, "right"), "wrong", "passphrase_wrong"),
    (text_of(RSA, PEM, "right"), None, "passphrase_missing"),
    (text_of(RSA, PEM, "right"), "wrong", "passphrase_wrong"),
    (text_of(ECDSA, PKCS8, "right"), "wrong", "passphrase_wrong"),
    (text_of(x25519.X25519PrivateKey.generate(), PKCS8), None, "unsupported"),
    (text_of(ec.generate_private_key(ec.SECP256K1()), PKCS8), None, "unsupported"),
    (text_of(dsa.generate_private_key(1024), PKCS8), None, "unsupported"),
    (text_of(rsa.generate_private_key(65537, 1024), PKCS8), None, "too_short"),
]


# Keys are made anew in every process, so they must not be part of a test's name.
@pytest.mark.parametrize(("text", "passphrase", "reason"), BAD_IDENTITIES, ids=range(len(BAD_IDENTITIES)))
def test_a_bad_identity_names_the_mend(text: str, passphrase: str | None, reason: str) -> None:
    with pytest.raises(BadIdentity) as caught:
        ssh.load_identity(text, passphrase=passphrase)
    assert caught.value.params["reason"] == reason
    assert caught.value.message.endswith(".")
    assert caught.value.what_to_do.endswith(".")
    assert "wrong" not in caught.value.message


def test_a_generated_identity_can_be_loaded_again_and_read_by_ssh_keygen(tmp_path: Path) -> None:
    text, identity = ssh.generate_identity("fleet key")
    assert identity.public_line.startswith("ssh-ed25519 ")
    assert identity.public_line.endswith(" fleet key")
    assert ssh.load_identity(text).fingerprint == identity.fingerprint
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    printed = subprocess.run(["ssh-keygen", "-yf", path], check=True, capture_output=True, text=True).stdout
    assert printed.split()[:2] == identity.public_line.split()[:2]


def test_nothing_secret_is_shown_or_serialized() -> None:
    text, identity = ssh.generate_identity()
    secret = text.split("\n")[4][:20]
    for shown in (repr(identity), str(identity), repr([identity])):
        assert secret not in shown
        assert "signing_key" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(identity)
    with pytest.raises(TypeError):
        copy.deepcopy(identity)


def test_certificates_are_checked_when_loaded(tmp_path: Path) -> None:
    keygen(tmp_path / "ca")
    keygen(tmp_path / "id")
    text, other = (tmp_path / "id").read_text(), ssh.generate_identity()[0]

    def certificate(*options: str) -> str:
        argv = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "x", "-n", "core", *options]
        subprocess.run([*argv, str(tmp_path / "id.pub")], check=True)
        return (tmp_path / "id-cert.pub").read_text()

    good = certificate()
    assert ssh.load_identity(text, certificate=good).certificate_expires_at is None
    assert ssh.load_identity(text, certificate="  ").certificate_expires_at is None
    soon = ssh.load_identity(text, certificate=certificate("-V", "+10m")).certificate_expires_at
    assert soon is not None
    assert 0 < soon - time.time() <= 601
    for private, wrong, reason in [
        (other, good, "certificate_mismatch"),
        (text, certificate("-V", "20200101:20200102"), "certificate_expired"),
        (text, certificate("-h"), "certificate"),
        (text, (tmp_path / "id.pub").read_text(), "certificate"),
        (text, "nonsense", "certificate"),
        (text, "a b c", "certificate"),
    ]:
        with pytest.raises(BadIdentity) as caught:
            ssh.load_identity(private, certificate=wrong)
        assert caught.value.params["reason"] == reason


# Host keys


KEY_A, KEY_B = (ssh.HostKey.parse(ssh.generate_identity()[1].public_line) for _ in range(2))
RSA_KEY = ssh.HostKey.parse(public_line(RSA))


def test_a_host_key_is_read_from_the_usual_lines() -> None:
    for line in (KEY_A.line, f"{KEY_A.line} root@host", f"  {KEY_A.line}\n", f"10.0.0.1 {KEY_A.line}"):
        assert ssh.HostKey.parse(line) == KEY_A
    assert str(KEY_A) == KEY_A.line


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA",
        "ssh-dss AAAA",
        "#",
    ],
)
def test_what_is_no_host_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ssh.HostKey.parse(line)


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("names", "address", "port", "found"),
    [
        ("node-1", "node-1", 22, True),
        ("node-1", "NODE-1", 22, True),
        ("Node-1", "node-1", 22, True),
        ("node-1", "node-1", 2222, False),
        ("[node-1]:2222", "node-1", 2222, True),
        ("[node-1]:2222", "node-1", 22, False),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222, True),
        ("2001:db8::1", "[2001:db8::1]", 22, True),
        ("a,node-1,b", "node-1", 22, True),
        ("node-?", "node-1", 22, True),
        ("*.example", "node.example", 22, True),
        ("[*.example]:2222", "node.example", 2222, True),
        ("*.example,!node.example", "node.example", 22, False),
        (hashed("node-1"), "node-1", 22, True),
        (hashed("node-1"), "node-2", 22, False),
        (hashed("[node-1]:2222"), "node-1", 2222, True),
        ("|1|broken", "node-1", 22, False),
        ("|1|a|b", "node-1", 22, False),
    ],
)
def test_names_in_known_hosts(names: str, address: str, port: int, found: bool) -> None:
    text = f"# made by hand\n\n{names} {KEY_A.line} comment\n"
    assert ssh.known_hosts_lookup(text, address, port) == ([KEY_A] if found else [])


def test_several_keys_revoked_keys_and_lines_that_cannot_be_used() -> None:
    text = "\n".join(
        [
            f"node {KEY_A.line}",
            f"node {RSA_KEY.line}",
            f"node {KEY_A.line}",
            f"node {KEY_B.line}",
            f"@revoked * {KEY_B.line}",
            f"@cert-authority * {ssh.HostKey.parse(ssh.generate_identity()[1].public_line).line}",
            f"@unknown node {KEY_B.line}",
            "node ssh-ed25519 broken",
            "node ssh-dss AAAA",
            "node",
        ]
    )
    assert ssh.known_hosts_lookup(text, "node") == [KEY_A, RSA_KEY]


def test_hashed_names_of_ssh_keygen_are_found(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"node-1 {KEY_A.line}\n[node-2]:2222 {KEY_B.line}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    text = path.read_text()
    assert "node" not in text
    assert ssh.known_hosts_lookup(text, "node-1") == [KEY_A]
    assert ssh.known_hosts_lookup(text, "node-2", 2222) == [KEY_B]


# Deadlines


def test_a_deadline_counts_down_and_is_never_negative() -> None:
    deadline = ssh.Deadline.after(0.05)
    assert 0 < deadline.remaining_s <= 0.05
    deadline.check("auth")
    time.sleep(0.06)
    assert deadline.remaining_s == 0
    assert deadline.expired
    with pytest.raises(TimedOut) as caught:
        deadline.check("auth", "node-1")
    assert caught.value.params == {"phase": "auth", "address": "node-1", "seconds": 0.1}


def test_the_earlier_deadline_counts() -> None:
    deadline = ssh.Deadline.after(1)
    assert deadline.within(5) is deadline
    assert deadline.within(0.1).remaining_s <= 0.1


def test_every_kind_of_error_has_a_name_of_its_own() -> None:
    kinds = [kind.kind for kind in HostError.__subclasses__() if kind.__module__ == HostError.__module__]
    assert len(kinds) == len(set(kinds)) == 16
    assert set(kinds) == {
        *("name_not_resolved", "refused", "no_route", "timed_out", "key_mismatch", "key_unknown", "authentication"),
        *("no_common_algorithm", "channel_refused", "command_failed", "output_too_large", "connection_lost"),
        *("jump_failed", "bad_identity", "bad_host_certificate", "forwarding_refused"),
    }
