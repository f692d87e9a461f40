"""retention/: how long histories are kept."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import require
from fleetui.access.services.retention import history_of, preview_retention, set_retention
from fleetui.core import clock, retention
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Integer, read_body
from fleetui.core.api.shapes import FLAG, INTEGER, TEXT, TIME, Document, list_of, nullable, object_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput

_FIELDS = {
    "subject": TEXT,
    "keep_days": nullable(INTEGER),
    "default_days": nullable(INTEGER),
    "least_days": INTEGER,
    "oldest_at": nullable(TIME),
}
RETENTION = Document("Retention", object_of(_FIELDS))
RETENTIONS = Document("RetentionList", object_of({"results": list_of(object_of(_FIELDS))}))
PREVIEW = Document(
    "RetentionPreview",
    object_of(
        {
            **_FIELDS,
            "would_keep_days": nullable(INTEGER),
            "would_delete": INTEGER,
            "would_delete_more": FLAG,
        }
    ),
)
_WOULD = Param(
    "keep_days",
    {"type": "string", "pattern": r"^(\d{1,5}|ever)$"},
    "Count what these days, or `ever`, would delete; without it, what the present setting still deletes.",
)


class RetentionBody(Body):
    """Days that a history is kept; null: for ever."""

    keep_days = Integer(allow_null=True)


def _shown(one: retention.History, days: int | None) -> dict[str, Any]:
    return {
        "subject": one.subject,
        "keep_days": days,
        "default_days": one.default_days,
        "least_days": one.least_days,
        "oldest_at": one.oldest(),
    }


class RetentionList(ApiView):
    """Every history with how long it is kept; null: for ever."""

    actions = {"GET": Action("settings.read", "retention_list", "List how long histories are kept", {200: RETENTIONS})}

    def get(self, request: Request) -> Response:
        days = retention.keep_days()
        return Response({"results": [_shown(one, days[one.subject]) for one in retention.histories()]})


class RetentionDetail(ApiView):
    """How long one history is kept, and what a change would delete."""

    actions = {
        "GET": Action(
            "settings.read",
            "retention_read",
            "Read how long a history is kept, and count what a change would delete",
            {200: PREVIEW},
            query=(_WOULD,),
        ),
        "PUT": Action(
            "settings.write", "retention_set", "Set how long a history is kept", {200: RETENTION}, body=RetentionBody
        ),
    }

    def get(self, request: Request, subject: str) -> Response:
        one = history_of(subject)
        days = retention.keep_days()[subject]
        wanted = _days(request.query_params.get("keep_days"), days)
        found = preview_retention(subject=subject, keep_days=wanted, now=clock.now())
        counted = {"would_keep_days": wanted, "would_delete": found.rows, "would_delete_more": found.is_more}
        return Response({**_shown(one, days), **counted})

    def put(self, request: Request, subject: str) -> Response:
        one = history_of(subject)
        require(self.principal, "settings.write")
        wanted = read_body(RetentionBody, request)["keep_days"]
        days = set_retention(subject=subject, keep_days=wanted, actor=self.principal, now=clock.now())
        return Response(_shown(one, days))


def _days(text: str | None, present: int | None) -> int | None:
    if not text:
        return present
    if text == "ever":
        return None
    if text.isascii() and text.isdigit() and len(text) <= 5:
        return int(text)
    raise InvalidInput(
        f"{text[:100]!r} is not a number of days.",
        field="keep_days",
        value=text,
        mend="Give a number of days, or ever.",
    )
