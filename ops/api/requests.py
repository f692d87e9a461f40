"""operations/bulk/ and operations/approvals/: a request as a whole, and what waits for a decision."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import read_body
from fleetui.core.api.views import ApiView
from fleetui.core.errors import NotFound
from ops.api import shapes
from ops.api.keys import KEY, asked_key
from ops.api.operations import WordBody, requested
from ops.models import Operation, OperationRequest
from ops.querysets import OperationQuerySet
from ops.services import control
from ops.services.approve import decide
from ops.services.queue import waiting_requests
from ops.states import ACTIVE


class OneRequest(ApiView):
    """Base of the endpoints below one request."""

    def operations(self, request_id: uuid.UUID) -> OperationQuerySet:
        rows = Operation.objects.visible_to(self.principal).select_related("request", "pool")
        found: OperationQuerySet = rows.filter(request=request_id).order_by("number")
        if not found:
            raise NotFound(f"There is no request {request_id} that you may see.", mend="Look at /api/v1/operations/.")
        return found


class OperationBulk(OneRequest):
    """A request as a whole: how many of its operations stand where."""

    actions = {"GET": Action("operations.read", "operations_bulk", "Read a request", {200: shapes.BULK})}

    def get(self, request: Request, request_id: uuid.UUID) -> Response:
        visible = Operation.objects.visible_to(self.principal).filter(request=request_id)
        states = Counter(visible.values_list("state", flat=True))
        asked = OperationRequest.objects.filter(pk=request_id).first()
        if asked is None or not (states or self._is_mine_and_empty(asked)):
            raise NotFound(f"There is no request {request_id} that you may see.", mend="Look at /api/v1/operations/.")
        return Response(_bulk(asked, states))

    def _is_mine_and_empty(self, asked: OperationRequest) -> bool:
        """One that was refused for every node was answered with its id too: whoever asked may look it up."""
        return asked.requester == str(self.principal) and not asked.operations.exists()


def _bulk(asked: OperationRequest, states: Mapping[str, int]) -> dict[str, Any]:
    decided = list(asked.approvals.all())
    return {
        "request_id": asked.pk,
        "kind": asked.kind,
        "params": asked.params,
        "requester": asked.requester,
        "reason": asked.reason,
        "requested_at": asked.requested_at,
        "idempotency_key": asked.idempotency_key or None,
        "max_attempts": asked.max_attempts,
        "stop_after": asked.stop_after,
        "stopped_at": asked.stopped_at,
        "approvals_needed": asked.approvals_needed,
        "approvals": sum(one.is_granted for one in decided),
        "approve_by": asked.approve_by,
        "decisions": [shapes.decision_json(one) for one in decided],
        "operations": sum(states.values()),
        "states": dict(states),
        "is_final": not set(states) & ACTIVE,
    }


class OperationBulkCancel(OneRequest):
    """Cancel all of a request that has not ended."""

    actions = {
        "POST": Action(
            "operations.request", "operations_bulk_cancel", "Cancel a request", {200: shapes.CANCELLED}, body=WordBody
        )
    }

    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        reason = read_body(WordBody, request)["reason"]
        rows = self.operations(request_id)
        count = control.cancel_all(operations=rows, actor=self.principal, now=clock.now(), reason=reason)
        return Response({"cancelled": count})


class OperationBulkRetry(OneRequest):
    """Retry those of a request that failed, and those that its threshold kept from beginning."""

    actions = {
        "POST": Action(
            "operations.request",
            "operations_bulk_retry",
            "Retry what failed of a request",
            {200: shapes.REQUESTED, 201: shapes.REQUESTED},
            body=WordBody,
            headers=(KEY,),
        )
    }

    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        reason = read_body(WordBody, request)["reason"]
        failed = list(self.operations(request_id).to_retry())
        key = asked_key(request)
        return requested(
            control.retry(operations=failed, actor=self.principal, now=clock.now(), reason=reason, idempotency_key=key)
        )


class OperationBulkApprove(OneRequest):
    """Approve a request. The last approval that is needed queues its operations."""

    actions = {
        "POST": Action(
            "operations.approve", "operations_bulk_approve", "Approve a request", {200: shapes.BULK}, body=WordBody
        )
    }
    grant = True

    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        reason = read_body(WordBody, request)["reason"]
        asked = self.operations(request_id)[0].request
        decide(request=asked, grant=self.grant, actor=self.principal, now=clock.now(), reason=reason)
        states = Counter(operation.state for operation in self.operations(request_id))
        return Response(_bulk(OperationRequest.objects.get(pk=request_id), states))


class OperationBulkReject(OperationBulkApprove):
    """Reject a request: its operations end without anything having been done."""

    actions = {
        "POST": Action(
            "operations.approve", "operations_bulk_reject", "Reject a request", {200: shapes.BULK}, body=WordBody
        )
    }
    grant = False


class Approvals(ApiView):
    """Requests that wait for approval, the one that expires first in front; at most 200. `may_decide`: by whoever asks."""

    actions = {
        "GET": Action(
            "operations.read", "approvals_list", "List requests that wait for approval", {200: shapes.APPROVALS}
        )
    }

    def get(self, request: Request) -> Response:
        found = waiting_requests(self.principal)
        return Response({"results": [shapes.waiting_json(one) for one in found]})
