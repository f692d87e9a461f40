"""Versions that are held back: from which node or pool, since when, by whom and why; holding one by hand, and lifting a hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.models import Node, Pool
from nodes.views.subject import principal_of
from ops import wording
from ops.models import VersionHold
from ops.services.holds import PERMISSION, hold_at, hold_version, lift_hold
from ops.views.tabs import operation_tabs

MOST_SHOWN = 500
SHOWN_ON_A_PAGE = 10


class HoldForm(forms.Form):
    """On what, which version, and why."""

    node = forms.CharField(label=gettext_lazy("Node"), required=False, max_length=100)
    pool = forms.ChoiceField(label=gettext_lazy("Or pool"), required=False)
    version = forms.CharField(
        label=gettext_lazy("Version"),
        max_length=100,
        help_text=gettext_lazy("As it stands in the releases, for example 43.20260301.3.1."),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=300, help_text=gettext_lazy("Kept in the audit log.")
    )

    def __init__(self, *args: Any, pools: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("One node only")), *((name, name) for name in pools)]
        self.fields["pool"].choices = choices  # type: ignore[attr-defined]


@require_safe
@needs("operations.read")
def hold_list(request: HttpRequest) -> HttpResponse:
    """Every hold that one sees, newest first; `node` and `pool` narrow it."""
    principal = principal_of(request)
    rows = VersionHold.objects.visible_to(principal)
    node, pool = request.GET.get("node", ""), request.GET.get("pool", "")
    if node:
        rows = rows.filter(node__name=node)
    if pool:
        rows = rows.filter(pool__name=pool)
    found = list(rows.select_related("node__pool", "pool", "operation")[: MOST_SHOWN + 1])
    context = {
        "tabs": operation_tabs(request),
        "rows": [shown_hold(one, principal) for one in found[:MOST_SHOWN]],
        "is_cut": len(found) > MOST_SHOWN,
        "narrowed": node or pool,
        "may_add": principal.may_somewhere(PERMISSION),
        "back": "list",
    }
    return render(request, "ops/holds.html", context)


def shown_hold(hold: VersionHold, principal: Principal) -> dict[str, Any]:
    """What lists draw of a hold."""
    return {
        "hold": hold,
        "why": wording.hold_sentence(hold.why),
        "by": hold.held_by.partition(":")[2] or hold.held_by,
        "operation_url": reverse("operation", args=[hold.operation_id]) if hold.operation_id else "",
        "may_lift": principal.may(PERMISSION, hold.node or hold.pool),
    }


def holds_shown(principal: Principal, *, node: Node | None = None, pool: Pool | None = None) -> list[dict[str, Any]]:
    """The holds of a node (its pool's too), or of a pool."""
    rows = VersionHold.objects.on([node]) if node is not None else VersionHold.objects.filter(pool=pool)
    found = list(rows.visible_to(principal)[:SHOWN_ON_A_PAGE])
    for one in found:
        # Both are there already: to join them costs more than all the rest of the query.
        if one.node_id:
            one.node = node
        else:
            one.pool = pool or node.pool  # type: ignore[union-attr]
    return [shown_hold(one, principal) for one in found]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("operations.hold")
def hold_add(request: HttpRequest) -> HttpResponse:
    """Hold a version back by hand."""
    principal = principal_of(request)
    where = principal.where(PERMISSION)
    pools = {pool.name: pool for pool in Pool.objects.visible_to(principal).order_by("name") if where.covers(pool.pk)}
    initial = {name: request.GET.get(name, "")[:100] for name in ("node", "pool", "version")}
    form = HoldForm(request.POST if request.method == "POST" else None, pools=list(pools), initial=initial)

    def save(values: dict[str, Any]) -> HttpResponse:
        name, pool = values["node"].strip(), pools.get(values["pool"])
        node = Node.objects.visible_to(principal).filter(name=name).first() if name else None
        if name and node is None:
            raise NotFound(
                _("There is no node %(name)s that you may see.") % {"name": name},
                field="node",
                value=name,
                mend=_("Give the name as it stands on the list of nodes."),
            )
        hold_version(
            version=values["version"],
            node=node,
            pool=pool,
            reason=values["reason"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("%(version)s is held back from now on.") % {"version": values["version"]})
        return redirect("version_holds")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    return render(request, "ops/hold.html", {"form": form}, status=status)


@require_POST
@needs("operations.hold")
def hold_lift(request: HttpRequest, hold_id: int) -> HttpResponse:
    """Lift a hold with a reason, and go back to the page that the button stood on."""
    principal = principal_of(request)
    try:
        hold = hold_at(principal, hold_id)
    except NotFound as error:
        raise Http404(str(error)) from error
    if not principal.may(PERMISSION, hold.node or hold.pool):
        raise PermissionDenied(PERMISSION)
    try:
        lift_hold(hold=hold, reason=request.POST.get("reason", ""), actor=principal)
        messages.info(request, _("%(version)s is no longer held back.") % {"version": hold.version})
    except FleetError as error:
        messages.error(request, sentence(error))
    if request.POST.get("back") == "node" and hold.node:
        return redirect("nodes:detail", name=hold.node.name)
    if request.POST.get("back") == "pool" and hold.pool:
        return redirect("nodes:pool", name=hold.pool.name)
    return redirect("version_holds")
