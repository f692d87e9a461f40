"""The keyed hash chain: how an event becomes bytes, and what its hash is."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from fleetui.core.keys import demand

#: What is hashed of an event besides its time and the hash before it.
TEXT_FIELDS = (
    "seq",
    "actor",
    "action",
    "subject",
    "before",
    "after",
    "reason",
    "request_id",
    "source_address",
    "outcome",
)


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: the same value gives the same text, always."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def iso(at: datetime) -> str:
    """Microsecond UTC text, always the same length."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_hash(previous: str, event: Mapping[str, Any]) -> str:
    """HMAC-SHA-256 over the previous hash and the canonical event, under a key that is not in the database."""
    demand("FLEETUI_AUDIT_KEY", settings.MISSING_KEYS)
    body = canonical({**{name: event[name] for name in TEXT_FIELDS}, "at": iso(event["at"]), "previous": previous})
    return hmac.new(bytes.fromhex(settings.AUDIT_KEY), body.encode(), hashlib.sha256).hexdigest()
