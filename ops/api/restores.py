"""backups/POLICY/restore/ and operations/ID/restore/: how a backup is brought back, and its guided restore."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Flag, Text, read_body
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.errors import InvalidInput
from ops import wording
from ops.actions.restore import asks
from ops.api import shapes
from ops.api.backups import OfPolicies
from ops.api.keys import KEY, asked_key
from ops.api.operations import OneOperation, requested
from ops.models import Operation
from ops.services.backups.guiding import WHAT, Shown, guide_of, restore_at, tell
from ops.services.backups.restores import RestorePlan, plan_restore, request_restore
from ops.services.backups.restoring import restore_of
from ops.states import State
from ops.wording.restore import STEPS

_STATES = ("done", "now", "to_come")
_ASKS = ("go_on", "done")
_STEP = {"step": TEXT, "sentence": TEXT, "on": TEXTS, "commands": TEXTS}
PLAN = Document("BackupRestorePlan", object_of({"run_id": TEXT, "location": TEXT, "steps": list_of(object_of(_STEP))}))
_PLANNED = {"step": TEXT, "word": TEXT, "asks": nullable(one_of(_ASKS)), "on": TEXTS}
GUIDE_PLAN = Document(
    "BackupGuidedRestorePlan",
    object_of(
        {
            "dry_run": FLAG,
            "run_id": TEXT,
            "location": TEXT,
            "nodes": TEXTS,
            "busy": list_of(object_of({"node": TEXT, "sentence": TEXT})),
            "approvals_needed": INTEGER,
            "approve_by": nullable(TIME),
            "steps": list_of(object_of(_PLANNED)),
        }
    ),
)
_ON = {"host": TEXT, "commands": TEXTS, "is_done": FLAG, "printed": nullable(TEXT)}
_TASK = {
    "step": TEXT,
    "word": TEXT,
    "state": one_of(_STATES),
    "asks": nullable(one_of(_ASKS)),
    "commands": TEXTS,
    "hosts": list_of(object_of(_ON)),
}
GUIDE = Document(
    "GuidedRestore",
    object_of(
        {
            "operation_id": TEXT,
            "state": one_of(tuple(one.value for one in State)),
            "sentence": TEXT,
            "policy": nullable(TEXT),
            "run_id": nullable(TEXT),
            "location": TEXT,
            "step": nullable(TEXT),
            "asks": nullable(one_of(_ASKS)),
            "may_go_back": FLAG,
            "is_changed": FLAG,
            "folders": ANY_OBJECT,
            "stand": ANY_OBJECT,
            "confirmed": ANY_OBJECT,
            "tasks": list_of(object_of(_TASK)),
        }
    ),
)


class AskBody(Body):
    """Which backup is restored. What runs on its hosts now is replaced, so that the name of the policy is typed."""

    run = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Without it the newest good one."
    )
    confirm = Text(max_length=100, allow_blank=True, default="", help_text="The name of the policy.")
    reason = Text(max_length=300, allow_blank=True, default="")
    dry_run = Flag(default=False, help_text="Only the plan.")


class TellBody(Body):
    """What a person says: the next step may be done, it was done by hand, or all goes back to what ran before."""

    what = serializers.ChoiceField(choices=WHAT)
    step = Text(
        max_length=40,
        allow_blank=True,
        default="",
        help_text="The step that is meant; 409 when it waits for another by now.",
    )
    reason = Text(max_length=300, allow_blank=True, default="")


class PolicyRestore(OfPolicies):
    """How a backup is brought back, step by step, with the commands as they are typed. POST has FleetUI do it, guided."""

    actions = {
        "GET": Action(
            "backups.read",
            "backup_restore_plan",
            "Read how a backup is brought back",
            {200: PLAN},
            query=(Param("run", TEXT, "The run; without it the newest good one."),),
        ),
        "POST": Action(
            "backups.restore",
            "backup_restore",
            "Restore a backup, guided, or plan it",
            {200: GUIDE_PLAN, 201: shapes.REQUESTED},
            body=AskBody,
            headers=(KEY,),
        ),
    }

    def get(self, request: Request, policy_id: uuid.UUID) -> Response:
        found = restore_of(self.policy(policy_id), _run_id(request.query_params.get("run", "")))
        steps = [
            {
                "step": one.code.removeprefix("restore_"),
                "sentence": str(STEPS[one.code]),
                "on": one.on,
                "commands": one.lines,
            }
            for one in found.steps
        ]
        return Response({"run_id": found.run.pk, "location": found.run.location, "steps": steps})

    def post(self, request: Request, policy_id: uuid.UUID) -> Response:
        values = read_body(AskBody, request)
        given: dict[str, Any] = {"policy": self.policy(policy_id), "run_id": values["run"], "actor": self.principal}
        if values["dry_run"]:
            return Response(_plan_json(plan_restore(**given, now=clock.now())))
        told = {"confirm": values["confirm"], "reason": values["reason"], "idempotency_key": asked_key(request)}
        return requested(request_restore(**given, **told, now=clock.now()))


def _plan_json(plan: RestorePlan) -> dict[str, Any]:
    return {
        "dry_run": True,
        "run_id": plan.run.pk,
        "location": plan.run.location,
        "nodes": [node.name for node in plan.nodes],
        "busy": [{"node": name, "sentence": why} for name, why in plan.busy],
        "approvals_needed": plan.needed.approvals,
        "approve_by": plan.needed.until,
        "steps": [
            {
                "step": code,
                "word": wording.step_word(code),
                "asks": asks(plan.guide, code) or None,
                "on": plan.guide.places(code),
            }
            for code in plan.guide.order
        ],
    }


def _run_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError as error:
        mend = "Give the id of a run, as the ledger has it."
        raise InvalidInput(f"{text[:40]} is no id of a run.", field="run", value=text[:40], mend=mend) from error


class OperationRestore(OneOperation):
    """A guided restore: what is done, what it waits for, and what its commands printed. POST lets it go on, or go back."""

    actions = {
        "GET": Action("operations.read", "operations_restore", "Read how far a restore is", {200: GUIDE}),
        "POST": Action(
            "backups.restore",
            "operations_restore_tell",
            "Let a restore go on, or go back",
            {200: GUIDE},
            body=TellBody,
        ),
    }

    def get(self, request: Request, operation_id: uuid.UUID) -> Response:
        return Response(_guide_json(self.operation(operation_id)))

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        values = read_body(TellBody, request)
        operation = self.operation(operation_id)
        tell(operation=operation, **values, actor=self.principal, now=clock.now())
        return Response(_guide_json(operation))


def _guide_json(operation: Operation) -> dict[str, Any]:
    shown: Shown = guide_of(restore_at(operation))
    restore, row = shown.restore, shown.restore.operation
    return {
        "operation_id": row.pk,
        "state": row.state,
        "sentence": wording.result_sentence(row.result, row.result_params)
        if row.result
        else wording.wait_sentence(row.wait_reason, row.wait_params)
        if row.wait_reason
        else "",
        "policy": restore.policy.name if restore.policy else None,
        "run_id": restore.run_id,
        "location": shown.guide.lies.location,
        "step": shown.step or None,
        "asks": shown.asks or None,
        "may_go_back": shown.may_go_back,
        "is_changed": shown.is_changed,
        "folders": shown.folders,
        "stand": shown.stand,
        "confirmed": restore.confirmed,
        "tasks": [
            {
                "step": task.code,
                "word": wording.step_word(task.code),
                "state": task.state,
                "asks": task.asks or None,
                "commands": list(task.lines),
                "hosts": [
                    {
                        "host": one.host,
                        "commands": list(one.commands),
                        "is_done": one.is_done,
                        "printed": one.printed or None,
                    }
                    for one in task.on
                ],
            }
            for task in shown.tasks
        ],
    }
