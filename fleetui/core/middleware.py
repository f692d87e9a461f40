"""Binds the request id and the client's real address, and believes forwarded headers only from trusted proxies."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from fleetui.core import context

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


def is_trusted_proxy(address: str) -> bool:
    """Whether this address is one of our own proxies."""
    try:
        candidate = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(candidate in ipaddress.ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES)


def client_address(request: HttpRequest) -> str:
    """The address nearest to us that is not one of our own proxies."""
    address = request.META.get("REMOTE_ADDR", "") or ""
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    while forwarded and is_trusted_proxy(address):
        address = forwarded.pop()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


class RequestContextMiddleware:
    """Sets request.client_address and request.request_id, and puts them where audit and log find them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_trusted_proxy(request.META.get("REMOTE_ADDR", "")):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
            request.META.pop("HTTP_X_FORWARDED_HOST", None)
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if _REQUEST_ID.match(offered) else uuid.uuid4().hex
        address = client_address(request)
        request.request_id, request.client_address = request_id, address  # type: ignore[attr-defined]
        tokens = context.request_id.set(request_id), context.source_address.set(address)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            context.request_id.reset(tokens[0])
            context.source_address.reset(tokens[1])
        response.headers["X-Request-ID"] = request_id
        if request.method == "HEAD" and not response.streaming:
            # gunicorn drops the body, but logs a warning for each one.
            response.headers.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        return response
