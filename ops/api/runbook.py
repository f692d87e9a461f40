"""pools/NAME/runbook/: the Day-2 tasks of a pool, when each was last done, and how often it should be."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView
from nodes.models import Pool
from ops.api.pools import pool_with_operations
from ops.services.runbook.setting import set_days
from ops.services.runbook.table import Row, table
from ops.wording.runbook import STANDS
from ops.wording.runbook import TASKS as WORDS

_LAST = object_of(
    {"at": TIME, "by": TEXT, "states": ANY_OBJECT, "request": nullable(UUID), "operation": nullable(UUID)}
)
_TASK = object_of(
    {
        "task": one_of(tuple(WORDS)),
        "kinds": TEXTS,
        "state": one_of(tuple(STANDS)),
        "sentence": TEXT,
        "overdue": FLAG,
        "every_days": nullable(INTEGER),
        "is_usual": FLAG,
        "by_policies": FLAG,
        "last_good_at": nullable(TIME),
        "due_at": nullable(TIME),
        "last": nullable(_LAST),
        "running": INTEGER,
        "next_at": nullable(TIME),
        "schedule": nullable(UUID),
    }
)
RUNBOOK = Document("Runbook", object_of({"pool": TEXT, "tasks": list_of(_TASK)}))


class RunbookBody(Body):
    """How often tasks should happen: days by task, 0 never, null as usual. Tasks that are not named stay as they are."""

    every_days = serializers.DictField(
        child=serializers.IntegerField(allow_null=True), help_text='{"os_update": 14, "backup": null}'
    )
    reason = Text(max_length=300, allow_blank=True, default="")


def _shown(one: Row) -> dict[str, Any]:
    stand, last = one.stand, one.last
    return {
        "task": one.task.name,
        "kinds": list(one.task.kinds),
        "state": stand.code,
        "sentence": str(STANDS[stand.code][1]),
        "overdue": stand.is_overdue,
        "every_days": None if stand.by_policies else stand.every_days,
        "is_usual": stand.is_usual,
        "by_policies": stand.by_policies,
        "last_good_at": stand.last_good_at,
        "due_at": stand.due_at,
        "last": {
            "at": last.at,
            "by": last.by,
            "states": last.counts,
            "request": last.request,
            "operation": last.operation,
        }
        if last
        else None,
        "running": one.running,
        "next_at": one.next_at,
        "schedule": one.schedule.pk if one.schedule else None,
    }


class Runbook(ApiView):
    """The Day-2 tasks of a pool."""

    actions = {
        "GET": Action("operations.read", "pool_runbook_read", "Read the runbook of a pool", {200: RUNBOOK}),
        "PUT": Action(
            "pools.write", "pool_runbook_set", "Set how often tasks should happen", {200: RUNBOOK}, body=RunbookBody
        ),
    }

    def pool(self, name: str) -> Pool:
        return pool_with_operations(self.principal, name, "The runbook")

    def get(self, request: Request, name: str) -> Response:
        return self._answer(self.pool(name))

    def put(self, request: Request, name: str) -> Response:
        pool, values = self.pool(name), read_body(RunbookBody, request)
        days, reason = values["every_days"], values["reason"]
        set_days(pool=pool, days=days, reason=reason, actor=self.principal, now=clock.now())
        return self._answer(pool)

    def _answer(self, pool: Pool) -> Response:
        tasks = [_shown(one) for one in table(self.principal, pool, clock.now())]
        return Response({"pool": pool.name, "tasks": tasks})
