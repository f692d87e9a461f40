"""schedules/: what recurs, when it is due next, and what became of each time."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
from fleetui.core.api.shapes import FLAG, INTEGER, TEXT, TIME, Document, list_of, nullable, object_of, one_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput
from nodes.models import Pool
from ops.models import Schedule, ScheduleRun
from ops.services import schedules as services
from ops.services.schedule_jobs import JOBS

RUNS_SHOWN = 100
_RUN = {
    "id": TEXT,
    "due_at": TIME,
    "state": one_of(ScheduleRun.STATES),
    "is_manual": FLAG,
    "asked_by": nullable(TEXT),
    "ended_at": nullable(TIME),
    "why": TEXT,
    "request_id": nullable(TEXT),
    "operations": INTEGER,
    "refused": INTEGER,
}
_SCHEDULE = {
    "id": TEXT,
    "name": TEXT,
    "job": one_of(JOBS),
    "task": {"type": "object", "additionalProperties": True},
    "pool": nullable(TEXT),
    "cron": TEXT,
    "zone": TEXT,
    "is_late_run": FLAG,
    "lateness_s": INTEGER,
    "owner": TEXT,
    "next_run_at": nullable(TIME),
    "paused_at": nullable(TIME),
    "paused_by": nullable(TEXT),
    "paused_why": TEXT,
    "revision": INTEGER,
    "next_runs": list_of(TIME),
}
SCHEDULE = Document("Schedule", object_of(_SCHEDULE))
SCHEDULES = Document("ScheduleList", object_of({"results": list_of(object_of(_SCHEDULE))}))
RUN = Document("ScheduleRun", object_of(_RUN))
RUNS = Document("ScheduleRunList", object_of({"results": list_of(object_of(_RUN))}))
NEXT = Document("NextRuns", object_of({"next_runs": list_of(TIME)}))


class ScheduleBody(Body):
    """What is done when; no pool stands for all nodes.

    Of an operation, `task` is {"kind", "params", "selector", "reason", "stop_after"}.
    """

    name = Text(max_length=services.LONGEST_NAME)
    job = serializers.ChoiceField(choices=sorted(JOBS), default="operation")
    task = serializers.DictField()
    pool = Text(max_length=100, required=False, allow_null=True, default=None)
    cron = Text(max_length=200, help_text="Five fields, or @daily and the like.")
    zone = Text(max_length=60, default="UTC")
    is_late_run = Flag(default=False, help_text="Run once what was missed, however late.")
    lateness_s = Integer(
        default=600,
        min_value=services.LEAST_LATE_S,
        max_value=services.MOST_LATE_S,
        help_text="Later than this: missed.",
    )
    revision = Integer(required=False, help_text="With PUT: the one that the change is based on.")


class PauseBody(Body):
    """Whether it is paused, and why."""

    paused = Flag()
    reason = Text(max_length=300, allow_blank=True, default="")


def run_json(run: ScheduleRun) -> dict[str, Any]:
    return {
        "id": run.pk,
        "due_at": run.due_at,
        "state": run.state,
        "is_manual": run.is_manual,
        "asked_by": run.asked_by or None,
        "ended_at": run.ended_at,
        "why": run.why,
        "request_id": run.request_id,
        "operations": run.made,
        "refused": run.refused,
    }


def schedule_json(one: Schedule) -> dict[str, Any]:
    columns = ("name", "job", "task", "cron", "zone", "is_late_run", "lateness_s", "owner", "next_run_at", "paused_at")
    found = {name: getattr(one, name) for name in columns}
    return {
        "id": one.pk,
        **found,
        "pool": one.pool.name if one.pool else one.pool_name or None,
        "paused_by": one.paused_by or None,
        "paused_why": one.paused_why,
        "revision": one.revision,
        "next_runs": services.upcoming_of(one, clock.now()),
    }


class _Schedules(ApiView):
    def saved(self, request: Request, schedule: Schedule | None) -> Schedule:
        values = read_body(ScheduleBody, request)
        name, revision = values.pop("pool"), values.pop("revision", None)
        pool = Pool.objects.visible_to(self.principal).filter(name=name).first() if name else None
        if name and pool is None:
            raise InvalidInput(
                f"There is no pool {name} that you may see.", field="pool", value=name, mend="See pools/."
            )
        return services.set_schedule(
            **values,
            pool=pool,
            schedule=schedule,
            expected_revision=revision,
            actor=self.principal,
            now=clock.now(),
        )


class ScheduleList(_Schedules):
    """Schedules that one may see, by name."""

    actions = {
        "GET": Action("operations.read", "schedules_list", "List schedules", {200: SCHEDULES}),
        "POST": Action("operations.request", "schedules_add", "Add a schedule", {201: SCHEDULE}, body=ScheduleBody),
    }

    def get(self, request: Request) -> Response:
        rows = Schedule.objects.visible_to(self.principal).select_related("pool")
        return Response({"results": [schedule_json(one) for one in rows]})

    def post(self, request: Request) -> Response:
        return Response(schedule_json(self.saved(request, None)), status=201)


class ScheduleDetail(_Schedules):
    """One schedule. PUT writes all of it, and makes the writer its owner."""

    actions = {
        "GET": Action("operations.read", "schedules_read", "Read a schedule", {200: SCHEDULE}),
        "PUT": Action("operations.request", "schedules_set", "Change a schedule", {200: SCHEDULE}, body=ScheduleBody),
        "DELETE": Action(
            "operations.request",
            "schedules_delete",
            "Delete a schedule with its history",
            {204: None},
            query=(Param("reason", {**TEXT, "maxLength": 300}, "Why; it goes into the audit log."),),
        ),
    }

    def get(self, request: Request, schedule_id: uuid.UUID) -> Response:
        return Response(schedule_json(services.schedule_at(self.principal, schedule_id)))

    def put(self, request: Request, schedule_id: uuid.UUID) -> Response:
        return Response(schedule_json(self.saved(request, services.schedule_at(self.principal, schedule_id))))

    def delete(self, request: Request, schedule_id: uuid.UUID) -> Response:
        schedule = services.schedule_at(self.principal, schedule_id)
        reason = request.query_params.get("reason", "")
        services.delete_schedule(schedule=schedule, reason=reason, actor=self.principal)
        return Response(status=204)


class SchedulePause(ApiView):
    """Whether a schedule is paused."""

    actions = {
        "PUT": Action(
            "operations.request", "schedules_pause", "Pause or resume a schedule", {200: SCHEDULE}, body=PauseBody
        )
    }

    def put(self, request: Request, schedule_id: uuid.UUID) -> Response:
        values = read_body(PauseBody, request)
        schedule = services.schedule_at(self.principal, schedule_id)
        if values["paused"]:
            services.pause(schedule=schedule, reason=values["reason"], actor=self.principal, now=clock.now())
        else:
            services.resume(schedule=schedule, actor=self.principal, now=clock.now())
        return Response(schedule_json(services.schedule_at(self.principal, schedule_id)))


class ScheduleRuns(ApiView):
    """What became of the last 100 times, newest first. POST runs it now, with the rights of whoever asks."""

    actions = {
        "GET": Action("operations.read", "schedules_runs", "Read the history of a schedule", {200: RUNS}),
        "POST": Action("operations.request", "schedules_run", "Run a schedule now", {201: RUN}),
    }

    def get(self, request: Request, schedule_id: uuid.UUID) -> Response:
        schedule = services.schedule_at(self.principal, schedule_id)
        return Response({"results": [run_json(one) for one in schedule.runs.all()[:RUNS_SHOWN]]})

    def post(self, request: Request, schedule_id: uuid.UUID) -> Response:
        schedule = services.schedule_at(self.principal, schedule_id)
        return Response(
            run_json(services.run_now(schedule=schedule, actor=self.principal, now=clock.now())), status=201
        )


class NextRuns(ApiView):
    """The next five times of cron text in a zone: to look before a schedule is saved."""

    actions = {
        "GET": Action(
            "operations.read",
            "schedules_next",
            "Say when cron text is due",
            {200: NEXT},
            query=(Param("cron", TEXT, "Cron text."), Param("zone", TEXT, "A time zone; UTC without it.")),
        )
    }

    def get(self, request: Request) -> Response:
        given = request.query_params
        return Response({"next_runs": services.upcoming(given.get("cron", ""), given.get("zone", "UTC"), clock.now())})
