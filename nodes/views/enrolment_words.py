"""What the page of a pool says of its enrolment tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fleetui.access.principals import Principal
from nodes.models import EnrolmentToken, Pool
from nodes.services.enrolment.tokens import NEEDED, token_state

EXPIRES_SOON_DAYS = 14
SHOWN_TOKENS = 50


def may_enrol(principal: Principal, pool: Pool) -> bool:
    return all(principal.may(permission, pool) for permission in NEEDED)


def tokens_of(pool: Pool, now: datetime) -> list[dict[str, Any]]:
    """The newest tokens of the pool with their states, for its page."""
    rows = EnrolmentToken.objects.filter(pool=pool).order_by("-created_at")[:SHOWN_TOKENS]
    found = []
    for token in rows:
        state = token_state(token, now)
        is_open = state in ("active", "used_up")
        if state == "active":
            state = "expiring" if (token.expires_at - now).days < EXPIRES_SOON_DAYS else "valid"
        found.append({"token": token, "state": state, "is_open": is_open})
    return found
