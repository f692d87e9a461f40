"""operations/: ask for them, follow them, approve, cancel and retry them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from time import monotonic, sleep
from typing import Any

from django.db import connection
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.audit.exports import export_view
from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import INTEGER, PageOf
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import InvalidInput, NotFound
from nodes.models import Node
from ops import actions
from ops.api import shapes
from ops.api.keys import KEY, asked_key
from ops.filters import OperationFilter
from ops.models import LogLine, Operation
from ops.services import control
from ops.services.approve import decide
from ops.services.chosen import nodes_of
from ops.services.outlook import outlook
from ops.services.plan import NodePlan
from ops.services.request import MOST_ATTEMPTS, MOST_NODES, Answer, checked_count, nobody, preview, request_operations
from ops.services.threshold import MOST as MOST_BAD
from ops.states import ACTIVE, FINAL, State
from ops.waiting import has_left, waiter

LISTING = Listing(
    shapes.OPERATION,
    {"created_at": Sort("created_at", kind="time"), "state": Sort("state"), "node": Sort("node_name")},
    "-created_at",
    OperationFilter,
)
LOG_AT_ONCE = 1000
LONGEST_WAIT_S = 60.0
LOOK_EVERY_S = 0.5
_GOING = sorted(ACTIVE - {State.NEEDS_ATTENTION})


class FilterText(Text):
    """The value of a filter, as a query has it: several are one text."""

    takes = 'text, as in a query: "web,db" for several values, "true" for true'


class RequestBody(Body):
    """What is to be done, and to which nodes: by name, or by the filters of the nodes list."""

    kind = serializers.ChoiceField(choices=list(actions.askable()))
    nodes = serializers.ListField(child=Text(max_length=100), max_length=MOST_NODES, required=False)
    selector = serializers.DictField(
        child=FilterText(max_length=500), required=False, help_text='As the query of nodes/: {"pool": "web"}.'
    )
    params = serializers.DictField(
        required=False, default=dict, help_text='Of the kind: {"version": "…", "soak_s": 60}.'
    )
    reason = Text(max_length=300, allow_blank=True, default="")
    deadline = serializers.DateTimeField(required=False, allow_null=True, help_text="Until when it may wait.")
    approve_by = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Until when approvals have to be there; at most as the rule has it."
    )
    max_attempts = Integer(
        required=False, allow_null=True, min_value=1, max_value=MOST_ATTEMPTS, help_text="Of each step; 3 without it."
    )
    stop_after = Integer(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MOST_BAD,
        help_text="When so many have ended badly, no further one begins; without it all do, but `kubeadm_renew` stops at the first.",
    )
    dry_run = Flag(default=False, help_text="Only the plan.")


class WordBody(Body):
    """Why; it goes into the audit log."""

    reason = Text(max_length=300, allow_blank=True, default="")


class OneOperation(ApiView):
    """Base of the endpoints below one operation."""

    def operation(self, operation_id: uuid.UUID) -> Operation:
        rows = Operation.objects.visible_to(self.principal).select_related("request", "pool")
        found: Operation | None = rows.filter(pk=operation_id).first()
        if found is None:
            raise no_operation(operation_id)
        return found

    def shown(self, operation_id: uuid.UUID, fields: list[str] | None = None) -> dict[str, Any]:
        row = Operation.objects.filter(pk=operation_id).values(*shapes.OPERATION.columns(fields)).get()
        return shapes.OPERATION.render(row, fields)


def no_operation(operation_id: object) -> NotFound:
    return NotFound(f"There is no operation {operation_id} that you may see.", mend="Look at /api/v1/operations/.")


OperationExport = export_view("operations", "operations.read", LISTING, Operation.objects.visible_to)


class OperationList(ApiView):
    """Operations that one may see, newest first; and new ones."""

    actions = {
        "GET": Action(
            "operations.read",
            "operations_list",
            "List operations",
            {200: PageOf(shapes.OPERATION)},
            query=LISTING.params,
        ),
        "POST": Action(
            "operations.request",
            "operations_create",
            "Ask for operations, or for their plan",
            {200: shapes.PLAN, 201: shapes.REQUESTED},
            body=RequestBody,
            headers=(KEY,),
        ),
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(Operation.objects.visible_to(self.principal), request)

    def post(self, request: Request) -> Response:
        values = read_body(RequestBody, request)
        nodes = _nodes(self.principal, values)
        kind, params = values["kind"], values["params"]
        if values["dry_run"]:
            field = "nodes" if values.get("nodes") is not None else "selector"
            checked_count(len(nodes), field)
            plans = preview(nodes=nodes, kind=kind, params=params, actor=self.principal, now=clock.now())
            return Response({**_plan(plans, kind), "note": None if nodes else nobody(field)})
        answer = request_operations(
            nodes=nodes,
            kind=kind,
            params=params,
            reason=values["reason"],
            selector=values.get("selector"),
            idempotency_key=asked_key(request),
            deadline=values.get("deadline"),
            approve_by=values.get("approve_by"),
            max_attempts=values.get("max_attempts"),
            stop_after=values.get("stop_after"),
            actor=self.principal,
            now=clock.now(),
        )
        return requested(answer)


def _nodes(principal: Any, values: Mapping[str, Any]) -> list[Node]:
    """The nodes that a body names; a name that may not be seen is a mistake, not something to pass over."""
    visible = Node.objects.visible_to(principal).select_related("pool__cluster")
    names, selector = values.get("nodes"), values.get("selector")
    if (names is None) == (selector is None):
        mend = "Send nodes, a list of names, or selector, the filters of GET nodes/: {} stands for all nodes."
        told = "Which nodes is not said." if names is None else "Which nodes is said twice, by nodes and by selector."
        raise InvalidInput(told, field="nodes", mend=mend)
    if names is not None:
        found = {node.name: node for node in visible.filter(name__in=names)}
        if missing := [name for name in names if name not in found]:
            raise InvalidInput(
                f"There is no node {missing[0]} that you may see.",
                field="nodes",
                value=missing[0],
                mend="Look at nodes/.",
            )
        return [found[name] for name in dict.fromkeys(names)]
    return nodes_of(principal, selector or {})


def _plan(plans: list[NodePlan], kind: str) -> dict[str, Any]:
    found = outlook(plans, kind=kind, now=clock.now())
    return {
        "dry_run": True,
        "approvals_needed": found.needed.approvals,
        "approve_by": found.needed.until,
        "expected_s": found.seconds,
        "operations": [shapes.plan_json(plan) for plan in plans if not plan.refused],
        "refused": [shapes.refused_json(plan.node.name, plan.refused, plan.params) for plan in plans if plan.refused],
    }


def requested(answer: Answer) -> Response:
    """201 with the operations and the refused nodes; a repeat gets the same with 200."""
    body = {
        "request_id": answer.request.pk,
        "approvals_needed": answer.request.approvals_needed,
        "approve_by": answer.request.approve_by,
        "operations": [{"id": one.pk, "node": one.node_name, "state": one.state} for one in answer.operations],
        "refused": [shapes.refused_json(one.node, one.code, one.params) for one in answer.refused],
    }
    return Response(body, status=200 if answer.is_repeat else 201)


class OperationDetail(OneOperation):
    """One operation. With `wait`, the answer comes when it has ended or the time is up."""

    actions = {
        "GET": Action(
            "operations.read",
            "operations_read",
            "Read an operation, or wait for its end",
            {200: shapes.OPERATION},
            query=(
                fields_param(shapes.OPERATION),
                Param(
                    "wait", {**INTEGER, "minimum": 0, "maximum": int(LONGEST_WAIT_S)}, "Seconds to wait for its end."
                ),
            ),
        )
    }

    def get(self, request: Request, operation_id: uuid.UUID) -> Response:
        fields = asked_fields(request, shapes.OPERATION)
        self.operation(operation_id)
        seconds = _seconds(request.query_params.get("wait", ""))
        retry_after = _wait_for_end(operation_id, seconds, request.META)
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        return Response(self.shown(operation_id, fields), headers=headers)


def _seconds(text: str) -> float:
    if not text:
        return 0.0
    if not (text.isascii() and text.isdigit()) or int(text) > LONGEST_WAIT_S:
        mend = f"Give whole seconds up to {LONGEST_WAIT_S:.0f}."
        raise InvalidInput(f"{text[:40]!r} is not a time to wait.", field="wait", value=text, mend=mend)
    return float(text)


def _wait_for_end(operation_id: uuid.UUID, seconds: float, environ: Mapping[str, Any]) -> int:
    """Wait within the places that waiting may take up; gives the seconds after which to ask again, 0 when it has ended.

    What needs attention goes on only when a person decides: there is nothing to wait for.
    """
    end = monotonic() + seconds

    def ended() -> bool:
        return not Operation.objects.filter(pk=operation_id, state__in=_GOING).exists()

    if ended():
        return 0
    with waiter() as may_wait:
        while may_wait and monotonic() < end and not has_left(environ):
            # Others need the connection meanwhile.
            connection.close()
            sleep(LOOK_EVERY_S)
            if ended():
                return 0
    return 2 if seconds else 0


class OperationLog(OneOperation):
    """The log from any place on. `is_final` and no lines mean that nothing more comes."""

    actions = {
        "GET": Action(
            "operations.read",
            "operations_log",
            "Read an operation's log",
            {200: shapes.LOG},
            query=(Param("after", {**INTEGER, "minimum": 0}, "The seq of the last line that is known."),),
        )
    }

    def get(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation = self.operation(operation_id)
        text = request.query_params.get("after", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidInput(f"{text[:40]!r} is not a place in a log.", field="after", value=text, mend="Give a seq.")
        after = int(text)
        rows = LogLine.objects.filter(operation=operation, seq__gt=after).order_by("seq")
        lines = [shapes.LOG_LINE.render(row) for row in rows.values(*shapes.LOG_LINE.columns())[:LOG_AT_ONCE]]
        return Response(
            {
                "lines": lines,
                "after": lines[-1]["seq"] if lines else after,
                "is_final": operation.state in FINAL,
                "state": operation.state,
            }
        )


class _Word(OneOperation):
    """A decision about one operation, with a reason."""

    def decided(self, request: Request, operation_id: uuid.UUID) -> tuple[Operation, str]:
        return self.operation(operation_id), read_body(WordBody, request)["reason"]


def _action(permission: str, name: str, summary: str) -> dict[str, Action]:
    answers = {200: shapes.OPERATION}
    return {"POST": Action(permission, f"operations_{name}", summary, answers, body=WordBody)}


class OperationCancel(_Word):
    """Cancel: at once where nothing began, else between two steps."""

    actions = _action("operations.request", "cancel", "Cancel an operation")

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation, reason = self.decided(request, operation_id)
        control.cancel(operation=operation, actor=self.principal, now=clock.now(), reason=reason)
        return Response(self.shown(operation_id))


class OperationApprove(_Word):
    """Approve the request that an operation belongs to."""

    actions = _action("operations.approve", "approve", "Approve the request of an operation")
    grant = True

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation, reason = self.decided(request, operation_id)
        decide(request=operation.request, grant=self.grant, actor=self.principal, now=clock.now(), reason=reason)
        return Response(self.shown(operation_id))


class OperationReject(OperationApprove):
    """Reject the request that an operation belongs to."""

    actions = _action("operations.approve", "reject", "Reject the request of an operation")
    grant = False


class OperationRetry(_Word):
    """Ask again for what did not succeed, with a new plan."""

    actions = {
        "POST": Action(
            "operations.request",
            "operations_retry",
            "Retry an operation",
            {200: shapes.REQUESTED, 201: shapes.REQUESTED},
            body=WordBody,
            headers=(KEY,),
        )
    }

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation, reason = self.decided(request, operation_id)
        key = asked_key(request)
        return requested(
            control.retry(
                operations=[operation], actor=self.principal, now=clock.now(), reason=reason, idempotency_key=key
            )
        )


class OperationResolve(_Word):
    """A person has looked after it: it ends as failed."""

    actions = _action("operations.request", "resolve", "End an operation that needs attention")
    go_on = False

    def post(self, request: Request, operation_id: uuid.UUID) -> Response:
        operation, reason = self.decided(request, operation_id)
        control.resolve(operation=operation, go_on=self.go_on, actor=self.principal, now=clock.now(), reason=reason)
        return Response(self.shown(operation_id))


class OperationGoOn(OperationResolve):
    """A person has looked after it: it goes on with its step."""

    actions = _action("operations.request", "go_on", "Let an operation that needs attention go on")
    go_on = True
