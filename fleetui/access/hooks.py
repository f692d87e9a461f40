"""Addresses that programs of others post to, where a signature is the right to do so."""

from __future__ import annotations

import math
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, UnreadablePostError

from fleetui.access.api.throttles import WebhookThrottle


def hook_body(request: HttpRequest, most_bytes: int) -> bytes | HttpResponse | None:
    """The body; None when it is too large to be read; an answer when there are too many requests or it did not come whole."""
    throttle = WebhookThrottle()
    if not throttle.allow_request(request, None):  # type: ignore[arg-type]
        wait_s = max(1, math.ceil(throttle.wait() or 1))
        return plain(429, "Too many requests.\n", {"Retry-After": str(wait_s)})
    try:
        is_small = int(request.headers.get("Content-Length") or 0) <= most_bytes
        return request.body if is_small else None
    except (ValueError, UnreadablePostError):
        return plain(400, "The body did not come whole.\n")


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """What a program is told, in words for whoever reads its log."""
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=kept)
