"""How operations look on pages: level, word, sentence and addresses of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from ops import wording
from ops.models import Operation, OperationRequest

#: The level decides shape and colour, as for every state.
LEVELS = {
    "requested": "none",
    "awaiting_approval": "warn",
    "queued": "none",
    "running": "info",
    "waiting": "info",
    "cancelling": "info",
    "succeeded": "ok",
    "failed": "bad",
    "cancelled": "none",
    "timed_out": "bad",
    "needs_attention": "warn",
    "void": "none",
}


def differences(target: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a plan takes away from the kernel arguments and adds to them."""
    arguments = target.get("arguments") or {}
    before, after = arguments.get("before") or [], arguments.get("after") or []
    gone = [{"sign": "−", "text": word} for word in before if word not in after]
    return gone + [{"sign": "+", "text": word} for word in after if word not in before]


def sentence_of(operation: Operation) -> str:
    """What it waits for, or how it ended; what it does now otherwise."""
    if operation.wait_reason:
        return wording.wait_sentence(operation.wait_reason, operation.wait_params)
    if operation.result:
        return wording.result_sentence(operation.result, operation.result_params)
    return wording.step_word(operation.step) if operation.step else ""


def shown(operation: Operation) -> dict[str, Any]:
    """What lists draw of an operation."""
    return {
        "operation": operation,
        "level": LEVELS.get(operation.state, "none"),
        "state": wording.state_word(operation.state),
        "kind": wording.kind_word(operation.kind),
        "sentence": sentence_of(operation),
        "url": reverse("operation", args=[operation.pk]),
        "requester": operation.request.requester.partition(":")[2],
        # A row is drawn anew when anything of it changed.
        "revision": f"{operation.state}.{operation.step_number}.{operation.wait_reason}.{operation.log_seq}"
        f".{bool(operation.cancel_requested_at):d}",
    }


def decisions_on(request: OperationRequest) -> list[dict[str, Any]]:
    """Who approved or rejected a request, named as on all pages; costs nothing where no approval is needed."""
    if not request.approvals_needed:
        return []
    return [{"who": one.approver.partition(":")[2], "is_granted": one.is_granted} for one in request.approvals.all()]


def time_word(seconds: float) -> str:
    """How long something takes, in the largest unit that says enough."""
    if seconds < 90:
        return _("%(n)s s") % {"n": round(seconds)}
    if seconds < 90 * 60:
        return _("%(n)s min") % {"n": round(seconds / 60)}
    return _("%(n)s h") % {"n": round(seconds / 3600, 1)}
