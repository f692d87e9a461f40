"""The header by which a repeat of the same request is known, so that it makes nothing new."""

from __future__ import annotations

from rest_framework.request import Request

from fleetui.core.api.actions import Param
from fleetui.core.errors import InvalidInput

HEADER = "Idempotency-Key"
LONGEST = 200
KEY = Param(HEADER, {"type": "string", "maxLength": LONGEST}, "A repeat with the same key makes nothing new.")


def asked_key(request: Request) -> str:
    """The key of a request, empty without one. A longer one is refused: cut off, two different keys would be the same."""
    key = request.headers.get(HEADER, "")
    if len(key) > LONGEST:
        raise InvalidInput(
            f"The idempotency key is {len(key):,} characters long, and at most {LONGEST} are kept. Nothing was asked for.",
            field=HEADER,
            value=f"{key[:40]}…",
            mend=f"Give at most {LONGEST} characters, such as a UUID.",
        )
    return key
