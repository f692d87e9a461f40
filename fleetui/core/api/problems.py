"""Every error of the API as application/problem+json (RFC 9457): what is wrong, in which field, and the mend."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from fleetui.core import context as request_context
from fleetui.core.api.shapes import TEXT, Document, list_of, nullable, object_of
from fleetui.core.error_pages import RETRY_AFTER_S, unavailable
from fleetui.core.errors import FleetError, InvalidInput

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
_SHOWN_CHARS = 200

_MENDS = {
    "not_authenticated": "Send `Authorization: Bearer fleetui_...`, or sign in with a browser.",
    "authentication_failed": "Make a new token with `manage.py token create`, or on the Tokens page.",
    "permission_denied": "Ask an admin for a role that has this permission.",
    "not_found": "Look at the list: you see only what your roles reach.",
    "method_not_allowed": "Use one of the methods in the Allow header.",
    "unsupported_media_type": "Send application/json.",
    "throttled": "Wait for the seconds in the Retry-After header.",
    "parse_error": "Send one JSON object.",
    "too_large": "Send less at once.",
}

_FIELD_PROBLEM = {
    **object_of({"field": TEXT, "detail": TEXT, "mend": TEXT}),
    "properties": {"field": TEXT, "detail": TEXT, "mend": TEXT, "value": {}},
}
PROBLEM = Document(
    "Problem",
    {
        "type": "object",
        "description": "What is wrong (RFC 9457), in which field, and what to do.",
        "properties": {
            "type": {**TEXT, "description": "A URN that names the kind of problem."},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "field": {**nullable(TEXT), "description": "The field, parameter or header that is wrong."},
            "value": {"description": "The value that was refused; never a secret."},
            "mend": {**TEXT, "description": "What to do about it."},
            "errors": list_of(_FIELD_PROBLEM),
            "request_id": TEXT,
        },
        "required": ["type", "title", "status", "detail", "field", "mend", "errors", "request_id"],
    },
)


@dataclass(frozen=True)
class FieldProblem:
    """One field of a request that cannot be used."""

    field: str
    detail: str
    mend: str = ""
    value: object = None

    def as_json(self) -> dict[str, Any]:
        return {"field": self.field, "detail": self.detail, "mend": self.mend, "value": shown(self.value)}


class InvalidFields(InvalidInput):
    """Several fields at once; the first stands for all in the head of the problem."""

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        first = errors[0]
        super().__init__(first.detail, mend=first.mend, field=first.field, value=first.value)
        self.errors = list(errors)


def shown(value: object) -> Any:
    """A value fit to be sent back: scalars as they are, long texts cut, the rest as its type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    if "PRIVATE KEY-----" in text:  # pasted into the wrong field; answers are logged
        return "(a private key, which is not repeated here)"
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    field: str = "",
    value: object = None,
    mend: str = "",
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem response."""
    body: dict[str, Any] = {
        "type": f"urn:fleetui:problem:{code}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "field": field or None,
        "mend": mend or _MENDS.get(code, ""),
        "errors": [error.as_json() for error in errors],
        "request_id": request_context.request_id.get(),
    }
    if field:
        body["value"] = shown(value)
    return Response(body, status=status, headers=dict(headers or {}), content_type=MEDIA_TYPE)


def _of_fleet_error(error: FleetError) -> Response:
    errors: list[FieldProblem] = getattr(error, "errors", [])
    if not errors and error.field:
        errors = [FieldProblem(error.field, error.message, error.mend, error.value)]
    return problem(
        error.status, error.code, error.message, field=error.field, value=error.value, mend=error.mend, errors=errors
    )


def _of_api_exception(error: exceptions.APIException) -> Response:
    headers: dict[str, str] = {}
    auth_header = getattr(error, "auth_header", None)
    if auth_header:
        headers["WWW-Authenticate"] = auth_header
    wait_s = getattr(error, "wait", None)
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, round(wait_s)))
    code = str(error.default_code)
    return problem(error.status_code, code, str(error.detail), headers=headers)


UNAVAILABLE = {
    "database": ("database_busy", "The database did not answer in time.", "Ask again in a moment."),
    "disk": ("database_disk_full", "The disk of the database is full, or fails.", "Make room on that disk."),
    "cache": ("cache_away", "The cache (Redis) does not answer.", "Start it, or mend CACHE_URL."),
}


def problem_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: nothing leaves the API in another form."""
    if isinstance(error, Http404):
        return problem(404, "not_found", "There is nothing at this address that you may see.")
    if isinstance(error, PermissionDenied):
        return problem(403, "permission_denied", str(error) or "You may not do this.")
    if isinstance(error, FleetError):
        return _of_fleet_error(error)
    if isinstance(error, exceptions.APIException):
        return _of_api_exception(error)
    log.error("api_error", exc_info=error, path=getattr(context.get("request"), "path", ""))
    got_request_exception.send(sender=problem_handler, request=context.get("request"))
    if what := unavailable(error):
        kind, detail, mend = UNAVAILABLE[what]
        mend += " If you sent something, look whether it was stored before you send it again."
        return problem(503, kind, detail, mend=mend, headers={"Retry-After": str(RETRY_AFTER_S)})
    return problem(
        500, "internal", "FleetUI failed to answer this.", mend="Look for the request id in the log of the web process."
    )
