"""The id by which a machine is known without telling its machine id, which is meant to stay on the host (machine-id(5))."""

from __future__ import annotations

import hashlib
import hmac
import re

#: Zincati's application id: the same derived id is what Zincati names itself by to FleetLock and update servers.
ZINCATI_APP_ID = "de35106b6ec24688b63afddaa156679b"
#: As in /etc/machine-id.
MACHINE_ID = re.compile(r"[0-9a-f]{32}")


def derived_id(machine_id: str) -> str:
    """What `systemd-id128 machine-id -a` prints: HMAC-SHA256 with the bits of a random UUID."""
    derived = bytearray(hmac.digest(bytes.fromhex(machine_id), bytes.fromhex(ZINCATI_APP_ID), hashlib.sha256)[:16])
    derived[6] = (derived[6] & 0x0F) | 0x40
    derived[8] = (derived[8] & 0x3F) | 0x80
    return derived.hex()
