"""The list of Ignition configs, and one config with its versions, its pools and the nodes that were born with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, F, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from nodes.models import GitFollow, IgnitionConfig, IgnitionVersion, Node, Pool
from nodes.services.ignition import rights
from nodes.views.ignition.subject import version_url, versions_light, visible_config
from nodes.views.ignition.words import author_of, state_of
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of

VERSIONS_PER_PAGE = 50


@require_safe
@needs("ignition.read")
def config_list(request: HttpRequest) -> HttpResponse:
    """Every config with its newest version, who waits for review, and how many nodes were born with it."""
    principal = principal_of(request)
    configs = list(
        IgnitionConfig.objects.visible_to(principal)
        .annotate(
            approved=Max("versions__number", filter=Q(versions__state="approved")),
            waiting=Count("versions", filter=Q(versions__state="in_review"), distinct=True),
        )
        .order_by("name")
    )
    ids = [config.pk for config in configs]
    newest = {
        version.config_id: version
        for version in IgnitionVersion.objects.light().filter(config__in=ids, number=F("config__last_number"))
    }
    pools = _pools_by_config(principal, ids)
    born = _born(principal, ids, "applied_version__config")
    rows = []
    for config in configs:
        version = newest.get(config.pk)
        if version is not None:
            version.config = config
        rows.append(
            {
                "config": config,
                "version": version,
                "url": version_url(version) if version else "",
                "state": state_of(version) if version else None,
                "author": author_of(version) if version else "",
                "pools": pools.get(config.pk, []),
                "born": born.get(config.pk, 0),
                "born_url": nodes_url(ignition=config.name),
            }
        )
    context = {"rows": rows, "may_add": principal.may_somewhere("ignition.edit")}
    return render(request, "nodes/ignition/list.html", context)


def _pools_by_config(principal: Principal, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """The pools that one may see, by config, with the number of the version that each should have."""
    found: dict[uuid.UUID, list[dict[str, Any]]] = {}
    pools = Pool.objects.visible_to(principal).filter(ignition_configs__in=ids).order_by("name")
    columns = ("ignition_configs", "name", "intended_version__number", "intended_version__config")
    for config_id, name, number, intended in pools.values_list(*columns):
        intends = number if intended == config_id else None
        found.setdefault(config_id, []).append({"name": name, "number": intends})
    return found


def _born(principal: Principal, ids: Iterable[uuid.UUID], column: str) -> dict[uuid.UUID, int]:
    """Nodes that were provisioned with a version, counted by config or version; retired ones are history."""
    nodes = Node.objects.visible_to(principal).counted().filter(**{f"{column}__in": list(ids)}).order_by()
    return dict(nodes.values_list(column).annotate(count=Count("pk")))


@require_safe
@needs("ignition.read")
def config_page(request: HttpRequest, name: str) -> HttpResponse:
    """One config: its versions, the newest first, and the pools that it is for."""
    principal = principal_of(request)
    config = visible_config(request, name)
    page = Paginator(versions_light(config).order_by("-number"), VERSIONS_PER_PAGE).get_page(request.GET.get("page"))
    versions = list(page.object_list)
    born = _born(principal, [version.pk for version in versions], "applied_version")
    pools = _pools(principal, config)
    rows = []
    for version in versions:
        version.config = config
        rows.append(
            {
                "version": version,
                "url": version_url(version),
                "state": state_of(version),
                "author": author_of(version),
                "pools": [pool["name"] for pool in pools if pool["number"] == version.number],
                "born": born.get(version.pk, 0),
                "born_url": nodes_url(ignition=f"{config.name}/{version.number}"),
            }
        )
    context = {
        "config": config,
        "rows": rows,
        "page": page,
        "pools": pools,
        "may_edit": rights.may(principal, "ignition.edit", config),
        "follows": GitFollow.objects.filter(config=config).exists(),
        "write_url": reverse("nodes:ignition_write", args=[config.name]),
    }
    return render(request, "nodes/ignition/config.html", context)


def _pools(principal: Principal, config: IgnitionConfig) -> list[dict[str, Any]]:
    """The visible pools of the config: what each should have, and how many of its nodes have something else."""
    pools = (
        Pool.objects.visible_to(principal)
        .filter(ignition_configs=config)
        .select_related("intended_version__config")
        .annotate(
            node_count=Count("nodes", filter=~Q(nodes__lifecycle="retired")),
            in_step=Count(
                "nodes",
                filter=~Q(nodes__lifecycle="retired") & Q(nodes__applied_version=F("intended_version")),
            ),
        )
        .order_by("name")
    )
    found = []
    for pool in pools:
        intended = pool.intended_version
        is_ours = intended is not None and intended.config_id == config.pk
        found.append(
            {
                "pool": pool,
                "name": pool.name,
                "number": intended.number if is_ours else None,
                "other": intended if intended is not None and not is_ours else None,
                "url": reverse("nodes:pool_ignition", args=[pool.name]),
                "may_intend": principal.may("ignition.intend", pool),
                "title": _("Nodes of %(pool)s") % {"pool": pool.name},
            }
        )
    return found
