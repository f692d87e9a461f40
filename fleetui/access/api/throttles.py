"""How often one principal may ask; refused tokens are counted by address."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from fleetui.core import context
from fleetui.core.remembered import cache_is_away


class PrincipalThrottle(SimpleRateThrottle):
    """One count per user, and one per token."""

    scope = "principal"

    def allow_request(self, request: Request, view: Any) -> bool:
        """Who is known is let in uncounted while the cache is away: what watches FleetUI has to hear of it."""
        try:
            return super().allow_request(request, view)
        except Exception as error:
            if not cache_is_away(error):
                raise
            return True

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        principal = request.principal  # type: ignore[attr-defined]
        if not principal.is_authenticated:
            return None
        return f"throttle:{principal.kind}:{principal.token_id or principal.user_id}"


class EnrolmentThrottle(SimpleRateThrottle):
    """One count per source address: a rack behind one address announces itself at once, and again every few minutes."""

    scope = "enrolment"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return f"throttle:enrolment:{context.source_address.get() or 'unknown'}"


class WebhookThrottle(SimpleRateThrottle):
    """One count per source address: one push of a repository with a hundred configs is a hundred requests at once."""

    scope = "webhook"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return f"throttle:webhook:{context.source_address.get() or 'unknown'}"


class AnonymousThrottle(SimpleRateThrottle):
    """One count per source address."""

    scope = "anonymous"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return f"throttle:address:{context.source_address.get() or 'unknown'}"
