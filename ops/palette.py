"""What the palette finds, as JSON: pages, nodes, groups, Ignition configs, saved views, and what can be done, by the rights of who asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from nodes.models import Cluster, IgnitionConfig, Node, Pool
from nodes.views.saved_views import seen_by, view_url

NODES_SHOWN = 12
OTHERS_SHOWN = 5
_MOST_CHARS = 200


@dataclass(frozen=True)
class Place:
    """A page or form that stands below no node. The rail is known to the page itself."""

    label: Any
    address: str
    permission: str
    is_action: bool = False


PLACES = (
    Place(gettext_lazy("Add node"), "nodes:add", "nodes.write", is_action=True),
    Place(gettext_lazy("Import nodes"), "nodes:import", "nodes.write", is_action=True),
    Place(gettext_lazy("Add pool"), "nodes:pool_add", "pools.write", is_action=True),
    Place(gettext_lazy("Add cluster"), "nodes:cluster_add", "clusters.write", is_action=True),
    Place(gettext_lazy("Add credential"), "nodes:credential_add", "credentials.write", is_action=True),
    Place(gettext_lazy("Add Ignition config"), "nodes:ignition_add", "ignition.edit", is_action=True),
    Place(gettext_lazy("Import releases"), "nodes:releases_import", "releases.write", is_action=True),
    Place(gettext_lazy("Make a token"), "access:token_add", "tokens.own", is_action=True),
    Place(gettext_lazy("Add user"), "access:user_add", "users.write", is_action=True),
    Place(gettext_lazy("Compare nodes"), "nodes:compare", "nodes.read", is_action=True),
    Place(gettext_lazy("Choose columns of the nodes list"), "nodes:columns", "nodes.read", is_action=True),
    Place(gettext_lazy("Operations"), "operations", "operations.read"),
    Place(gettext_lazy("Approvals"), "approvals", "operations.read"),
    Place(gettext_lazy("Limits of operations"), "limits", "operations.read"),
    Place(gettext_lazy("Approval rules"), "approval_rules", "operations.read"),
    Place(gettext_lazy("Schedules"), "schedules", "operations.read"),
    Place(gettext_lazy("Held versions"), "version_holds", "operations.read"),
    Place(gettext_lazy("Host keys"), "nodes:host_keys", "nodes.accept_key"),
    Place(gettext_lazy("Duplicates"), "nodes:duplicates", "nodes.read"),
    Place(gettext_lazy("Jump hosts"), "nodes:jump_hosts", "credentials.read"),
    Place(gettext_lazy("Calendar of certificates"), "nodes:certificate_calendar", "nodes.read"),
    Place(gettext_lazy("Saved views"), "nodes:views", "nodes.read"),
    Place(gettext_lazy("Versions and states over time"), "nodes:history", "nodes.read"),
    Place(gettext_lazy("Timeline of all nodes"), "nodes:timeline", "nodes.read"),
    Place(gettext_lazy("Clusters"), "nodes:clusters", "clusters.read"),
    Place(gettext_lazy("Retention"), "access:retention", "settings.read"),
    Place(gettext_lazy("Streams and releases"), "nodes:releases", "releases.read"),
    Place(gettext_lazy("Users"), "access:users", "users.read"),
    Place(gettext_lazy("Notifications"), "notifications", "settings.write"),
    Place(gettext_lazy("Provisioners"), "provisioners", "settings.write"),
    Place(gettext_lazy("Health of FleetUI"), "health", "health.read"),
    Place(gettext_lazy("Preferences"), "access:preferences", "nodes.read"),
    Place(gettext_lazy("REST API"), "api:docs", "nodes.read"),
)


@require_safe
@needs("nodes.read")
def palette(request: HttpRequest) -> HttpResponse:
    """`q` is what was typed, `at` the address of the page. Eight queries at most, each of a few rows, whatever the fleet."""
    principal: Principal = request.principal  # type: ignore[attr-defined]
    text = request.GET.get("q", "").strip()[:_MOST_CHARS].replace("\0", "")
    here = _node_at(principal, request.GET.get("at", ""))
    nodes = list(_nodes(principal, text))
    groups = list(_groups(principal, text)) if text else []
    # Every node of a cluster answers to its name: who types it whole means the cluster itself.
    is_named = any(one["label"].lower() == text.lower() for one in groups)
    found = [*groups, *nodes] if is_named else [*nodes, *groups]
    results = [*_here(principal, here, text), *found, *(_views(principal, text) if text else ())]
    return JsonResponse({"results": [*results, *_places(principal, text)]})


def _matches(text: str, *labels: str) -> bool:
    """Whether every word that was typed stands in one of the labels."""
    held = " ".join(labels).lower()
    return all(word in held for word in text.lower().split())


def _node_at(principal: Principal, address: str) -> Node | None:
    """The node whose page one looks at."""
    path = unquote(address.partition("?")[0])
    try:
        found = resolve(path)
    except Resolver404:
        return None
    if found.namespace != "nodes" or found.url_name not in ("detail", "edit") or "name" not in found.kwargs:
        return None
    name = str(found.kwargs["name"]).replace("\0", "")
    rows = Node.objects.visible_to(principal).named(name).only("name", "lifecycle", "pool_id")
    return next(iter(rows[:1]), None)


def _here(principal: Principal, node: Node | None, text: str) -> Iterator[dict[str, Any]]:
    """What can be done with the node that one looks at."""
    if node is None:
        return
    group = node.name
    for label, given in _deeds(principal, node):
        if _matches(text, label, node.name):
            yield {"label": label, "group": group, "here": True, **given}


def _deeds(principal: Principal, node: Node) -> Iterator[tuple[str, dict[str, Any]]]:
    name = {"name": node.name}
    lifecycle = reverse("nodes:lifecycle", args=[node.name])
    if principal.may("nodes.poll", node) and node.lifecycle != "retired":
        yield _("Poll %(name)s now") % name, _post(reverse("nodes:poll", args=[node.name]))
    if principal.may("nodes.write", node):
        if node.lifecycle == "active":
            label = _("Put %(name)s into maintenance") % name
            effect = _("It is polled on, but raises no alarm and is left out of what needs attention.")
            yield label, _post(lifecycle, lifecycle="maintenance", confirm=label, effect=effect)
        elif node.lifecycle == "maintenance":
            yield _("End the maintenance of %(name)s") % name, _post(lifecycle, lifecycle="active")
        yield _("Edit %(name)s") % name, {"url": reverse("nodes:edit", args=[node.name])}
    yield (
        _("Compare %(name)s with another node") % name,
        {"url": f"{reverse('nodes:compare')}?{urlencode({'a': node.name})}"},
    )
    yield _("Timeline of %(name)s") % name, {"url": f"{reverse('nodes:detail', args=[node.name])}?tab=timeline"}


def _post(url: str, *, confirm: str = "", effect: str = "", **fields: str) -> dict[str, Any]:
    """What the page sends as a form, after asking when `confirm` is set."""
    return {"url": url, "method": "post", "fields": fields, "confirm": confirm, "effect": effect}


def _nodes(principal: Principal, text: str) -> Iterator[dict[str, Any]]:
    """Nodes whose name, address, labels or version hold every word; without one those that need attention.

    Whoever types an address whole means its node: 10.0.0.1 also stands in a hundred others.
    """
    columns = ("name", "address", "booted_version", "pool__name")
    nodes = Node.objects.visible_to(principal).counted().select_related("pool").order_by("name").only(*columns)
    found = nodes.search(text) if text else nodes.needing_attention()
    group = _("Nodes") if text else _("Nodes that need attention")
    meant = list(nodes.filter(Q(name=text) | Q(address=text))[:NODES_SHOWN]) if text else []
    named = {node.pk: node for node in (*meant, *found[:NODES_SHOWN])}
    for node in list(named.values())[:NODES_SHOWN]:
        parts = (node.pool.name if node.pool else "", node.address, node.booted_version)
        yield {
            "label": node.name,
            "url": reverse("nodes:detail", args=[node.name]),
            "hint": " · ".join(part for part in parts if part),
            "group": group,
        }


def _groups(principal: Principal, text: str) -> Iterator[dict[str, Any]]:
    if principal.may_somewhere("pools.read"):
        pools = Pool.objects.visible_to(principal).filter(name__icontains=text).order_by("name")
        for name in pools.values_list("name", flat=True)[:OTHERS_SHOWN]:
            yield {"label": name, "url": reverse("nodes:pool", args=[name]), "group": _("Pools")}
    if principal.may_somewhere("clusters.read"):
        clusters = Cluster.objects.visible_to(principal).filter(name__icontains=text).order_by("name")
        for name in clusters.values_list("name", flat=True)[:OTHERS_SHOWN]:
            yield {
                "label": name,
                "url": reverse("nodes:cluster", args=[name]),
                "group": _("Clusters"),
            }
    if principal.may_somewhere("ignition.read"):
        configs = IgnitionConfig.objects.visible_to(principal).filter(name__icontains=text).order_by("name")
        for name in configs.values_list("name", flat=True)[:OTHERS_SHOWN]:
            yield {"label": name, "url": reverse("nodes:ignition_config", args=[name]), "group": _("Ignition configs")}


def _views(principal: Principal, text: str) -> Iterator[dict[str, Any]]:
    for view in seen_by(principal).filter(name__icontains=text)[:OTHERS_SHOWN]:
        hint = _("Shared by %(owner)s") % {"owner": view.owner.username} if view.is_shared else ""
        yield {"label": view.name, "url": view_url(view), "hint": hint, "group": _("Saved views")}


def _places(principal: Principal, text: str) -> list[dict[str, Any]]:
    """Actions first; without words the actions alone."""
    return [
        {
            "label": str(place.label),
            "url": reverse(place.address),
            "group": _("Actions") if place.is_action else _("Pages"),
        }
        for place in sorted(PLACES, key=lambda place: not place.is_action)
        if principal.may_somewhere(place.permission) and (_matches(text, str(place.label)) if text else place.is_action)
    ]
