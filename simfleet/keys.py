"""Host keys from the seed, and the one client key of a fleet."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import asyncssh
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simfleet import seeds
from simfleet.storage import FleetError

CLIENT_KEY = "client_key"
OPENSSH = serialization.PrivateFormat.OpenSSH


def _host_key(seed: int, name: str, purpose: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seeds.digest(seed, name, purpose))


def host_key(seed: int, name: str, *, changed: bool) -> asyncssh.SSHKey:
    """The key a host shows; another one when its key was changed."""
    private = _host_key(seed, name, "changed host key" if changed else "host key")
    text = private.private_bytes(serialization.Encoding.PEM, OPENSSH, serialization.NoEncryption())
    return asyncssh.import_private_key(text)


def given_key(text: str) -> asyncssh.SSHKey:
    """The key of a machine that was made with a config which holds it. Raises FleetError."""
    try:
        return asyncssh.import_private_key(text)
    except asyncssh.KeyImportError as error:
        raise FleetError(f"The config holds no host key that can be read: {error}.") from None


def host_key_line(seed: int, name: str, given: str = "") -> str:
    """The key the manifest pins, as `ssh-ed25519 AAAA...`; `given` is the one of a config."""
    if given:
        return " ".join(given_key(given).export_public_key().decode().split()[:2])
    raw = (
        _host_key(seed, name, "host key")
        .public_key()
        .public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    )
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4, "big") + kind + len(raw).to_bytes(4, "big") + raw
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


def client_key(directory: Path) -> asyncssh.SSHKey:
    """The key that every host of the fleet accepts, made at the first start."""
    path = directory / CLIENT_KEY
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519", comment="simulated fleet")
        partial = path.with_suffix(".new")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(key.export_private_key())
        partial.replace(path)
    return asyncssh.read_private_key(path)
