"""One request with many operations: how far it is, and what can be done to all of them."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.core.templatetags.ui import changed_query
from nodes.views.paging import Order, page_of
from nodes.views.subject import principal_of
from ops import wording
from ops.models import Operation, OperationRequest
from ops.services import threshold
from ops.states import FINAL, State
from ops.views.plan import CONFIRM_ABOVE
from ops.views.words import LEVELS, decisions_on, shown

PAGE_SIZE = 100


@require_safe
@needs("operations.read")
def request_page(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """The page; a live refresh gets its body only. The number of queries is the same for one operation and for 2,000."""
    principal = principal_of(request)
    visible = Operation.objects.visible_to(principal).filter(request=request_id)
    states = Counter(visible.values_list("state", flat=True))
    asked = OperationRequest.objects.filter(pk=request_id).first()
    if asked is None or not states:
        raise Http404(str(request_id))
    wanted = request.GET.get("state", "")
    wanted = wanted if wanted in set(State) else ""
    rows = visible.filter(state=wanted) if wanted else visible
    page = page_of(rows.select_related("request"), Order("number", "pk"), PAGE_SIZE, request.GET)
    total, over = sum(states.values()), sum(states[state] for state in FINAL)
    one = visible.first()
    may = one is not None and principal.may("operations.request", one)
    decisions = decisions_on(asked)
    failed = visible.to_retry().filter(retries=None).count()
    context: dict[str, Any] = {
        "asked": asked,
        "kind": wording.kind_word(asked.kind),
        "requester": asked.requester.partition(":")[2],
        "approvals": decisions,
        "granted": sum(one["is_granted"] for one in decisions),
        "expires_at": asked.approve_by if states[State.AWAITING_APPROVAL] else None,
        "total": total,
        "over": over,
        "is_final": over == total,
        "states": [
            {
                "level": LEVELS[state.value],
                "label": wording.state_word(state),
                "count": states[state],
                "current": wanted == state,
                "url": changed_query(request.GET, {"state": None if wanted == state else state.value}),
            }
            for state in State
            if states[state] or wanted == state
        ],
        "wanted": wording.state_word(wanted) if wanted else "",
        "all_url": changed_query(request.GET, {"state": None}),
        "rows": [shown(row) for row in page.rows],
        "newer_url": changed_query(request.GET, {"before": page.before}) if page.before else "",
        "older_url": changed_query(request.GET, {"after": page.after}) if page.after else "",
        "failed": failed,
        "not_begun": visible.filter(result=threshold.RESULT).count() if asked.stopped_at else 0,
        "to_cancel": visible.to_cancel().count() if may else 0,
        "may_retry": may and failed,
        "typed": str(failed) if failed > CONFIRM_ABOVE else "",
        "may_approve": states[State.AWAITING_APPROVAL]
        and OperationRequest.objects.waiting_for(principal).filter(pk=request_id).exists(),
        "page_url": request.get_full_path(),
    }
    template = "ops/partials/request_body.html" if request.htmx else "ops/request.html"  # type: ignore[attr-defined]
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response
