"""What every page says about operations: what runs, what waits for the reader, the way to stop all; and that all is stopped."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.frame import Banner, Tool
from ops.models import Operation, Stop
from ops.services.queue import count_waiting_for
from ops.states import STARTED, State

_KEPT = "_fleetui_stop"


def _stop(request: HttpRequest) -> Stop | None:
    """The stop that holds now; looked at once a page."""
    if not hasattr(request, _KEPT):
        setattr(request, _KEPT, Stop.objects.filter(stopped_at__isnull=False).first())
    found: Stop | None = getattr(request, _KEPT)
    return found


def everything_stopped(request: HttpRequest) -> list[Banner]:
    """One look at one row."""
    stop = _stop(request)
    if stop is None:
        return []
    text = _("No operation starts: %(who)s stopped all: %(why)s") % {
        "who": stop.stopped_by.partition(":")[2],
        "why": stop.reason or "-",
    }
    return [Banner(level="warn", text=text, url=reverse("operations"), action=_("Operations"))]


def operations_tool(request: HttpRequest) -> Tool | None:
    """The menu of operations in the top bar. One count over what is active, however much has ended."""
    principal: Principal = request.principal  # type: ignore[attr-defined]
    if not principal.may_somewhere("operations.read"):
        return None
    visible = (
        Operation.objects.visible_to(principal).open().filter(state__in=sorted({*STARTED, State.AWAITING_APPROVAL}))
    )
    counts = visible.aggregate(
        running=Count("pk", filter=~Q(state=State.AWAITING_APPROVAL)),
        awaiting=Count("pk", filter=Q(state=State.AWAITING_APPROVAL)),
    )
    running, waiting = counts["running"], count_waiting_for(principal) if counts["awaiting"] else 0
    context = {
        "running": running,
        "waiting": waiting,
        "stop": _stop(request),
        "may_stop": principal.may_somewhere("operations.request"),
        "may_lift": principal.may("operations.request"),
    }
    return Tool("ops/partials/tool.html", context, {"operations": waiting})
