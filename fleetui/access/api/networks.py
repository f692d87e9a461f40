"""Reading without a token from networks that the settings name: for Prometheus, which then sees everything."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from rest_framework import authentication
from rest_framework.request import Request

from fleetui.access.api.authentication import ApiUser, SessionAuthentication, TokenAuthentication
from fleetui.access.principals import EVERYWHERE, Principal
from fleetui.access.roles import SCOPES
from fleetui.core import context
from fleetui.core.middleware import is_trusted_proxy

SCRAPER = Principal(kind="system", name="scraper", reach=dict.fromkeys(SCOPES["read"], EVERYWHERE))


class NetworkAuthentication(authentication.BaseAuthentication):
    """Only addresses that are the client's own count: not those of proxies, and none behind a proxy that is not trusted."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if not allowed(request):
            return None
        request._request.principal = SCRAPER  # type: ignore[attr-defined]
        return ApiUser(pk=None, username=SCRAPER.name), SCRAPER

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def allowed(request: Request) -> bool:
    """Whether the client stands in one of the networks."""
    if not settings.METRICS_NETWORKS:
        return False
    meta = request.META
    peer, client = meta.get("REMOTE_ADDR", ""), context.source_address.get()
    forwarded = "HTTP_X_FORWARDED_FOR" in meta or "HTTP_FORWARDED" in meta
    if (forwarded and not is_trusted_proxy(peer)) or (client and is_trusted_proxy(client)):
        return False
    try:
        candidate = ipaddress.ip_address(client)
    except ValueError:
        return False
    return any(candidate in ipaddress.ip_network(network, strict=False) for network in settings.METRICS_NETWORKS)


#: A token that is given must be good; without one, the session, then the network.
SCRAPED_BY = [TokenAuthentication, SessionAuthentication, NetworkAuthentication]
