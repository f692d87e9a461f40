"""Pools: the list with its clusters, one pool, and its forms."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.models import RoleBinding
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.charts import Chart
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from fleetui.core.templatetags.ui_words import STATES
from nodes.forms import PoolForm
from nodes.models import Credential, JumpHost, Node, Pool
from nodes.querysets import IgnitionVersionQuerySet, needing_attention
from nodes.releases.versions import version_key
from nodes.services import groups, rotation
from nodes.services.enrolment import holds
from nodes.services.history import history
from nodes.services.provisioning.offer import NEEDED as PROVISION_NEEDS
from nodes.services.routes import authority_keys
from nodes.services.stats import AXES, version_ages
from nodes.views import enrolment_words as enrolment
from nodes.views.extras import pool_extras_for
from nodes.views.links import axis_bars, nodes_url
from nodes.views.over_time import range_links, range_of, versions_chart, versions_of
from nodes.views.pool_token_words import pool_tokens_of
from nodes.views.subject import principal_of
from nodes.views.support import support_words

FIELDS = PoolForm.Meta.fields
_IN_USE = ~Q(nodes__lifecycle="retired") & Q(nodes__isnull=False)
BEHIND_STATES = ("update_available", "staged", "reboot_pending", "deferred")
_BEHIND = Q(nodes__update_state__in=BEHIND_STATES)


def group_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Pools and clusters stand side by side."""
    known = [(reverse("nodes:pools"), _("Pools")), (reverse("nodes:clusters"), _("Clusters"))]
    return [{"url": url, "label": label, "active": request.path == url} for url, label in known]


@require_safe
@needs("pools.read")
def pool_list(request: HttpRequest) -> HttpResponse:
    """Every pool with its counts."""
    principal = principal_of(request)
    pools = list(
        Pool.objects.visible_to(principal)
        .select_related("cluster")
        .annotate(
            node_count=Count("nodes", filter=_IN_USE),
            trouble_count=Count("nodes", filter=needing_attention("nodes__")),
            behind_count=Count("nodes", filter=_BEHIND & _IN_USE),
        )
        .order_by("name")
    )
    credentials = dict(Credential.objects.visible_to(principal).values_list("pk", "name"))
    for pool in pools:
        pool.nodes_url = nodes_url(pool=pool.name)
        pool.trouble_url = nodes_url(pool=pool.name, needs_attention="true")
        pool.behind_url = f"{pool.nodes_url}&update_state={','.join(BEHIND_STATES)}"
        pool.credential_name = credentials.get(pool.credential_id, "")
    loose = Node.objects.visible_to(principal).counted().filter(pool=None).count()
    context = {
        "pools": pools,
        "tabs": group_tabs(request),
        "loose": loose,
        "loose_url": nodes_url(has_pool="false"),
        "interval_s": settings.POLL_INTERVAL_S,
        "may_add": principal.may("pools.write"),
    }
    return render(request, "nodes/pools.html", context)


def visible_pool(request: HttpRequest, name: str, permission: str = "") -> Pool:
    """404 for what the principal may not see, 403 for what it may not do."""
    principal = principal_of(request)
    pools = (
        Pool.objects.visible_to(principal)
        .select_related("cluster", "credential", "jump_host", "next_credential", "intended_version__config")
        .defer(*(f"intended_version__{name}" for name in IgnitionVersionQuerySet.HEAVY))
    )
    pool: Pool | None = pools.filter(name=name.replace("\0", "")).first()
    if pool is None:
        raise Http404(name)
    if permission and not principal.may(permission, pool):
        raise PermissionDenied(permission)
    return pool


@require_safe
@needs("pools.read")
def pool_page(request: HttpRequest, name: str) -> HttpResponse:
    """One pool: its three axes, the versions that run, and how its nodes are reached."""
    principal = principal_of(request)
    pool = visible_pool(request, name)
    members = Node.objects.visible_to(principal).filter(pool=pool)
    retired = members.filter(lifecycle="retired").count()
    credential = Credential.objects.visible_to(principal).filter(pk=pool.credential_id).first()
    context = {
        "pool": pool,
        "credential": credential,
        "jump_host": JumpHost.objects.visible_to(principal).filter(pk=pool.jump_host_id).first(),
        "authorities": authority_keys(pool.host_ca_keys),
        "trials": rotation.progress(pool),
        "bars": _bars(pool, members.counted()),
        "total": members.counted().count(),
        "retired": retired,
        "retired_url": nodes_url(pool=pool.name, lifecycle="retired"),
        "nodes_url": nodes_url(pool=pool.name),
        "versions": _versions(principal, pool, members.counted()),
        "ranges": range_links(request.GET),
        "over_time": _over_time(request, pool),
        "people": RoleBinding.objects.visible_to(principal).filter(pool=pool).select_related("user")
        if principal.may("users.read")
        else [],
        "interval_s": pool.poll_interval_s or settings.POLL_INTERVAL_S,
        "may_write": principal.may("pools.write", pool),
        "may_see_ignition": principal.may("ignition.read", pool),
        "may_add_node": principal.may("nodes.write", pool),
        "tokens": enrolment.tokens_of(pool, clock.now()),
        "may_enrol": enrolment.may_enrol(principal, pool),
        "pool_tokens": pool_tokens_of(pool, clock.now()) if principal.may("ignition.read", pool) else [],
        "may_provision": all(principal.may(one, pool) for one in PROVISION_NEEDS),
        "may_revoke": principal.may("nodes.write", pool),
        "hold": next((hold for hold in holds(clock.now()) if hold.pool_id == pool.pk), None),
        "absent_url": nodes_url(pool=pool.name, reachability="unreachable"),
        "add_url": f"{reverse('nodes:add')}?{urlencode({'pool': pool.name})}",
        **pool_extras_for(principal, pool),
    }
    return render(request, "nodes/pool.html", context)


def _over_time(request: HttpRequest, pool: Pool) -> Chart:
    principal, reach = principal_of(request), range_of(request.GET)
    past = history(principal, kinds=["version"], reach=reach, pools=[pool], now=clock.now())
    url = f"{reverse('nodes:history')}?{urlencode({'pool': pool.name, 'range': reach.name})}"
    return versions_chart(
        version_ages(principal, versions_of(past)), past, {"pool": pool.name}, ident="over-time", url=url
    )


def _bars(pool: Pool, members: Any) -> list[dict[str, Any]]:
    counts = {axis: dict.fromkeys(STATES[axis], 0) for axis in AXES}
    for row in members.order_by().values(*counts).annotate(count=Count("pk")):
        for axis, values in counts.items():
            values[row[axis]] = values.get(row[axis], 0) + row["count"]
    return axis_bars(counts, pool=pool.name)


def _versions(principal: Principal, pool: Pool, members: Any) -> list[dict[str, Any]]:
    """Versions that run in the pool, newest first, as old as the overview says."""
    today = clock.now()
    rows = members.order_by().values("booted_version").annotate(count=Count("pk"))
    found = sorted(rows, key=lambda row: version_key(row["booted_version"]), reverse=True)
    ages = {one.version: one for one in version_ages(principal, [row["booted_version"] for row in found])}
    return [
        {
            "version": row["booted_version"],
            "count": row["count"],
            "age_days": (today - released).days if (released := ages[row["booted_version"]].released_at) else None,
            **support_words(ages[row["booted_version"]].support_ends_on, today),
            "url": nodes_url(pool=pool.name, version=row["booted_version"]) if row["booted_version"] else "",
        }
        for row in found
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def pool_add(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    if not principal.may("pools.write"):
        raise PermissionDenied("pools.write")
    form = PoolForm(request.POST or None, principal=principal)

    def add(given: dict[str, Any]) -> HttpResponse:
        values = {name: given[name] for name in FIELDS}
        pool = groups.add_pool(**values, actor=principal, now=clock.now())
        messages.info(request, _("The pool %(name)s was added.") % {"name": pool.name})
        return redirect("nodes:pool", name=pool.name)

    answer, status = submitted(request, form, add)
    if answer:
        return answer
    context = {"form": form, "title": _("Add pool"), "button": _("Add pool"), "back_url": reverse("nodes:pools")}
    return render(request, "nodes/pool_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def pool_edit(request: HttpRequest, name: str) -> HttpResponse:
    """A change that somebody else made meanwhile is not overwritten."""
    principal = principal_of(request)
    pool = visible_pool(request, name, "pools.write")
    form = PoolForm(request.POST or None, instance=visible_pool(request, name), principal=principal)

    def edit(given: dict[str, Any]) -> HttpResponse:
        changes = {field: given[field] for field in FIELDS if field in given}
        revision = given["revision"]
        groups.edit_pool(pool=pool, changes=changes, actor=principal, now=clock.now(), expected_revision=revision)
        messages.info(request, _("The pool %(name)s was changed.") % {"name": pool.name})
        return redirect("nodes:pool", name=pool.name)

    answer, status = submitted(request, form, edit)
    if answer:
        return answer
    context = {
        "form": form,
        "pool_name": name,
        "title": _("Edit pool"),
        "button": _("Save pool"),
        "back_url": reverse("nodes:pool", args=[name]),
        "is_stale": status == 412,
    }
    return render(request, "nodes/pool_form.html", context, status=status)


@require_POST
@needs("pools.write")
def pool_delete(request: HttpRequest, name: str) -> HttpResponse:
    pool = visible_pool(request, name, "pools.write")
    try:
        groups.delete_pool(pool=pool, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:pool", name=name)
    messages.info(request, _("The pool %(name)s was deleted.") % {"name": name})
    return redirect("nodes:pools")
