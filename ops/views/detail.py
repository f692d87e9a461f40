"""One operation: its steps, its live log, its plan, who and why; and what can be done to it."""

from __future__ import annotations

import json
import shlex
import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.actions.restore import RESTORE_KINDS
from ops.actions.tidy import TIDY
from ops.models import LogLine, Operation, OperationRequest, StepRun
from ops.services.ahead import ahead_of
from ops.services.control import RETRIED, may_cancel, may_go_on, may_resolve
from ops.services.replacing.confirming import is_open, may_all, may_see_planes
from ops.services.replacing.repositories import works_from
from ops.states import FINAL, State
from ops.views.found import findings
from ops.views.trail import trail
from ops.views.words import decisions_on, differences, shown, time_word
from ops.wording.replacement import worded

LINES_AT_ONCE = 500
#: htmx ends a poll on this status.
STOP_POLLING = 286
_STEP_LEVELS = {"running": "info", "done": "ok", "waits": "info", "failed": "bad"}


def visible_operation(request: HttpRequest, operation_id: uuid.UUID) -> Operation:
    rows = Operation.objects.visible_to(principal_of(request)).select_related("request", "node", "pool", "retry_of")
    found: Operation | None = rows.filter(pk=operation_id).first()
    if found is None:
        raise Http404(str(operation_id))
    return found


@require_safe
@needs("operations.read")
def operation_page(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """The page; a live refresh gets its body only, and none once it has ended. `part=trail` is its audit events alone."""
    operation = visible_operation(request, operation_id)
    if request.GET.get("part") == "trail":
        return render(request, "ops/partials/trail.html", trail(operation, principal_of(request)))
    context = {
        **shown(operation),
        "steps": _steps(operation),
        "is_final": operation.state in FINAL,
        "operation_id": str(operation.pk),
        "plan": _plan(operation),
        "approvals": decisions_on(operation.request),
        "expires_at": operation.request.approve_by if operation.state == State.AWAITING_APPROVAL else None,
        "siblings": operation.request.operations.count() - 1,
        "params": json.dumps(operation.params, indent=2, ensure_ascii=False) if operation.params else "",
        **_rights(principal_of(request), operation),
        **_ahead(principal_of(request), operation),
        **findings(operation, may_see_etcd=may_see_planes(principal_of(request), operation)),
        **machine_shown(principal_of(request), operation),
        **guide_shown(operation),
        "works_from": worded(works_from(operation)) if operation.kind == "replace" else None,
    }
    if request.htmx:  # type: ignore[attr-defined]
        response = render(request, "ops/partials/operation_body.html", context)
    else:
        context["lines"] = _lines(operation, 0)
        context["log_goes_on"] = len(context["lines"]) == LINES_AT_ONCE
        context.update(trail(operation, principal_of(request)))
        response = render(request, "ops/operation.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def machine_shown(principal: Principal, operation: Operation) -> dict[str, Any]:
    """Where a person does by hand what a replacement waits for, for whoever may."""
    if operation.kind != "replace" or operation.state in FINAL or not may_all(principal, operation):
        return {}
    return {"machine_url": reverse("operation_machine", args=[operation.pk]), "machine_waits": is_open(operation)}


def guide_shown(operation: Operation) -> dict[str, Any]:
    """Where a person leads a restore on."""
    if operation.kind not in RESTORE_KINDS:
        return {}
    return {"guide_url": reverse("operation_restore", args=[operation.pk]), "guide_waits": operation.state not in FINAL}


def _ahead(principal: Principal, operation: Operation) -> dict[str, Any]:
    """What runs in the place that it waits for."""
    found = ahead_of(operation, principal)
    holders = [
        {"url": reverse("operation", args=[one.pk]), "kind": wording.kind_word(one.kind), "node": one.node_name}
        for one in (found.holders if found else ())
    ]
    return {"ahead": found, "holders": holders}


def _rights(principal: Principal, operation: Operation) -> dict[str, Any]:
    may_request = principal.may("operations.request", operation)
    state = operation.state
    return {
        "may_cancel": may_cancel(principal, operation),
        "may_retry": may_request
        and state in RETRIED
        and operation.kind not in RESTORE_KINDS
        and operation.node_id is not None
        and not operation.retries.exists(),
        "may_ask_etcd": may_request,
        "may_resolve": may_resolve(principal, operation),
        "may_go_on": may_go_on(principal, operation),
        "may_approve": state == State.AWAITING_APPROVAL
        and OperationRequest.objects.waiting_for(principal).filter(pk=operation.request_id).exists(),
    }


def _steps(operation: Operation) -> list[dict[str, Any]]:
    """What was run, and what is still to come."""
    runs = list(StepRun.objects.filter(operation=operation).order_by("number", "attempt"))
    found = [
        {
            "word": wording.step_word(run.name),
            "attempt": run.attempt if run.attempt > 1 else 0,
            "level": _STEP_LEVELS.get(run.outcome, "none"),
            "sentence": _said(run),
            "run": run,
            "took": _took(run),
            "is_open": run.ended_at is None and operation.state not in FINAL,
        }
        for run in runs
    ]
    if operation.state in FINAL or operation.step == TIDY:
        return found
    seen = {run.name for run in runs}
    todo = [
        step.name for step in actions.get(operation.kind).steps_of(operation.plan) if not step.name.startswith("back_")
    ]
    return found + [
        {"word": wording.step_word(name), "level": "none", "is_todo": True} for name in todo if name not in seen
    ]


def _took(run: StepRun) -> str:
    """How long it took, in the largest unit that says enough."""
    if run.ended_at is None:
        return ""
    return time_word((run.ended_at - run.started_at).total_seconds())


def _said(run: StepRun) -> str:
    if run.outcome == "waits":
        return wording.wait_sentence(run.reason, run.params)
    return wording.result_sentence(run.reason, run.params) if run.outcome == "failed" else ""


def _plan(operation: Operation) -> dict[str, Any]:
    plan = operation.plan
    return {
        "target": plan.get("target") or {},
        "frozen": plan.get("frozen") or {},
        "differences": differences(plan.get("target") or {}),
        "commands": [shlex.join(command) for command in plan.get("commands") or []],
        "checks": [
            {"level": one["level"], "text": wording.check_sentence(one["code"], one.get("params"))}
            for one in plan.get("checks") or []
        ],
    }


def _lines(operation: Operation, after: int) -> list[dict[str, Any]]:
    rows = LogLine.objects.filter(operation=operation, seq__gt=after).order_by("seq")[:LINES_AT_ONCE]
    return [
        {
            "seq": row.seq,
            "at": row.at,
            "stream": row.stream,
            "text": wording.note_sentence(row.text, row.params) if row.stream == "note" else row.text.rstrip("\n"),
        }
        for row in rows
    ]


@require_safe
@needs("operations.read")
def operation_log(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """The lines after `after`, as a fragment; 286 when nothing more will come. `download` gives the whole as text."""
    operation = visible_operation(request, operation_id)
    if request.GET.get("download"):
        return _download(operation)
    text = request.GET.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    lines = _lines(operation, after)
    last = lines[-1]["seq"] if lines else after
    goes_on = len(lines) == LINES_AT_ONCE
    is_over = operation.state in FINAL and not goes_on
    response = render(request, "ops/partials/log_lines.html", {"lines": lines}, status=STOP_POLLING if is_over else 200)
    response["X-FleetUI-Log-After"] = str(last)
    if goes_on:
        response["X-FleetUI-Log-More"] = "1"
    return response


def _download(operation: Operation) -> HttpResponse:
    rows = LogLine.objects.filter(operation=operation).order_by("seq").iterator(chunk_size=500)
    text = "".join(
        f"{row.at.isoformat()} {row.stream:<4} "
        f"{wording.note_sentence(row.text, row.params) if row.stream == 'note' else row.text.rstrip()}\n"
        for row in rows
    )
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = (
        f'attachment; filename="{operation.kind}-{operation.node_name}-{operation.pk.hex[:8]}.log"'
    )
    return response
