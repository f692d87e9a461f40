"""Who asks the API: a token in the Authorization header, or the session of a signed-in browser (with CSRF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from fleetui.access.api.throttles import AnonymousThrottle
from fleetui.access.principals import Principal
from fleetui.access.services.resolve import principal_for_token
from fleetui.core import clock, context

_KEYWORD = "bearer"


@dataclass(frozen=True)
class ApiUser:
    """What DRF asks of a user; rights are in request.principal alone."""

    pk: int | None
    username: str
    is_authenticated: bool = True
    is_active: bool = True


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer fleetui_...`. Why a token is refused is not told: unknown, expired and revoked read the same."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        parts = request.META.get("HTTP_AUTHORIZATION", "").split(None, 1)
        if not parts or parts[0].lower() != _KEYWORD:
            return None
        presented = parts[1].strip() if len(parts) == 2 else ""
        principal = (
            principal_for_token(presented, address=context.source_address.get(), now=clock.now())
            if _clean(presented)
            else None
        )
        if principal is None:
            throttle = AnonymousThrottle()
            if not throttle.allow_request(request, None):  # type: ignore[arg-type]
                raise exceptions.Throttled(throttle.wait())
            raise exceptions.AuthenticationFailed("The token is not valid.")
        _bind(request, principal)
        return ApiUser(pk=principal.user_id, username=principal.name), principal

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The session of a page; changes need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found: tuple[Any, Any] | None = super().authenticate(request)
        return found

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _clean(presented: str) -> bool:
    return presented.isascii() and presented.isprintable() and len(presented) <= 200


def _bind(request: Request, principal: Principal) -> None:
    request._request.principal = principal  # type: ignore[attr-defined]


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The token in the OpenAPI document."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token: `fleetui_...`."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session cookie in the OpenAPI document."""

    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "fleetui_session"}
