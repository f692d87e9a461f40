"""The node that an address names: 404 for what the principal may not see, 403 for what it may see but not do."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import get_script_prefix, reverse
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from nodes.models import Node
from nodes.querysets import IgnitionVersionQuerySet


def principal_of(request: HttpRequest) -> Principal:
    found: Principal = request.principal  # type: ignore[attr-defined]
    return found


def visible_node(request: HttpRequest, name: str) -> Node:
    """The node of this name or id, with what its pages always need."""
    nodes = Node.objects.visible_to(principal_of(request)).named(name.replace("\0", ""))
    related = ("pool__cluster", "pool__credential", "pool__jump_host", "credential", "jump_host")
    versions = ("applied_version", "pool__intended_version")
    heavy = [f"{version}__{column}" for version in versions for column in IgnitionVersionQuerySet.HEAVY]
    nodes = nodes.select_related(*related, *(f"{version}__config" for version in versions)).defer(*heavy)
    found = list(nodes[:2])
    exact = [one for one in found if one.name == name] or found
    if not exact:
        raise Http404(name)
    node: Node = exact[0]
    return node


def node_for(request: HttpRequest, name: str, permission: str) -> Node:
    """The node, when the principal holds the permission on it."""
    node = visible_node(request, name)
    if not principal_of(request).may(permission, node):
        raise PermissionDenied(permission)
    return node


def node_url(name: str) -> str:
    """The page of a node. Names hold nothing that an address would have to quote."""
    return _node_url(get_script_prefix()).replace("NAME", name)


@lru_cache
def _node_url(_prefix: str) -> str:
    return reverse("nodes:detail", args=["NAME"])


def way_tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """How nodes are reached: the credentials, and the jump hosts beside them."""
    here = request.path
    pages = ((_("Credentials"), reverse("nodes:credentials")), (_("Jump hosts"), reverse("nodes:jump_hosts")))
    return [{"label": label, "url": url, "active": here == url} for label, url in pages]
