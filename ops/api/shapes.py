"""How operations look in the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Document,
    Field,
    Row,
    Shape,
    column,
    known,
    list_of,
    nullable,
    object_of,
    one_of,
)
from ops import wording
from ops.models import Approval, LogLine
from ops.services.plan import NodePlan
from ops.services.queue import WaitingRequest
from ops.states import FINAL, State

_STATE = one_of(state.value for state in State)


def _waits(row: Row) -> str | None:
    return wording.wait_sentence(row["wait_reason"], row["wait_params"]) if row["wait_reason"] else None


def _result(row: Row) -> str | None:
    return wording.result_sentence(row["result"], row["result_params"]) if row["result"] else None


OPERATION = Shape(
    "Operation",
    {
        "id": column("id", UUID),
        "request_id": column("request_id", UUID),
        "kind": column("kind", TEXT),
        "params": column("params", ANY_OBJECT),
        "node": column("node_name", TEXT),
        "generation": column("generation", INTEGER),
        "pool": known("pool_name", TEXT),
        "cluster": known("cluster_name", TEXT),
        "state": column("state", _STATE),
        "is_final": Field(FLAG, ("state",), lambda row: row["state"] in FINAL),
        "state_since": column("state_since", TIME),
        "step": known("step", TEXT),
        "attempt": column("attempt", INTEGER),
        "wait_reason": known("wait_reason", TEXT),
        "waits_for": Field(nullable(TEXT), ("wait_reason", "wait_params"), _waits),
        "waits_since": column("wait_since", nullable(TIME)),
        "due_at": column("due_at", nullable(TIME)),
        "deadline": column("deadline", TIME),
        "result": known("result", TEXT),
        "result_params": column("result_params", ANY_OBJECT),
        "result_sentence": Field(nullable(TEXT), ("result", "result_params"), _result),
        "requester": column("request__requester", TEXT),
        "max_attempts": column("request__max_attempts", INTEGER),
        "approvals_needed": column("request__approvals_needed", INTEGER),
        "approve_by": column("request__approve_by", nullable(TIME)),
        "reason": column("request__reason", TEXT),
        "plan": column("plan", ANY_OBJECT),
        "cancel_requested_at": column("cancel_requested_at", nullable(TIME)),
        "created_at": column("created_at", TIME),
        "started_at": column("started_at", nullable(TIME)),
        "ended_at": column("ended_at", nullable(TIME)),
        "retry_of": column("retry_of_id", nullable(UUID)),
        "log_seq": column("log_seq", INTEGER),
    },
)


def _line(row: Row) -> str:
    return wording.note_sentence(row["text"], row["params"]) if row["stream"] == "note" else row["text"]


LOG_LINE = Shape(
    "OperationLogLine",
    {
        "seq": column("seq", INTEGER),
        "at": column("at", TIME),
        "step": known("step", TEXT),
        "stream": column("stream", one_of(LogLine.STREAMS)),
        "text": Field(TEXT, ("stream", "text", "params"), _line),
    },
)
LOG = Document(
    "OperationLog",
    object_of({"lines": list_of(LOG_LINE.schema()), "after": INTEGER, "is_final": FLAG, "state": _STATE}),
)
_REFUSED = object_of({"node": TEXT, "code": TEXT, "reason": TEXT})
_MADE = object_of({"id": UUID, "node": TEXT, "state": _STATE})
REQUESTED = Document(
    "OperationRequested",
    object_of(
        {
            "request_id": UUID,
            "approvals_needed": INTEGER,
            "approve_by": nullable(TIME),
            "operations": list_of(_MADE),
            "refused": list_of(_REFUSED),
        }
    ),
)
CHECK = object_of({"code": TEXT, "level": one_of(("ok", "warn", "block")), "sentence": TEXT, "params": ANY_OBJECT})
PLAN = Document(
    "OperationPlan",
    object_of(
        {
            "dry_run": FLAG,
            "note": nullable(TEXT),
            "approvals_needed": INTEGER,
            "approve_by": nullable(TIME),
            "expected_s": nullable(INTEGER),
            "operations": list_of(
                object_of(
                    {
                        "node": TEXT,
                        "target": ANY_OBJECT,
                        "commands": list_of(TEXTS),
                        "checks": list_of(CHECK),
                        "facts_at": nullable(TIME),
                        "seen_at": nullable(TIME),
                        "expected_s": nullable(INTEGER),
                        "past_runs": INTEGER,
                    }
                )
            ),
            "refused": list_of(_REFUSED),
        }
    ),
)
_DECISION = object_of({"approver": TEXT, "granted": FLAG, "at": TIME, "reason": TEXT})
BULK = Document(
    "OperationBulk",
    object_of(
        {
            "request_id": UUID,
            "kind": TEXT,
            "params": ANY_OBJECT,
            "requester": TEXT,
            "reason": TEXT,
            "requested_at": TIME,
            "idempotency_key": nullable(TEXT),
            "max_attempts": INTEGER,
            "stop_after": nullable(INTEGER),
            "stopped_at": nullable(TIME),
            "approvals_needed": INTEGER,
            "approvals": INTEGER,
            "approve_by": nullable(TIME),
            "decisions": list_of(_DECISION),
            "operations": INTEGER,
            "states": {"type": "object", "additionalProperties": INTEGER},
            "is_final": FLAG,
        }
    ),
)
APPROVALS = Document(
    "OperationApprovals",
    object_of(
        {
            "results": list_of(
                object_of(
                    {
                        "request_id": UUID,
                        "kind": TEXT,
                        "params": ANY_OBJECT,
                        "requester": TEXT,
                        "reason": TEXT,
                        "requested_at": TIME,
                        "approve_by": nullable(TIME),
                        "approvals_needed": INTEGER,
                        "approvals": INTEGER,
                        "decisions": list_of(_DECISION),
                        "operations": INTEGER,
                        "nodes": TEXTS,
                        "pools": TEXTS,
                        "may_decide": FLAG,
                    }
                )
            )
        }
    ),
)
CANCELLED = Document("OperationsCancelled", object_of({"cancelled": INTEGER}))


def decision_json(approval: Approval) -> dict[str, Any]:
    return {
        "approver": approval.approver,
        "granted": approval.is_granted,
        "at": approval.at,
        "reason": approval.reason,
    }


def waiting_json(one: WaitingRequest) -> dict[str, Any]:
    """The first nodes are named; `operations` counts all of them."""
    return {
        "request_id": one.request.pk,
        "kind": one.request.kind,
        "params": one.request.params,
        "requester": one.request.requester,
        "reason": one.request.reason,
        "requested_at": one.request.requested_at,
        "approve_by": one.request.approve_by,
        "approvals_needed": one.request.approvals_needed,
        "approvals": one.granted,
        "decisions": [decision_json(each) for each in one.decisions],
        "operations": one.operations,
        "nodes": one.nodes,
        "pools": one.pools,
        "may_decide": one.may_decide,
    }


def plan_json(plan: NodePlan) -> dict[str, Any]:
    checks = [
        {**check.as_json(), "sentence": wording.check_sentence(check.code, check.params)} for check in plan.checks
    ]
    return {
        "node": plan.node.name,
        "target": dict(plan.target),
        "commands": [list(command) for command in plan.commands],
        "checks": checks,
        "facts_at": plan.node.facts_at,
        "seen_at": plan.node.last_seen_at,
        "expected_s": plan.expected.seconds if plan.expected else None,
        "past_runs": plan.expected.runs if plan.expected else 0,
    }


def refused_json(node: str, code: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"node": node, "code": code, "reason": wording.refusal_sentence(code, params)}
