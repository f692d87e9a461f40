"""The limits of operations: what is set, what is in use now, and the form that changes one."""

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
from django.views.decorators.http import require_http_methods, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import NotFound
from fleetui.core.form_errors import submitted
from nodes.models import Pool
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of
from ops.models import Limit
from ops.services.limits import PERMISSION, LimitNow, limit_at, limits_seen_by, set_limit
from ops.views.tabs import operation_tabs


class LimitForm(forms.Form):
    """How many at once, and why."""

    at_once = forms.IntegerField(label=gettext_lazy("At once"), min_value=1, max_value=Limit.MOST)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Needed to raise it. Kept in the audit log."),
    )


@require_safe
@needs("operations.read")
def limit_list(request: HttpRequest) -> HttpResponse:
    """Overall, clusters, pools: each with its limit, what runs and what waits."""
    principal = principal_of(request)
    query = request.GET.get("q", "").strip().lower()
    pools = dict(Pool.objects.visible_to(principal).values_list("name", "pk"))
    rows = [_row(one, _may_change(principal, one, pools)) for one in limits_seen_by(principal)]
    found = [row for row in rows if query in row["name"].lower() or row["limit"].scope == "overall"]
    context = {
        "tabs": operation_tabs(request),
        "rows": found,
        "q": request.GET.get("q", ""),
        "may_change": any(row["may_change"] for row in rows),
        "has_places": len(rows) > 1,
    }
    return render(request, "ops/limits.html", context)


def _may_change(principal: Principal, one: LimitNow, pools: dict[str, Any]) -> bool:
    """An admin of everything changes all of them, an admin of a pool that of the pool."""
    if principal.may(PERMISSION):
        return True
    return one.scope == "pool" and one.name in pools and principal.where(PERMISSION).covers(pools[one.name])


def _row(one: LimitNow, may_change: bool) -> dict[str, Any]:  # noqa: FBT001
    return {
        "limit": one,
        "name": _name(one),
        "scope": _scope(one.scope),
        "url": _url(one),
        "percent": min(100, round(100 * one.running / one.at_once)),
        "set_by": one.set_by.partition(":")[2],
        "queued_url": f"{reverse('operations')}?state=queued{_narrow(one)}",
        "running_url": f"{reverse('operations')}?state=running,waiting,cancelling,needs_attention{_narrow(one)}",
        "edit_url": reverse("limit", args=[one.scope, one.key]),
        "may_change": may_change,
    }


def _scope(scope: str) -> str:
    return {"overall": _("Overall"), "cluster": _("Cluster"), "pool": _("Pool")}[scope]


def _name(one: LimitNow) -> str:
    if one.scope == "overall":
        return _("All operations")
    return one.name or _("Nodes without a pool")


def _url(one: LimitNow) -> str:
    if one.is_gone or one.scope == "overall":
        return ""
    if not one.name:
        return nodes_url(has_pool="false")
    return reverse("nodes:pool" if one.scope == "pool" else "nodes:cluster", args=[one.name])


def _narrow(one: LimitNow) -> str:
    return f"&{one.scope}={one.name}" if one.name else ""


@require_http_methods(["GET", "HEAD", "POST"])
@needs("operations.configure")
def limit_edit(request: HttpRequest, scope: str, name: str) -> HttpResponse:
    """Change one limit; `reset` puts the default back."""
    principal = principal_of(request)
    try:
        one = limit_at(principal, scope, name)
    except NotFound as error:
        raise Http404(str(error)) from error
    pools = dict(Pool.objects.visible_to(principal).filter(name=one.name).values_list("name", "pk"))
    if not _may_change(principal, one, pools):
        raise PermissionDenied(PERMISSION)
    given = request.POST.copy()
    is_reset = "reset" in given
    if is_reset:
        given["at_once"] = str(one.default)
    form = LimitForm(given if request.method == "POST" else None, initial={"at_once": one.at_once})

    def save(values: dict[str, Any]) -> HttpResponse:
        at_once = None if is_reset else values["at_once"]
        told = {"at_once": at_once, "reason": values["reason"], "actor": principal, "now": clock.now()}
        set_limit(scope=one.scope, name=one.name, **told)
        said = {"name": _name(one), "n": one.default if is_reset else at_once}
        messages.info(request, _("%(name)s: %(n)s at once from the next start on.") % said)
        return redirect("limits")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    return render(request, "ops/limit.html", {"form": form, **_row(one, True)}, status=status)  # noqa: FBT003
