"""What the page of a pool says of its provisioning tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from nodes.models import Pool, PoolToken
from nodes.services.provisioning.pool_tokens import pool_token_state
from nodes.views.enrolment_words import EXPIRES_SOON_DAYS, SHOWN_TOKENS


def pool_tokens_of(pool: Pool, now: datetime) -> list[dict[str, Any]]:
    """The newest tokens of the pool with their states, what is left of them, and how many machines are on their way."""
    coming = Count("provisionings", filter=Q(provisionings__ended_at=None, provisionings__deadline__gt=now))
    rows = PoolToken.objects.filter(pool=pool).annotate(coming=coming).order_by("-created_at")[:SHOWN_TOKENS]
    found = []
    for token in rows:
        state = pool_token_state(token, now)
        is_open = state in ("active", "used_up")
        if state == "active":
            state = "expiring" if (token.expires_at - now).days < EXPIRES_SOON_DAYS else "valid"
        left = None if token.max_uses is None else max(0, token.max_uses - token.uses)
        found.append({"token": token, "state": state, "is_open": is_open, "left": left})
    return found
