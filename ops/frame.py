"""What every page says about operations: what runs, what waits for the reader, the way to stop all; and that all is stopped."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.access.principals import Principal
from fleetui.core.frame import Banner, Tool
from fleetui.core.heartbeats import signs_of
from ops.models import BackupPolicy, Operation, Stop
from ops.services.backups.watching import OVERDUE_JOB
from ops.services.queue import count_waiting_for
from ops.states import STARTED, State

_KEPT = "_fleetui_stop"
#: The watch gives its sign four times a minute.
OVERDUE_SIGN_S = 120


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


def backups_overdue(request: HttpRequest) -> list[Banner]:
    """Asked of the policies only while the watch says that some are overdue, so that other pages cost nothing."""
    principal: Principal = request.principal  # type: ignore[attr-defined]
    if not principal.may_somewhere("backups.read"):
        return []
    sign = signs_of(request).job(OVERDUE_JOB)
    if sign is None or sign.age_s > OVERDUE_SIGN_S:
        return []
    names = list(
        BackupPolicy.objects.visible_to(principal).filter(overdue_since__isnull=False).values_list("name", flat=True)
    )
    if not names:
        return []
    told = {"count": len(names), "name": names[0]}
    text = ngettext(
        "%(name)s has no recent good backup", "%(count)s backup policies have no recent good backup", len(names)
    )
    return [Banner(level="bad", text=text % told, url=reverse("backups"), action=_("Backups"))]


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
        "states": sorted(STARTED),
        "waiting": waiting,
        "stop": _stop(request),
        "may_stop": principal.may_somewhere("operations.request"),
        "may_lift": principal.may("operations.request"),
    }
    return Tool("ops/partials/tool.html", context, {"operations": waiting})
