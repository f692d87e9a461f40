"""What the page of a pool says of its provisioning tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from nodes.models import Pool, PoolToken
from nodes.views.token_forms import SHOWN_TOKENS, shown


def pool_tokens_of(pool: Pool, now: datetime) -> list[dict[str, Any]]:
    """The newest tokens of the pool with their states, what is left of them, and how many machines are on their way."""
    coming = Count("provisionings", filter=Q(provisionings__ended_at=None, provisionings__deadline__gt=now))
    rows = PoolToken.objects.filter(pool=pool).annotate(coming=coming).order_by("-created_at")[:SHOWN_TOKENS]
    return [{**shown(token, now), "left": _left(token)} for token in rows]


def _left(token: PoolToken) -> int | None:
    return None if token.max_uses is None else max(0, token.max_uses - token.uses)
