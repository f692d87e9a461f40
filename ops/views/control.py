"""Buttons of operations: cancel, retry, approve, reject, go on, end; for one and for a whole request; and stop all."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from nodes.views.subject import principal_of
from ops.models import Operation
from ops.querysets import OperationQuerySet
from ops.services import control
from ops.services.approve import decide
from ops.views.detail import visible_operation
from ops.views.plan import CONFIRM_ABOVE


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()[:300]


def _try(request: HttpRequest, work: Callable[[], None]) -> None:
    """What cannot be done is said on the page that the button stood on."""
    try:
        work()
    except FleetError as error:
        messages.error(request, f"{error.message} {error.mend}".strip())


@require_POST
@needs("operations.request")
def cancel(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    operation = visible_operation(request, operation_id)

    def work() -> None:
        control.cancel(operation=operation, actor=principal_of(request), now=clock.now(), reason=_reason(request))

    _try(request, work)
    return redirect("operation", operation_id=operation_id)


@require_POST
@needs("operations.request")
def retry(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    operation = visible_operation(request, operation_id)
    return _retried(request, [operation], redirect("operation", operation_id=operation_id))


def _retried(request: HttpRequest, operations: list[Operation], otherwise: HttpResponse) -> HttpResponse:
    try:
        answer = control.retry(
            operations=operations, actor=principal_of(request), now=clock.now(), reason=_reason(request)
        )
    except FleetError as error:
        messages.error(request, f"{error.message} {error.mend}".strip())
        return otherwise
    if not answer.operations:
        messages.warning(request, _("Nothing can be retried now: the nodes are busy, or there is nothing to do."))
        return otherwise
    if len(answer.operations) == 1:
        return redirect("operation", operation_id=answer.operations[0].pk)
    return redirect("operation_bulk", request_id=answer.request.pk)


@require_POST
@needs("operations.request")
def resolve(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """A person has looked: `go_on` lets it go on, anything else ends it as failed."""
    operation = visible_operation(request, operation_id)

    def work() -> None:
        control.resolve(
            operation=operation,
            go_on=bool(request.POST.get("go_on")),
            actor=principal_of(request),
            now=clock.now(),
            reason=_reason(request),
        )

    _try(request, work)
    return redirect("operation", operation_id=operation_id)


@require_POST
@needs("operations.approve")
def approve(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """Approve or (with `reject`) reject the request of an operation."""
    operation = visible_operation(request, operation_id)

    def work() -> None:
        decide(
            request=operation.request,
            grant=not request.POST.get("reject"),
            actor=principal_of(request),
            now=clock.now(),
            reason=_reason(request),
        )

    _try(request, work)
    return redirect("operation", operation_id=operation_id)


def _of_request(principal: Principal, request_id: uuid.UUID) -> OperationQuerySet:
    rows = Operation.objects.visible_to(principal).filter(request=request_id)
    if not rows.exists():
        raise Http404(str(request_id))
    found: OperationQuerySet = rows.select_related("request", "pool").order_by("number")
    return found


@require_POST
@needs("operations.request")
def cancel_request(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    principal = principal_of(request)
    rows = _of_request(principal, request_id)
    count = control.cancel_all(operations=rows, actor=principal, now=clock.now(), reason=_reason(request))
    said = ngettext("%(n)s operation is cancelled.", "%(n)s operations are cancelled.", count) % {"n": count}
    if rows.filter(ended_at=None).exists():
        said += " " + _("Those that have begun end between two steps.")
    messages.info(request, said)
    return redirect("operation_bulk", request_id=request_id)


@require_POST
@needs("operations.request")
def retry_request(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """More than ten ask for their number to be typed, as they did when they were asked for first."""
    failed = _of_request(principal_of(request), request_id).to_retry()
    back = redirect("operation_bulk", request_id=request_id)
    count = failed.filter(retries=None).count()
    if count > CONFIRM_ABOVE and request.POST.get("confirm") != str(count):
        messages.warning(request, _("Nothing was asked for: type the number of nodes as it is shown."))
        return back
    return _retried(request, list(failed), back)


@require_POST
@needs("operations.request")
def stop(request: HttpRequest) -> HttpResponse:
    """Stop all: nothing starts any more; with `lift`, things start again."""

    def work() -> None:
        if request.POST.get("lift"):
            control.lift_stop(actor=principal_of(request), reason=_reason(request))
        else:
            control.stop_all(actor=principal_of(request), now=clock.now(), reason=_reason(request))

    _try(request, work)
    return redirect("operations")
