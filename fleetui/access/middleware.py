"""Who asks: request.principal on every request, the person's time zone, and a door that is shut unless a view opens it."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode

from fleetui.access.principals import ANONYMOUS, Principal
from fleetui.access.services.resolve import principal_for_user
from fleetui.core.error_pages import with_a_page

#: View modules whose views are open to strangers by their own design (sign-in has its own rate limit).
_OPEN_MODULES = ("allauth.account", "allauth.mfa", "django.views.i18n", "django.contrib.staticfiles")


def _principal(request: HttpRequest) -> Principal:
    user = request.user
    return principal_for_user(user) if user.is_authenticated else ANONYMOUS


class PrincipalMiddleware:
    """Deny by default: a view that is neither public nor behind a declared permission is refused (see fleetui.access.guards)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.principal = SimpleLazyObject(lambda: _principal(request))  # type: ignore[attr-defined]
        zone = getattr(request.user, "time_zone", "") if request.session.get("_auth_user_id") else ""
        try:
            timezone.activate(zoneinfo.ZoneInfo(zone or settings.TIME_ZONE))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            timezone.deactivate()
        try:
            response = with_a_page(request, self.get_response(request))
        finally:
            timezone.deactivate()
        # The API framework puts None there for strangers.
        if getattr(request.user, "is_authenticated", False):
            # What one person may see stays out of shared caches, and is asked for again after sign-out.
            response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        if is_open(view) or hasattr(view, "cls"):  # DRF views carry DeclaredPermission, which denies by default too
            return None
        if not request.user.is_authenticated:
            return to_sign_in(request)
        if not hasattr(view, "permission"):
            raise RuntimeError(f"{view.__module__}.{view.__name__} declares no permission")
        return None


def is_open(view: Callable[..., Any]) -> bool:
    """Whether strangers may call this view."""
    return bool(getattr(view, "public", False)) or view.__module__.startswith(_OPEN_MODULES)


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page; a fragment that a page asks for gets 401 and a redirect of the whole page."""
    if request.headers.get("HX-Request") or request.headers.get("X-Requested-With") == "fetch":
        response = HttpResponse(status=401)
        here = urlencode({"next": request.headers.get("HX-Current-URL", "/")})
        response["HX-Redirect"] = f"{resolve_url(settings.LOGIN_URL)}?{here}"
        return response
    return redirect_to_login(_way_back(request), resolve_url(settings.LOGIN_URL))


def _way_back(request: HttpRequest) -> str:
    """Where a person goes on after the sign-in: an address that takes forms only cannot be opened, so its page is."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    page = urlsplit(request.headers.get("Referer", ""))
    return urlunsplit(("", "", page.path, page.query, "")) if page.netloc == request.get_host() else "/"
