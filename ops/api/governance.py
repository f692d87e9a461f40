"""limits/, approval-rules/ and operations/stop/: what holds operations back."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
from fleetui.core.api.shapes import FLAG, INTEGER, TEXT, TEXTS, TIME, Document, list_of, nullable, object_of, one_of
from fleetui.core.api.views import ApiView
from ops import actions
from ops.models import ApprovalRule, Limit, Stop
from ops.services import control
from ops.services.limits import LimitNow, limit_at, limits_seen_by, set_limit
from ops.services.rules import RuleNow, approvers_of, delete_rule, rule_at, rules_seen_by, set_rule

_LIMIT = {
    "scope": one_of(Limit.SCOPES),
    "name": TEXT,
    "at_once": INTEGER,
    "default": INTEGER,
    "is_default": FLAG,
    "running": INTEGER,
    "queued": INTEGER,
    "set_by": nullable(TEXT),
    "set_at": nullable(TIME),
    "reason": TEXT,
}
LIMIT = Document("OperationLimit", object_of(_LIMIT))
LIMITS = Document("OperationLimitList", object_of({"results": list_of(object_of(_LIMIT))}))
_RULE = {
    "id": INTEGER,
    "pool": TEXT,
    "kind": TEXT,
    "approvers": INTEGER,
    "expires_after_s": INTEGER,
    "who_may": TEXTS,
    "set_by": TEXT,
    "set_at": TIME,
    "reason": TEXT,
}
RULE = Document("ApprovalRule", object_of(_RULE))
RULES = Document("ApprovalRuleList", object_of({"results": list_of(object_of(_RULE))}))
STOP = Document(
    "OperationsStop",
    object_of({"stopped": FLAG, "stopped_at": nullable(TIME), "stopped_by": nullable(TEXT), "reason": TEXT}),
)


class LimitBody(Body):
    """How many at once; null: the default. Raising needs a reason."""

    at_once = Integer(allow_null=True)
    reason = Text(max_length=300, allow_blank=True, default="")


class RuleBody(Body):
    """Who has to approve what. An empty pool or kind stands for any; the closest rule counts."""

    pool = Text(max_length=100, allow_blank=True, default="")
    kind = serializers.ChoiceField(choices=["", *actions.kinds()], default="")
    approvers = Integer(min_value=0, max_value=2)
    expires_after_s = Integer(default=86_400)
    reason = Text(max_length=300, allow_blank=True, default="")


class StopBody(Body):
    """Whether everything is stopped, and why."""

    stopped = Flag()
    reason = Text(max_length=300, allow_blank=True, default="")


def _limit_json(one: LimitNow) -> dict[str, Any]:
    return {
        "scope": one.scope,
        "name": one.name,
        "at_once": one.at_once,
        "default": one.default,
        "is_default": not one.is_set,
        "running": one.running,
        "queued": one.queued,
        "set_by": one.set_by or None,
        "set_at": one.set_at,
        "reason": one.reason,
    }


def _rule_json(rule: ApprovalRule, people: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id": rule.pk,
        "pool": rule.pool,
        "kind": rule.kind,
        "approvers": rule.approvers,
        "expires_after_s": rule.expires_after_s,
        "who_may": list(people),
        "set_by": rule.set_by,
        "set_at": rule.set_at,
        "reason": rule.reason,
    }


def _shown(one: RuleNow) -> dict[str, Any]:
    return _rule_json(one.rule, one.people)


class LimitList(ApiView):
    """How many disruptive operations may run at once, and how many do: overall, per cluster, per pool."""

    actions = {"GET": Action("operations.read", "limits_list", "List the limits of operations", {200: LIMITS})}

    def get(self, request: Request) -> Response:
        return Response({"results": [_limit_json(one) for one in limits_seen_by(self.principal)]})


class LimitDetail(ApiView):
    """One limit: `overall/-`, `cluster/NAME`, `pool/NAME`; `pool/-` is for nodes without a pool."""

    actions = {
        "GET": Action("operations.read", "limits_read", "Read a limit of operations", {200: LIMIT}),
        "PUT": Action("operations.configure", "limits_set", "Set a limit of operations", {200: LIMIT}, body=LimitBody),
    }

    def get(self, request: Request, scope: str, name: str) -> Response:
        return Response(_limit_json(limit_at(self.principal, scope, name)))

    def put(self, request: Request, scope: str, name: str) -> Response:
        one = limit_at(self.principal, scope, name)
        values = read_body(LimitBody, request)
        set_limit(
            scope=one.scope,
            name=one.name,
            at_once=values["at_once"],
            reason=values["reason"],
            actor=self.principal,
            now=clock.now(),
        )
        return Response(_limit_json(limit_at(self.principal, scope, name)))


class RuleList(ApiView):
    """Approval rules. PUT sets the one of its pool and kind, made new or changed."""

    actions = {
        "GET": Action("operations.read", "approval_rules_list", "List approval rules", {200: RULES}),
        "PUT": Action("operations.configure", "approval_rules_set", "Set an approval rule", {200: RULE}, body=RuleBody),
    }

    def get(self, request: Request) -> Response:
        return Response({"results": [_shown(one) for one in rules_seen_by(self.principal)]})

    def put(self, request: Request) -> Response:
        rule = set_rule(**read_body(RuleBody, request), actor=self.principal, now=clock.now())
        return Response(_rule_json(rule, approvers_of([rule.pool])[rule.pool]))


class RuleDetail(ApiView):
    """One approval rule."""

    actions = {
        "GET": Action("operations.read", "approval_rules_read", "Read an approval rule", {200: RULE}),
        "DELETE": Action(
            "operations.configure",
            "approval_rules_delete",
            "Delete an approval rule",
            {204: None},
            query=(Param("reason", {**TEXT, "maxLength": 300}, "Why; it goes into the audit log."),),
        ),
    }

    def get(self, request: Request, rule_id: int) -> Response:
        rule = rule_at(self.principal, rule_id)
        return Response(_rule_json(rule, approvers_of([rule.pool])[rule.pool]))

    def delete(self, request: Request, rule_id: int) -> Response:
        reason = request.query_params.get("reason", "")
        delete_rule(rule=rule_at(self.principal, rule_id), reason=reason, actor=self.principal)
        return Response(status=204)


class StopAll(ApiView):
    """Whether all starts are halted. What runs goes on to its end."""

    actions = {
        "GET": Action("operations.read", "operations_stop_read", "Read whether operations are stopped", {200: STOP}),
        "PUT": Action(
            "operations.request",
            "operations_stop_set",
            "Stop all operations, or let them start",
            {200: STOP},
            body=StopBody,
        ),
    }

    def get(self, request: Request) -> Response:
        return Response(_stop_json(Stop.objects.filter(id=1).first()))

    def put(self, request: Request) -> Response:
        values = read_body(StopBody, request)
        if values["stopped"]:
            return Response(
                _stop_json(control.stop_all(actor=self.principal, now=clock.now(), reason=values["reason"]))
            )
        return Response(_stop_json(control.lift_stop(actor=self.principal, reason=values["reason"])))


def _stop_json(stop: Stop | None) -> dict[str, Any]:
    is_stopped = stop is not None and stop.stopped_at is not None
    return {
        "stopped": is_stopped,
        "stopped_at": stop.stopped_at if stop else None,
        "stopped_by": stop.stopped_by or None if stop else None,
        "reason": stop.reason if stop else "",
    }
