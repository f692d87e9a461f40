"""Secrets at rest: AES-256-GCM, the key's id in the value, and the row as associated data.

The value reads `v1:<key id>:<base64url of nonce + ciphertext>`. The associated data is `table.column:row id`, so a sealed
value that is copied into another row does not open there.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from fleetui.core.errors import SealBroken
from fleetui.core.keys import demand, read_keys

_NONCE_BYTES = 12


def _key(wanted: str) -> bytes | None:
    """The key of this id. One that was added while this process runs is found by reading the key file again."""
    for keys in (settings.ENCRYPTION_KEYS, read_keys("FLEETUI_ENCRYPTION_KEYS", settings.DATA_DIR)):
        for key in keys:
            if key_id(key) == wanted:
                return bytes.fromhex(key)
    return None


def key_id(key_hex: str) -> str:
    """A short name of a key that tells nothing about it."""
    return hashlib.sha256(b"fleetui key id\0" + bytes.fromhex(key_hex)).hexdigest()[:8]


def seal(plain: str, *, place: str) -> str:
    """Encrypt `plain` with the newest key, bound to `place` (for example `nodes_credential.private_key:<uuid>`)."""
    demand("FLEETUI_ENCRYPTION_KEYS", settings.MISSING_KEYS)
    newest = settings.ENCRYPTION_KEYS[0]
    nonce = os.urandom(_NONCE_BYTES)
    box = AESGCM(bytes.fromhex(newest)).encrypt(nonce, plain.encode(), place.encode())
    return f"v1:{key_id(newest)}:{base64.urlsafe_b64encode(nonce + box).decode()}"


def unseal(sealed: str, *, place: str) -> str:
    """Open a sealed value; raises SealBroken when the key is gone or the value does not belong to `place`."""
    try:
        version, used, body = sealed.split(":", 2)
        raw = base64.urlsafe_b64decode(body)
    except ValueError as error:
        raise SealBroken("A sealed secret has a form that cannot be read.") from error
    key = _key(used)
    if version != "v1" or key is None:
        raise SealBroken(
            f"A secret was sealed with the key {used}, which is not among the encryption keys.",
            mend="Put that key back into the key file or FLEETUI_ENCRYPTION_KEYS.",
        )
    try:
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode()
    except InvalidTag as error:
        raise SealBroken(
            "A sealed secret does not open in this row: it was changed, or moved from another row.",
            mend="Upload the credential again.",
        ) from error


def sealed_with_newest(sealed: str) -> bool:
    return sealed.split(":", 2)[1:2] == [key_id(settings.ENCRYPTION_KEYS[0])]
