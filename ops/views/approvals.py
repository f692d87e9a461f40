"""What waits for approval: what the reader may decide on, and what waits for others."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal, person_of
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.models import Operation, OperationRequest
from ops.services.approve import decide
from ops.services.queue import MOST_SHOWN, WaitingRequest, waiting_requests
from ops.views.tabs import operation_tabs


@require_safe
@needs("operations.read")
def approval_queue(request: HttpRequest) -> HttpResponse:
    """The page; a live refresh gets its lists only. The number of queries is the same for one request and for 200."""
    principal = principal_of(request)
    found = [_row(one, principal) for one in waiting_requests(principal)]
    context: dict[str, Any] = {
        "mine": [row for row in found if row["one"].may_decide],
        "others": [row for row in found if not row["one"].may_decide],
        "is_cut": len(found) == MOST_SHOWN,
        "may_approve": principal.may_somewhere("operations.approve"),
        "page_url": request.get_full_path(),
    }
    template = "ops/partials/approvals_body.html"
    if not request.htmx:  # type: ignore[attr-defined]
        template, context["tabs"] = "ops/approvals.html", operation_tabs(request)
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _row(one: WaitingRequest, principal: Principal) -> dict[str, Any]:
    kind = wording.kind_word(one.request.kind)
    title = ngettext("%(kind)s: %(n)s node", "%(kind)s: %(n)s nodes", one.operations)
    return {
        "one": one,
        "request": one.request,
        "title": title % {"kind": kind, "n": f"{one.operations:,}"},
        "version": str(one.request.params.get("version", "")),
        "nodes": ", ".join(one.nodes),
        "more": one.operations - len(one.nodes),
        "pools": ", ".join(name for name in one.pools if name),
        "requester": one.request.requester.partition(":")[2],
        "decisions": [
            {"who": each.approver.partition(":")[2], "is_granted": each.is_granted} for each in one.decisions
        ],
        "is_disruptive": one.request.kind in actions.kinds() and actions.get(one.request.kind).is_disruptive,
        "is_own": person_of(one.request.requester) == person_of(str(principal)),
        "revision": f"{one.operations}.{len(one.decisions)}",
    }


@require_POST
@needs("operations.approve")
def decide_request(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """Approve or (with `reject`) reject a request; back to the queue, or with `stay` to the request."""
    principal = principal_of(request)
    asked = OperationRequest.objects.awaiting(principal).filter(pk=request_id).first()
    back = redirect("operation_bulk", request_id=request_id) if request.POST.get("stay") else redirect("approvals")
    if asked is None:
        if not _is_seen(principal, request_id):
            raise Http404(str(request_id))
        messages.warning(request, _("This request does not wait for approval any more."))
        return back
    grant = not request.POST.get("reject")
    reason = request.POST.get("reason", "").strip()
    try:
        decide(request=asked, grant=grant, actor=principal, now=clock.now(), reason=reason)
    except FleetError as error:
        messages.error(request, sentence(error))
        return back
    left = asked.approvals_needed - asked.approvals.filter(is_granted=True).count()
    if not grant:
        messages.info(request, _("Rejected. Nothing was changed on any host."))
    elif left > 0:
        said = ngettext("Approved. It waits for %(n)s more.", "Approved. It waits for %(n)s more.", left)
        messages.info(request, said % {"n": left})
    else:
        messages.info(request, _("Approved. It starts when its turn comes."))
    return back


def _is_seen(principal: Principal, request_id: uuid.UUID) -> bool:
    return bool(Operation.objects.visible_to(principal).filter(request=request_id).exists())
