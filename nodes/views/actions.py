"""What people do to one node: poll it, take it out of service and back, decide about its key, delete it. POST only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from nodes.models import HostKey, Node
from nodes.services import host_keys
from nodes.services import nodes as services
from nodes.views.subject import node_for, principal_of

MAX_REASON = 300
MAINTENANCE_HOURS = ("1", "4", "24", "168")


def reason_of(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:MAX_REASON]


def end_of(request: HttpRequest) -> datetime | None:
    """When a maintenance ends: hours from now, or nothing."""
    hours = request.POST.get("hours", "")
    return clock.now() + timedelta(hours=int(hours)) if hours in MAINTENANCE_HOURS else None


def say_problem(request: HttpRequest, error: FleetError) -> None:
    messages.error(request, f"{error.message} {error.mend}".strip())


def _back(node: Node, **query: str) -> HttpResponseRedirect:
    url = reverse("nodes:detail", args=[node.name])
    return HttpResponseRedirect(f"{url}?tab={query['tab']}" if query else url)


@require_POST
@needs("nodes.poll")
def poll(request: HttpRequest, name: str) -> HttpResponse:
    """Poll this node at once."""
    node = node_for(request, name, "nodes.poll")
    count = services.request_poll(nodes=Node.objects.filter(pk=node.pk), actor=principal_of(request), now=clock.now())
    if count:
        messages.info(request, _("%(name)s is polled now.") % {"name": node.name})
    else:
        messages.warning(request, _("%(name)s is retired, so it is not polled.") % {"name": node.name})
    return _back(node)


@require_POST
@needs("nodes.write")
def lifecycle(request: HttpRequest, name: str) -> HttpResponse:
    """Maintenance on and off, retire and restore."""
    node = node_for(request, name, "nodes.write")
    wanted = request.POST.get("lifecycle", "")
    said: dict[str, Any] = {
        "active": _("%(name)s is in service."),
        "maintenance": _("%(name)s is in maintenance: it raises no alarm until it is back in service."),
        "retired": _("%(name)s is retired: it is not contacted any more."),
    }
    try:
        services.set_lifecycle(
            node=node,
            lifecycle=wanted,
            reason=reason_of(request),
            until=end_of(request),
            actor=principal_of(request),
            now=clock.now(),
        )
    except FleetError as error:
        say_problem(request, error)
    else:
        messages.info(request, said[wanted] % {"name": node.name})
    return _back(node)


@require_POST
@needs("nodes.write")
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Forget the node, once its name was typed."""
    node = node_for(request, name, "nodes.write")
    if request.POST.get("confirm", "") != node.name:
        messages.error(
            request, _("The name was not typed as it is, so %(name)s was not deleted.") % {"name": node.name}
        )
        return _back(node)
    try:
        services.delete_node(node=node, reason=reason_of(request), actor=principal_of(request), now=clock.now())
    except FleetError as error:
        say_problem(request, error)
        return _back(node)
    messages.info(request, _("%(name)s was deleted. The audit log keeps that it was there.") % {"name": node.name})
    return redirect("nodes:list")


@require_POST
@needs("nodes.accept_key")
def decide_key(request: HttpRequest, name: str) -> HttpResponse:
    """Accept or refuse the key that was shown on the page; another one that the host offered since is not touched."""
    node = node_for(request, name, "nodes.accept_key")
    fingerprint = request.POST.get("fingerprint", "")
    key = (
        HostKey.objects.select_related("node")
        .filter(node=node, fingerprint=fingerprint, state__in=["offered", "refused"])
        .first()
    )
    if key is None:
        messages.error(request, _("This key is not offered any more. Compare the one that is offered now."))
        return _back(node, tab="host-key")
    key.node = node
    decide = {"accept": host_keys.accept_key, "refuse": host_keys.refuse_key}.get(request.POST.get("decision", ""))
    if decide is None:
        raise Http404(name)
    try:
        decide(host_key=key, actor=principal_of(request), now=clock.now(), reason=reason_of(request))
    except FleetError as error:
        say_problem(request, error)
        return _back(node, tab="host-key")
    if decide is host_keys.accept_key:
        messages.info(request, _("The host key of %(name)s is trusted; it is polled now.") % {"name": node.name})
        return _back(node)
    messages.info(request, _("The key was refused. %(name)s is not contacted with it.") % {"name": node.name})
    return _back(node, tab="host-key")


@require_POST
@needs("nodes.accept_key")
def forget_key(request: HttpRequest, name: str) -> HttpResponse:
    """Trust the pinned key no longer."""
    node = node_for(request, name, "nodes.accept_key")
    try:
        host_keys.forget_key(node=node, actor=principal_of(request), now=clock.now(), reason=reason_of(request))
    except FleetError as error:
        say_problem(request, error)
    else:
        messages.info(request, _("The key of %(name)s was forgotten; it is polled now.") % {"name": node.name})
    return _back(node, tab="host-key")
