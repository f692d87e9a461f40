"""health/: how FleetUI itself is, line by line, for a script that watches it."""

from __future__ import annotations

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.shapes import TEXT, TIME, Document, nullable, one_of
from fleetui.core.api.views import ApiView
from fleetui.core.vitals import GROUPS, LEVELS, lines, worst

_LINE = {
    "type": "object",
    "properties": {
        "key": {**TEXT, "description": "Names the line; stable."},
        "group": one_of(GROUPS),
        "level": one_of(LEVELS),
        "title": TEXT,
        "text": TEXT,
        "mend": {**TEXT, "description": "What to do; empty when there is nothing to do."},
        "at": nullable(TIME),
    },
    "required": ["key", "group", "level", "title", "text", "mend", "at"],
}
HEALTH = Document(
    "Health",
    {
        "type": "object",
        "properties": {
            "level": {**one_of(["bad", "warn", "ok"]), "description": "The worst of all lines."},
            "checked_at": TIME,
            "lines": {"type": "array", "items": _LINE},
        },
        "required": ["level", "checked_at", "lines"],
    },
)


class Health(ApiView):
    """The answer is 200 also when something is wrong: `level` says it. For load balancers there is /readyz."""

    actions = {"GET": Action("health.read", "health_read", "Read the health of FleetUI itself", {200: HEALTH})}

    def get(self, request: Request) -> Response:
        if not self.principal.may("health.read"):
            raise PermissionDenied("This needs the permission health.read on everything.")
        now = clock.now()
        found = lines()
        rows = [
            {
                "key": line.key,
                "group": line.group,
                "level": line.level,
                "title": line.title,
                "text": line.text,
                "mend": line.mend,
                "at": line.at,
            }
            for line in found
        ]
        return Response({"level": worst(found), "checked_at": now, "lines": rows})
