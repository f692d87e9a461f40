"""backups/: policies, what came of them, and reports of other jobs."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
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
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput
from nodes.models import Node, Pool
from ops import wording
from ops.api import shapes
from ops.api.keys import KEY, asked_key
from ops.api.operations import requested
from ops.models import BackupDrill, BackupPolicy, BackupRun, BackupTarget
from ops.services.backups import policies
from ops.services.backups.drills import request_drill
from ops.services.backups.gates import GATES, gate_of
from ops.services.backups.keeping import planned
from ops.services.backups.reading import ledger, overdue_at, policy_at, standing, unproven_at
from ops.services.backups.runs import report, request_backup

RUNS_SHOWN = 200
STANDINGS = ("good", "waits", "overdue", "never")
_RUN = {
    "id": TEXT,
    "state": one_of(BackupRun.STATES),
    "source": TEXT,
    "started_at": TIME,
    "ended_at": nullable(TIME),
    "size_bytes": nullable(INTEGER),
    "sha256": nullable(TEXT),
    "location": nullable(TEXT),
    "verified_at": nullable(TIME),
    "checks": ANY_OBJECT,
    "result": nullable(TEXT),
    "sentence": TEXT,
    "operation_id": nullable(TEXT),
    "reported_by": nullable(TEXT),
    "deleted_at": nullable(TIME),
}
_POLICY = {
    "id": TEXT,
    "name": TEXT,
    "kind": one_of(BackupPolicy.KINDS),
    "settings": ANY_OBJECT,
    "node": nullable(TEXT),
    "pool": nullable(TEXT),
    "target": nullable(TEXT),
    "keep": ANY_OBJECT,
    "overdue_after_s": INTEGER,
    "state": one_of(STANDINGS),
    "last_good_at": nullable(TIME),
    "overdue_at": TIME,
    "prove_within_s": nullable(INTEGER),
    "is_gate": FLAG,
    "last_proven_at": nullable(TIME),
    "unproven_at": nullable(TIME),
    "gate": nullable(one_of(GATES)),
    "drill_cron": nullable(TEXT),
    "next_drill_at": nullable(TIME),
    "cron": nullable(TEXT),
    "zone": nullable(TEXT),
    "next_run_at": nullable(TIME),
    "revision": INTEGER,
    "set_by": TEXT,
    "set_at": TIME,
}
_DRILL = {
    "id": TEXT,
    "state": one_of(BackupDrill.STATES),
    "proves": nullable(one_of(BackupDrill.PROVES)),
    "asked_by": TEXT,
    "started_at": TIME,
    "ended_at": nullable(TIME),
    "run_id": nullable(TEXT),
    "backup_at": nullable(TIME),
    "location": nullable(TEXT),
    "sha256": nullable(TEXT),
    "found": ANY_OBJECT,
    "result": nullable(TEXT),
    "sentence": TEXT,
    "operation_id": nullable(TEXT),
}
_PLANNED = {"run_id": TEXT, "started_at": TIME, "location": TEXT, "stays": FLAG, "reasons": TEXTS}
RUN = Document("BackupRun", object_of(_RUN))
RUNS = Document("BackupRunList", object_of({"results": list_of(object_of(_RUN))}))
POLICY = Document("BackupPolicy", object_of(_POLICY))
POLICIES = Document("BackupPolicyList", object_of({"results": list_of(object_of(_POLICY))}))
DRILLS = Document("BackupDrillList", object_of({"results": list_of(object_of(_DRILL))}))
PLAN = Document("BackupRetentionPlan", object_of({"results": list_of(object_of(_PLANNED))}))


class PolicyBody(Body):
    """What is backed up, from where to where, and how long it is kept. docs/backups.md has the settings of each kind."""

    name = Text(max_length=80)
    kind = serializers.ChoiceField(choices=BackupPolicy.KINDS)
    settings = serializers.DictField(default=dict)
    node = Text(max_length=100, allow_null=True, default=None)
    pool = Text(max_length=100, allow_null=True, default=None, help_text="Of etcd: any of its nodes will do.")
    target = Text(max_length=100, allow_null=True, default=None, help_text="The name of a target.")
    keep = serializers.DictField(default=dict, help_text='{"daily": 7, "weekly": 4}; empty: nothing is deleted.')
    overdue_after_s = Integer(
        default=policies.DEFAULT_OVERDUE_S, min_value=policies.LEAST_OVERDUE_S, max_value=policies.MOST_OVERDUE_S
    )
    prove_within_s = Integer(
        required=False,
        allow_null=True,
        default=None,
        min_value=policies.LEAST_OVERDUE_S,
        max_value=policies.MOST_OVERDUE_S,
        help_text="How old the proof by a restore drill may be. null: nobody is told.",
    )
    is_gate = Flag(
        default=False,
        help_text="Of etcd: no upgrade, rollback or replacement of its nodes without a fresh, proven backup.",
    )
    drill_cron = Text(
        max_length=200,
        allow_blank=True,
        allow_null=True,
        default="",
        help_text="When a restore drill runs. Empty or null: no schedule.",
    )
    cron = Text(max_length=200, allow_blank=True, allow_null=True, default="", help_text="Empty or null: no schedule.")
    zone = Text(max_length=60, allow_null=True, default="UTC", help_text="null: UTC.")
    revision = Integer(required=False, help_text="With PUT: the one that the change is based on.")


class ReportBody(Body):
    """What a job says of a backup that it made."""

    good = Flag()
    started_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    ended_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Now without it. The same end again is the same report.",
    )
    size_bytes = Integer(required=False, allow_null=True, default=None, min_value=0)
    sha256 = Text(max_length=64, allow_blank=True, default="")
    location = Text(max_length=1000, allow_blank=True, default="")
    source = Text(max_length=100, allow_blank=True, default="")  # type: ignore[assignment]  # fields are taken out of the class
    message = Text(max_length=300, allow_blank=True, default="", help_text="Why it failed, say.")


class RunBody(Body):
    reason = Text(max_length=300, allow_blank=True, default="")


def run_json(run: BackupRun) -> dict[str, Any]:
    names = ("state", "source", "started_at", "ended_at", "size_bytes", "verified_at", "checks", "deleted_at")
    return {
        "id": run.pk,
        **{name: getattr(run, name) for name in names},
        "sha256": run.sha256 or None,
        "location": run.location or None,
        "result": run.result or None,
        "sentence": run_sentence(run),
        "operation_id": run.operation_id,
        "reported_by": run.reported_by or None,
    }


def run_sentence(run: BackupRun) -> str:
    """What came of it. Of a good one the row itself knows what its sentence needs."""
    if run.result == "backed_up":
        return wording.result_sentence(run.result, {"size_bytes": run.size_bytes, "location": run.location})
    return wording.result_sentence(run.result, run.result_params) if run.result else ""


def drill_json(drill: BackupDrill) -> dict[str, Any]:
    names = ("state", "asked_by", "started_at", "ended_at", "run_id", "backup_at", "found", "operation_id")
    return {
        "id": drill.pk,
        **{name: getattr(drill, name) for name in names},
        "proves": drill.proves or None,
        "location": drill.location or None,
        "sha256": drill.sha256 or None,
        "result": drill.result or None,
        "sentence": drill_sentence(drill),
    }


def drill_sentence(drill: BackupDrill) -> str:
    params = {"location": drill.location, **drill.found} if drill.state == "good" else drill.result_params
    return wording.result_sentence(drill.result, params) if drill.result else ""


def policy_json(one: BackupPolicy) -> dict[str, Any]:
    names = ("name", "kind", "settings", "keep", "overdue_after_s", "last_good_at", "revision", "set_by", "set_at")
    proof = ("prove_within_s", "is_gate", "last_proven_at")
    schedule, drills, now = one.schedule, one.drill_schedule, clock.now()
    return {
        "id": one.pk,
        **{name: getattr(one, name) for name in (*names, *proof)},
        "node": one.node.name if one.node else one.node_name or None,
        "pool": one.pool.name if one.pool else one.pool_name or None,
        "target": one.target.name if one.target else None,
        "state": standing(one, now).code,
        "overdue_at": overdue_at(one),
        "unproven_at": unproven_at(one),
        "gate": gate_of(one, now).code if one.is_gate else None,
        "drill_cron": drills.cron if drills else None,
        "next_drill_at": drills.next_run_at if drills else None,
        "cron": schedule.cron if schedule else None,
        "zone": schedule.zone if schedule else None,
        "next_run_at": schedule.next_run_at if schedule else None,
    }


class OfPolicies(ApiView):
    def policy(self, policy_id: uuid.UUID) -> BackupPolicy:
        return policy_at(self.principal, policy_id)

    def saved(self, request: Request, policy: BackupPolicy | None) -> BackupPolicy:
        values = read_body(PolicyBody, request)
        revision = values.pop("revision", None)
        # What a policy without a schedule is read with may be put back.
        for name, nothing in (("cron", ""), ("drill_cron", ""), ("zone", "UTC")):
            values[name] = nothing if values[name] is None else values[name]
        for name, rows in (
            ("node", Node.objects.visible_to(self.principal).select_related("pool")),
            ("pool", Pool.objects.visible_to(self.principal)),
            ("target", BackupTarget.objects.all()),
        ):
            wanted = values[name]
            values[name] = rows.filter(name=wanted).first() if wanted else None
            if wanted and values[name] is None:
                mend = "Give the name of one, as its list has it."
                raise InvalidInput(
                    f"There is no {name} {wanted} that you may see.", field=name, value=wanted, mend=mend
                )
        return policies.set_policy(
            **values, policy=policy, expected_revision=revision, actor=self.principal, now=clock.now()
        )


class PolicyList(OfPolicies):
    """Backup policies that one may see, by name."""

    actions = {
        "GET": Action("backups.read", "backup_policies_list", "List backup policies", {200: POLICIES}),
        "POST": Action("backups.write", "backup_policies_add", "Add a backup policy", {201: POLICY}, body=PolicyBody),
    }

    def get(self, request: Request) -> Response:
        related = ("node", "pool", "target", "schedule", "drill_schedule")
        rows = BackupPolicy.objects.visible_to(self.principal).select_related(*related)
        return Response({"results": [policy_json(one) for one in rows]})

    def post(self, request: Request) -> Response:
        return Response(policy_json(self.saved(request, None)), status=201)


class PolicyDetail(OfPolicies):
    """One backup policy. PUT writes all of it, and makes the writer the owner of its schedule."""

    actions = {
        "GET": Action("backups.read", "backup_policies_read", "Read a backup policy", {200: POLICY}),
        "PUT": Action("backups.write", "backup_policies_set", "Change a backup policy", {200: POLICY}, body=PolicyBody),
        "DELETE": Action(
            "backups.write",
            "backup_policies_delete",
            "Delete a backup policy with its ledger; what lies at the target stays there",
            {204: None},
            query=(Param("reason", {**TEXT, "maxLength": 300}, "Why; it goes into the audit log."),),
        ),
    }

    def get(self, request: Request, policy_id: uuid.UUID) -> Response:
        return Response(policy_json(self.policy(policy_id)))

    def put(self, request: Request, policy_id: uuid.UUID) -> Response:
        return Response(policy_json(self.saved(request, self.policy(policy_id))))

    def delete(self, request: Request, policy_id: uuid.UUID) -> Response:
        reason = request.query_params.get("reason", "")
        policies.delete_policy(policy=self.policy(policy_id), reason=reason, actor=self.principal)
        return Response(status=204)


class PolicyRuns(OfPolicies):
    """The ledger: the newest 200 runs, and up to 200 older ones that are still there. POST backs up now; the operation says how it goes."""

    actions = {
        "GET": Action("backups.read", "backup_runs_list", "Read the ledger of a backup policy", {200: RUNS}),
        "POST": Action(
            "backups.run",
            "backup_runs_add",
            "Back up now",
            {200: shapes.REQUESTED, 201: shapes.REQUESTED},
            body=RunBody,
            headers=(KEY,),
        ),
    }

    def get(self, request: Request, policy_id: uuid.UUID) -> Response:
        return Response({"results": [run_json(one) for one in ledger(self.policy(policy_id), RUNS_SHOWN)]})

    def post(self, request: Request, policy_id: uuid.UUID) -> Response:
        values = read_body(RunBody, request)
        return requested(
            request_backup(
                policy=self.policy(policy_id),
                reason=values["reason"],
                idempotency_key=asked_key(request),
                actor=self.principal,
                now=clock.now(),
            )
        )


class PolicyDrills(OfPolicies):
    """Restore drills: the newest 200. POST tries the newest good backup now; the operation says how it goes."""

    actions = {
        "GET": Action("backups.read", "backup_drills_list", "Read the restore drills of a policy", {200: DRILLS}),
        "POST": Action(
            "backups.run",
            "backup_drills_add",
            "Run a restore drill now",
            {200: shapes.REQUESTED, 201: shapes.REQUESTED},
            body=RunBody,
            headers=(KEY,),
        ),
    }

    def get(self, request: Request, policy_id: uuid.UUID) -> Response:
        return Response({"results": [drill_json(one) for one in self.policy(policy_id).drills.all()[:RUNS_SHOWN]]})

    def post(self, request: Request, policy_id: uuid.UUID) -> Response:
        values = read_body(RunBody, request)
        return requested(
            request_drill(
                policy=self.policy(policy_id),
                reason=values["reason"],
                idempotency_key=asked_key(request),
                actor=self.principal,
                now=clock.now(),
            )
        )


class PolicyPlan(OfPolicies):
    """What stays and why, and what goes at the end of the next run."""

    actions = {"GET": Action("backups.read", "backup_plan", "Read what retention will delete", {200: PLAN})}

    def get(self, request: Request, policy_id: uuid.UUID) -> Response:
        found = [
            {
                "run_id": one.key.pk,
                "started_at": one.at,
                "location": one.key.location,
                "stays": not one.goes,
                "reasons": list(one.reasons),
            }
            for one in planned(self.policy(policy_id))
        ]
        return Response({"results": found})


class PolicyReport(OfPolicies):
    """A job that made the backup itself says so. A token of the scope backups is enough."""

    actions = {"POST": Action("backups.report", "backup_report", "Report a backup", {201: RUN}, body=ReportBody)}

    def post(self, request: Request, policy_id: uuid.UUID) -> Response:
        values = read_body(ReportBody, request)
        run = report(
            policy=self.policy(policy_id),
            is_good=values.pop("good"),
            said=values.pop("message"),
            **values,
            actor=self.principal,
            now=clock.now(),
        )
        return Response(run_json(run), status=201)
