"""nodes/import/ and what lies below it."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Flag, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Field,
    PageOf,
    Shape,
    column,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView, Listing
from fleetui.core.errors import NotFound
from nodes import importing as readers
from nodes import tasks
from nodes.models import ImportPlan
from nodes.models.importing import PLAN_STATES, ROW_OUTCOMES
from nodes.services import importing

PLAN = Shape(
    "NodeImport",
    {
        "id": column("id", UUID),
        "source": column("source", TEXT),
        "filename": column("filename", TEXT),
        "state": column("state", one_of(PLAN_STATES)),
        "failure": column("failure", TEXT),
        "counts": column("counts", {"type": "object", "additionalProperties": INTEGER}),
        "notes": Field(TEXTS, ("options",), lambda row: row["options"].get("notes", [])),
        "rows": column("row_count", INTEGER),
        "done": column("position", INTEGER),
        "created_at": column("created_at", TIME),
        "finished_at": column("finished_at", nullable(TIME)),
    },
)
ROW = Shape(
    "NodeImportRow",
    {
        "number": column("number", INTEGER),
        "place": column("place", TEXT),
        "name": column("name", TEXT),
        "outcome": column("outcome", one_of(ROW_OUTCOMES)),
        "values": column("values", ANY_OBJECT),
        "before": column("before", ANY_OBJECT),
        "problems": column("problems", list_of(object_of(dict.fromkeys(("field", "value", "mend"), TEXT)))),
    },
)
ROWS = Listing(ROW, {"number": Sort("number", kind="integer", unique=True)}, "number", key_kind="integer")


class ImportBody(Body):
    """An inventory, and how it is taken. With `dry_run` nothing changes: the plan can be read, and applied later."""

    text = Text(max_length=9_000_000, trim_whitespace=False, help_text="The document.")
    format = serializers.ChoiceField(choices=list(readers.SOURCES), required=False, help_text="Left out: detected.")
    filename = Text(max_length=200, allow_blank=True, default="")
    known_hosts = Text(max_length=9_000_000, allow_blank=True, default="", trim_whitespace=False)
    pool = Text(max_length=100, allow_blank=True, default="", help_text="For hosts without one.")
    credential = Text(max_length=100, allow_blank=True, default="", help_text="For new nodes.")
    groups = serializers.ChoiceField(choices=["pool", "label", "nothing"], default="pool")
    update_existing = Flag(default=False, help_text="Change nodes that exist.")
    create_pools = Flag(default=False, help_text="Make pools that are missing.")
    dry_run = Flag(default=False)


class _OnePlan(ApiView):
    def plan(self, plan_id: uuid.UUID) -> ImportPlan:
        plan = ImportPlan.objects.filter(pk=plan_id, owner=str(self.principal)).first()
        if plan is None:
            raise NotFound(f"There is no import {plan_id} of yours.", mend="POST /api/v1/nodes/import/ makes one.")
        return plan

    def shown(self, plan_id: Any, status: int = 200) -> Response:
        row = ImportPlan.objects.filter(pk=plan_id).values(*PLAN.columns()).get()
        return Response(PLAN.render(row), status=status)


class NodeImport(_OnePlan):
    """Take in an inventory."""

    actions = {"POST": Action("nodes.write", "nodes_import", "Import nodes", {200: PLAN, 202: PLAN}, body=ImportBody)}

    def post(self, request: Request) -> Response:
        values = read_body(ImportBody, request)
        options = importing.Options(
            **{name: values[name] for name in ("pool", "credential", "groups", "create_pools")},
            update=values["update_existing"],
        )
        plan = importing.make_plan(
            text=values["text"],
            source=values.get("format", ""),
            filename=values["filename"],
            known_hosts=values["known_hosts"],
            options=options,
            actor=self.principal,
            now=clock.now(),
            field="text",
        )
        if values["dry_run"]:
            return self.shown(plan.pk)
        importing.start(plan=plan, actor=self.principal, now=clock.now())
        tasks.nudge_import(plan.pk)
        return self.shown(plan.pk, 202)


class NodeImportDetail(_OnePlan):
    """One import: what it does, and how far it is."""

    actions = {"GET": Action("nodes.write", "nodes_import_read", "Read an import", {200: PLAN})}

    def get(self, request: Request, plan_id: uuid.UUID) -> Response:
        return self.shown(self.plan(plan_id).pk)


class NodeImportRows(_OnePlan):
    """The rows of an import, with what each does or why it is refused."""

    actions = {
        "GET": Action(
            "nodes.write", "nodes_import_rows", "List the rows of an import", {200: PageOf(ROW)}, query=ROWS.params
        )
    }

    def get(self, request: Request, plan_id: uuid.UUID) -> Response:
        return ROWS.answer(self.plan(plan_id).rows.all(), request)


class NodeImportApply(_OnePlan):
    """Carry out an import that was a dry run."""

    actions = {"POST": Action("nodes.write", "nodes_import_apply", "Apply an import", {202: PLAN})}

    def post(self, request: Request, plan_id: uuid.UUID) -> Response:
        plan = self.plan(plan_id)
        importing.start(plan=plan, actor=self.principal, now=clock.now())
        tasks.nudge_import(plan.pk)
        return self.shown(plan.pk, 202)
