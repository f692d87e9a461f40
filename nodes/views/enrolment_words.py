"""What the page of a pool says of its enrolment tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fleetui.access.principals import Principal
from nodes.models import EnrolmentToken, Pool
from nodes.services.enrolment.tokens import NEEDED
from nodes.views.token_forms import SHOWN_TOKENS, shown


def may_enrol(principal: Principal, pool: Pool) -> bool:
    return all(principal.may(permission, pool) for permission in NEEDED)


def tokens_of(pool: Pool, now: datetime) -> list[dict[str, Any]]:
    """The newest tokens of the pool with their states, for its page."""
    rows = EnrolmentToken.objects.filter(pool=pool).order_by("-created_at")[:SHOWN_TOKENS]
    return [shown(token, now) for token in rows]
