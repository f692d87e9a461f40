"""Pages for what went wrong. The API has its own form for the same (problem+json)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

_TITLES = {400: "Bad request", 403: "Not allowed", 404: "Not found", 500: "Server error"}


def _answer(request: HttpRequest, status: int) -> HttpResponse:
    request_id = getattr(request, "request_id", "")
    if request.path.startswith("/api/"):
        body = {"type": "about:blank", "title": _TITLES[status], "status": status, "request_id": request_id}
        return JsonResponse(body, status=status, content_type="application/problem+json")
    return render(request, f"{status}.html", {"request_id": request_id}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The host name, the form or the session may be the trouble, so the page is drawn without the request."""
    if request.path.startswith("/api/"):
        return _answer(request, 400)
    return HttpResponse(render_to_string("400.html", {"request_id": getattr(request, "request_id", "")}), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """The database may be the trouble, so the page is drawn without it."""
    if request.path.startswith("/api/"):
        return _answer(request, 500)
    return HttpResponse(render_to_string("500.html", {"request_id": getattr(request, "request_id", "")}), status=500)
