"""Pages for what went wrong. The API has its own form for the same (problem+json)."""

from __future__ import annotations

import re
import sys
from http import HTTPStatus
from typing import Any

from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import DisallowedHost, TooManyFieldsSent
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from fleetui.core.sqlite_files import end_if_orphaned

_TITLES = {400: "Bad request", 403: "Not allowed", 404: "Not found", 500: "Server error", 503: "Not available"}
RETRY_AFTER_S = 5
_PERMISSION = re.compile(r"[a-z_]+\.[a-z_]+")
#: What SQLite and PostgreSQL say when they cannot write: waiting alone does not mend it.
_NO_DISK = ("disk is full", "disk I/O error", "No space left on device")


def _problem(request: HttpRequest, status: int, detail: str = "", mend: str = "") -> HttpResponse:
    """What the API answers before it is asked itself, in the form of its own problems."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES[status],
        "status": status,
        "detail": detail or f"{_TITLES[status]}.",
        "field": None,
        "mend": mend or "Look for the request id in the log of the web process.",
        "errors": [],
        "request_id": getattr(request, "request_id", ""),
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")


def _answer(request: HttpRequest, status: int, **more: Any) -> HttpResponse:
    if request.path.startswith("/api/"):
        return _problem(request, status)
    told = {"request_id": getattr(request, "request_id", ""), **more}
    return render(request, f"{status}.html", told, status=status)


def _bare(request: HttpRequest, status: int, **more: Any) -> HttpResponse:
    """A page that is drawn without the request: session or database may be the trouble."""
    if request.path.startswith("/api/"):
        return _problem(request, status)
    told = {"request_id": getattr(request, "request_id", ""), **more}
    return HttpResponse(render_to_string(f"{status}.html", told), status=status)


def unavailable(error: BaseException | None) -> str:
    """What is away behind a failure: `disk` or `database` (locked for too long, or not reached), `cache`, or nothing."""
    from redis.exceptions import RedisError  # not loaded where nothing fails: it costs memory

    while error is not None and not isinstance(error, OperationalError | RedisError):
        error = error.__cause__ or error.__context__
    if error is None:
        return ""
    if isinstance(error, RedisError):
        return "cache"
    told = str(error)
    if "disk I/O error" in told:
        end_if_orphaned()
    if any(words in told for words in _NO_DISK):
        return "disk"
    # SQLite tells in the same way of tables and columns that the database lacks, which waiting does not mend.
    return "" if any(words in told for words in ("no such ", "has no column ")) else "database"


def _unavailable(request: HttpRequest, what: str) -> HttpResponse:
    response = _bare(request, 503, away=what)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _unknown_host(request: HttpRequest) -> HttpResponse:
    """The first mistake behind a proxy or under a new name: whoever opens FleetUI there can mend it."""
    host = str(request.META.get("HTTP_HOST", ""))[:100]
    if request.path.startswith("/api/"):
        mend = "Name it in FLEETUI_ALLOWED_HOSTS, or use an address that is named there."
        return _problem(request, 400, f"FleetUI does not answer under the name {host!r}.", mend)
    return _bare(request, 400, host=host)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A session that a busy database did not take is told by Django as a bad request, and is none."""
    if isinstance(exception, SessionInterrupted) and (what := unavailable(exception)):
        return _unavailable(request, what)
    if isinstance(exception, DisallowedHost):
        return _unknown_host(request)
    return _bare(request, 400, too_many=isinstance(exception, TooManyFieldsSent))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Guards raise it with the permission that is lacking; others with a sentence, or nothing."""
    told = str(exception)
    return _answer(request, 403, permission=told if _PERMISSION.fullmatch(told) else "")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404)


def with_a_page(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """An address that takes forms only, opened by itself: Django's answer is an empty page."""
    is_bare = answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED and not answer.streaming and not answer.content
    if not is_bare or request.method != "GET" or not request.accepts("text/html") or request.path.startswith("/api/"):
        return answer
    page = render(request, "405.html", status=answer.status_code)
    page.headers["Allow"] = answer.headers.get("Allow", "")
    return page


def server_error(request: HttpRequest) -> HttpResponse:
    """Called while the failure is handled, so it can be asked for."""
    what = unavailable(sys.exc_info()[1])
    return _unavailable(request, what) if what else _bare(request, 500)
