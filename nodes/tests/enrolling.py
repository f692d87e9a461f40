"""What the tests of enrolment share: a token, a machine, and its announcement over the API."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
from django.test import Client

from fleetui.access.principals import SYSTEM
from fleetui.core import clock
from nodes.models import EnrolmentToken, Pool
from nodes.services.enrolment import Announcement, add_enrolment_token


def machine_id_of(seed: str) -> str:
    return hashlib.md5(seed.encode(), usedforsecurity=False).hexdigest()


def key_of(seed: str, kind: str = "ssh-ed25519") -> str:
    """A public key line with a blob that fits its type."""
    inner = kind.encode()
    body = hashlib.sha256(seed.encode()).digest()
    blob = len(inner).to_bytes(4, "big") + inner + len(body).to_bytes(4, "big") + body
    return f"{kind} {base64.b64encode(blob).decode()}"


def make_enrolment(pool: Pool, **over: Any) -> tuple[EnrolmentToken, str]:
    given: dict[str, Any] = {"name": "workers", "days": 30, "now": clock.now(), "actor": SYSTEM, **over}
    return add_enrolment_token(pool=pool, **given)


def announcement(name: str = "worker-1", **over: Any) -> Announcement:
    given: dict[str, Any] = {
        "address": "",
        "port": 22,
        "machine_id": machine_id_of(name),
        "host_keys": [key_of(name)],
        "os_family": "fcos",
        "client_address": "10.9.0.1",
        **over,
    }
    return Announcement.read(name=name, **given)


def enrol(token: str, name: str = "worker-1", *, client_address: str = "10.9.0.1", **over: Any) -> Any:
    """POST enrol/ as a machine does; the answer of Django's client."""
    body = {"name": name, "machine_id": machine_id_of(name), "host_key": [key_of(name)], **over}
    return Client(REMOTE_ADDR=client_address).generic(
        "POST",
        "/api/v1/enrol/",
        orjson.dumps(body),
        content_type="application/json",
        headers={"authorization": f"Bearer {token}"},
    )


def code_of(response: Any) -> str:
    """Which refusal it is."""
    return str(response.json()["type"].rpartition(":")[2])
