"""The private key, and perhaps certificate, by which we log in to hosts."""

from __future__ import annotations

import base64
import io
import re
import time
from dataclasses import dataclass, field
from typing import TypeAlias

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import SSHCertificate, SSHCertificateType
from paramiko.message import Message

from nodes.hosts.errors import N_, BadIdentity
from nodes.hosts.ssh.transport import printable

PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

MINIMAL_RSA_BITS = 2048
_FOREVER = 2**64 - 1
_PUBLIC_TEXT = re.compile(r"^(ssh-\w+|ecdsa-sha2-\S+|sk-\S+) \S|^-+ ?BEGIN (SSH2 |RSA |EC )?PUBLIC KEY", re.M)
_NEW_KEY = N_("Create a key with ssh-keygen -t ed25519 and use its private half.")


@dataclass(frozen=True)
class Identity:
    """A loaded private key. Load it once and share it: signing with it is safe from many threads."""

    algorithm: str
    fingerprint: str
    public_line: str
    certificate_expires_at: int | None = None
    certificate_id: str = ""
    signing_key: paramiko.PKey = field(repr=False, compare=False, kw_only=True)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("An identity holds a private key and is never serialized.")


def load_identity(
    private_key: str, *, passphrase: str | None = None, certificate: str | None = None, comment: str = ""
) -> Identity:
    """Read a private key text (OpenSSH, PEM or PKCS8), and the certificate that goes with it if there is one."""
    text = "\n".join(line.strip() for line in private_key.strip().lstrip("\ufeff").splitlines()) + "\n"
    _refuse_what_is_no_private_key(text)
    loaded = _load(text.encode("utf-8", "replace"), passphrase)
    key = _signing_key(loaded)
    expires_at, name = (
        _attach_certificate(key, loaded, certificate) if certificate and certificate.strip() else (None, "")
    )
    line = f"{key.get_name()} {key.get_base64()} {comment}".rstrip()
    return Identity(key.get_name(), key.fingerprint, line, expires_at, name, signing_key=key)


def generate_identity(comment: str = "") -> tuple[str, Identity]:
    """Make a new ed25519 key; returns its private text in the format of OpenSSH, and the identity."""
    text = _openssh_text(ed25519.Ed25519PrivateKey.generate())
    return text, load_identity(text, comment=comment)


def private_text(private_key: str, *, passphrase: str | None = None) -> str:
    """The same private key as OpenSSH text without a passphrase: what is kept, sealed, after the passphrase is gone."""
    return _openssh_text(_load((private_key.strip() + "\n").encode("utf-8", "replace"), passphrase))


def _refuse_what_is_no_private_key(text: str) -> None:
    first = text.strip().split("\n", 1)[0]
    if not first:
        raise BadIdentity(N_("The private key is empty."), _NEW_KEY, "empty")
    if first.startswith("PuTTY-User-Key-File"):
        raise BadIdentity(
            N_("This is a PuTTY key, which OpenSSH cannot read."),
            N_("Convert it: puttygen key.ppk -O private-openssh -o key."),
            "putty",
        )
    if "PRIVATE KEY" in text:
        return
    if "-cert-v01@openssh.com" in first:
        raise BadIdentity(
            N_("This is a certificate, not a private key."),
            N_("Give the file without -cert.pub as the private key, and this one as its certificate."),
            "certificate",
        )
    if _PUBLIC_TEXT.search(text):
        raise BadIdentity(
            N_("This is a public key, not a private key."),
            N_("Give the file of the same name without .pub; it begins with -----BEGIN."),
            "public_key",
        )
    if re.fullmatch(r"[/~.]\S*\s*", text):
        raise BadIdentity(
            N_("This is the path of a file, not a private key."), N_("Give the contents of the file instead."), "path"
        )
    raise BadIdentity(
        N_("This is not a private key."),
        N_("Give the whole key file, from -----BEGIN to -----END."),
        "not_a_key",
    )


def _load(text: bytes, passphrase: str | None) -> PrivateKey:
    try:
        return _parse(text, None)
    except TypeError:
        pass  # TypeError is how cryptography says that the key is encrypted
    if not passphrase:
        raise BadIdentity(
            N_("The private key is encrypted and no passphrase was given."),
            N_("Give its passphrase, or remove it with ssh-keygen -p."),
            "passphrase_missing",
        )
    try:
        return _parse(text, passphrase.encode())
    except (BadIdentity, TypeError) as error:
        if isinstance(error, BadIdentity) and error.params["reason"] != "damaged":
            raise
        raise BadIdentity(
            N_("The passphrase does not open the private key."),
            N_("Check the passphrase with ssh-keygen -y -f on the key file."),
            "passphrase_wrong",
        ) from None


def _parse(text: bytes, passphrase: bytes | None) -> PrivateKey:
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in text
    loader = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = loader(text, password=passphrase)
    except UnsupportedAlgorithm:
        raise BadIdentity(
            N_("The type or encryption of the private key is not supported."),
            N_(
                "Keys on a security token and DSA keys cannot be used here. "
                "Create a key with ssh-keygen -t ed25519 and use its private half."
            ),
            "unsupported",
        ) from None
    except (ValueError, IndexError, OverflowError):
        raise BadIdentity(
            N_("The private key is damaged or cut."),
            N_("Copy the whole key file again, from -----BEGIN to -----END."),
            "damaged",
        ) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise BadIdentity(N_("The type of the private key cannot be used for SSH."), _NEW_KEY, "unsupported")
    return key


def _openssh_text(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()


def _signing_key(key: PrivateKey) -> paramiko.PKey:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MINIMAL_RSA_BITS:
            raise BadIdentity(N_("The RSA key has fewer than 2048 bits."), _NEW_KEY, "too_short")
        return paramiko.RSAKey(key=key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
            raise BadIdentity(N_("The curve of the key cannot be used for SSH."), _NEW_KEY, "unsupported")
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    return paramiko.Ed25519Key(file_obj=io.StringIO(_openssh_text(key)))


def _attach_certificate(key: paramiko.PKey, private: PrivateKey, certificate: str) -> tuple[int | None, str]:
    """Sign in with the certificate from now on. Returns until when it is valid, and what its authority calls it."""
    text = " ".join(certificate.split())
    try:
        loaded = serialization.load_ssh_public_identity(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, SSHCertificate) or loaded.type is not SSHCertificateType.USER:
        raise BadIdentity(
            N_("This is not an SSH user certificate."),
            N_("Give the contents of the -cert.pub file that ssh-keygen -s made for this key."),
            "certificate",
        )
    if _raw(loaded.public_key()) != _raw(private.public_key()):
        raise BadIdentity(
            N_("The certificate belongs to another key."),
            N_("Give the certificate that was made for this private key."),
            "certificate_mismatch",
        )
    if loaded.valid_before <= time.time():
        raise BadIdentity(
            N_("The certificate has expired."),
            N_("Have the certificate authority sign the key again."),
            "certificate_expired",
        )
    # A Message, not the text: given a text, paramiko first looks for a file of that name.
    key.load_certificate(Message(_blob(text)))
    name = printable(loaded.key_id.decode("utf-8", "replace"))
    return None if loaded.valid_before == _FOREVER else loaded.valid_before, name


def _raw(key: object) -> bytes:
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return b""
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def _blob(line: str) -> bytes:
    return base64.b64decode(line.split()[1])
