"""Clusters: the list with counts, one cluster with its pools and its troubles, and the forms."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from fleetui.core.templatetags.ui_words import level_of, word_of
from nodes.forms import ClusterForm
from nodes.models import Cluster, Pool, Tally
from nodes.releases.versions import version_key
from nodes.services import groups
from nodes.services.clusters import KUBELET, ClusterCounts, cluster_counts
from nodes.services.history import history
from nodes.services.stats import attention, version_ages
from nodes.views.extras import cluster_extras_for
from nodes.views.group_words import phrase
from nodes.views.links import axis_bars, nodes_url
from nodes.views.over_time import range_links, range_of, versions_chart, versions_of
from nodes.views.pools import BEHIND_STATES, group_tabs
from nodes.views.subject import principal_of

#: Versions named in a row of a list; its page has them all.
MOST_VERSIONS = 3


def _cluster(request: HttpRequest, name: str) -> Cluster:
    principal = principal_of(request)
    cluster: Cluster | None = Cluster.objects.visible_to(principal).filter(name=name.replace("\0", "")).first()
    if cluster is None:
        raise Http404(name)
    if not principal.may("clusters.write"):
        raise PermissionDenied("clusters.write")
    return cluster


@require_safe
@needs("clusters.read")
def cluster_list(request: HttpRequest) -> HttpResponse:
    """Every cluster with its counts. The number of queries is the same for every fleet."""
    principal = principal_of(request)
    clusters = list(Cluster.objects.visible_to(principal).order_by("name"))
    counts = cluster_counts(principal, [row.pk for row in clusters])
    pools = Pool.objects.visible_to(principal).order_by().exclude(cluster=None)
    pool_counts = dict(pools.values_list("cluster_id").annotate(count=Count("pk")))
    context = {
        "rows": [
            {
                "cluster": row,
                "counts": counts[row.pk],
                "pools": pool_counts.get(row.pk, 0),
                "behind": sum(counts[row.pk].axes["update_state"].get(state, 0) for state in BEHIND_STATES),
                "nodes_url": nodes_url(cluster=row.name),
                "attention_url": nodes_url(cluster=row.name, needs_attention="true"),
                "behind_url": nodes_url(cluster=row.name, update_state=",".join(BEHIND_STATES)),
                "versions": _versions(row, counts[row.pk])[:MOST_VERSIONS],
                "more_versions": max(0, len(counts[row.pk].versions) - MOST_VERSIONS),
                "kubelets": _kubelets(row, counts[row.pk])[:MOST_VERSIONS],
                "more_kubelets": max(0, len(counts[row.pk].kubelets) - MOST_VERSIONS),
            }
            for row in clusters
        ],
        "tabs": group_tabs(request),
        "may_add": principal.may("clusters.write"),
    }
    return render(request, "nodes/clusters.html", context)


@require_safe
@needs("clusters.read")
def cluster_page(request: HttpRequest, name: str) -> HttpResponse:
    """One cluster: its states, what needs attention, its pools, versions and kubelets."""
    principal = principal_of(request)
    cluster: Cluster | None = Cluster.objects.visible_to(principal).filter(name=name.replace("\0", "")).first()
    if cluster is None:
        raise Http404(name)
    counts = cluster_counts(principal, [cluster.pk])[cluster.pk]
    pools = list(Pool.objects.visible_to(principal).filter(cluster=cluster).order_by("name"))
    reach = range_of(request.GET)
    past = history(principal, kinds=["version"], reach=reach, pools=pools, now=clock.now())
    filters = {"cluster": cluster.name}
    context = {
        "cluster": cluster,
        "counts": counts,
        "bars": axis_bars(counts.axes, cluster=cluster.name),
        "attention": _attention(principal, cluster),
        "pools": _pools(principal, pools),
        "versions": _versions(cluster, counts),
        "kubelets": _kubelets(cluster, counts),
        "ranges": range_links(request.GET),
        "over_time": versions_chart(
            version_ages(principal, versions_of(past)),
            past,
            filters,
            ident="over-time",
            url=f"{reverse('nodes:history')}?{urlencode({**filters, 'range': reach.name})}",
        ),
        "nodes_url": nodes_url(cluster=cluster.name),
        "attention_url": nodes_url(cluster=cluster.name, needs_attention="true"),
        "may_write": principal.may("clusters.write"),
        **cluster_extras_for(principal, cluster, request.GET),
    }
    return render(request, "nodes/cluster.html", context)


def _attention(principal: Principal, cluster: Cluster) -> list[dict[str, Any]]:
    """Groups of nodes by their trouble, as the overview has them."""
    items = []
    for one in attention(principal, cluster=cluster).troubles:
        text = phrase(one.reason, one.details) if one.reason else word_of(one.axis, one.value)
        query = {"cluster": cluster.name, "lifecycle": "active", one.axis: one.value, "reason": one.reason}
        items.append(
            {
                "level": "warn" if one.value == "never_seen" else level_of(one.axis, one.value),
                "count": one.count,
                "text": text[:1].upper() + text[1:],
                "since": one.since,
                "url": nodes_url(**query),
            }
        )
    return items


def _pools(principal: Principal, pools: list[Pool]) -> list[dict[str, Any]]:
    """Pools with their nodes and what runs most in each. One query of the tally."""
    nodes: Counter[Any] = Counter()
    versions: dict[Any, Counter[str]] = {}
    tally = Tally.objects.visible_to(principal).filter(pool__in=pools, kind__in=("lifecycle", "version"))
    for pool_id, kind, value, count in tally.sums("pool_id", "kind", "value"):
        if kind == "version":
            versions.setdefault(pool_id, Counter())[value] = count
        elif value != "retired":
            nodes[pool_id] += count
    return [
        {
            "pool": pool,
            "nodes": nodes[pool.pk],
            "nodes_url": nodes_url(pool=pool.name),
            "versions": [
                {"version": version, "count": count, "url": nodes_url(pool=pool.name, version=version or "unknown")}
                for version, count in versions.get(pool.pk, Counter()).most_common(MOST_VERSIONS)
            ],
            "more_versions": max(0, len(versions.get(pool.pk, ())) - MOST_VERSIONS),
        }
        for pool in pools
    ]


def _versions(cluster: Cluster, counts: ClusterCounts) -> list[dict[str, Any]]:
    return [
        {
            "version": version,
            "count": counts.versions[version],
            "url": nodes_url(cluster=cluster.name, version=version or "unknown"),
        }
        for version in sorted(counts.versions, key=version_key, reverse=True)
    ]


def _kubelets(cluster: Cluster, counts: ClusterCounts) -> list[dict[str, Any]]:
    return [
        {
            "version": version,
            "count": counts.kubelets[version],
            "url": nodes_url(cluster=cluster.name, fact=f"{KUBELET}={version}"),
        }
        for version in sorted(counts.kubelets, key=version_key, reverse=True)
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.write")
def cluster_add(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    if not principal.may("clusters.write"):
        raise PermissionDenied("clusters.write")
    form = ClusterForm(request.POST or None)

    def add(given: dict[str, Any]) -> HttpResponse:
        name, description = given["name"], given["description"]
        groups.add_cluster(name=name, description=description, actor=principal, now=clock.now())
        messages.info(request, _("The cluster %(name)s was added. Put pools into it on their pages.") % {"name": name})
        return redirect("nodes:clusters")

    answer, status = submitted(request, form, add)
    if answer:
        return answer
    context = {
        "form": form,
        "title": _("Add cluster"),
        "button": _("Add cluster"),
        "back_url": reverse("nodes:clusters"),
    }
    return render(request, "nodes/pool_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.write")
def cluster_edit(request: HttpRequest, name: str) -> HttpResponse:
    principal, cluster = principal_of(request), _cluster(request, name)
    form = ClusterForm(request.POST or None, instance=_cluster(request, name))

    def edit(given: dict[str, Any]) -> HttpResponse:
        changes = {field: given[field] for field in ("name", "description")}
        groups.edit_cluster(
            cluster=cluster, changes=changes, actor=principal, now=clock.now(), expected_revision=given["revision"]
        )
        messages.info(request, _("The cluster %(name)s was changed.") % {"name": cluster.name})
        return redirect("nodes:clusters")

    answer, status = submitted(request, form, edit)
    if answer:
        return answer
    context = {
        "form": form,
        "title": _("Edit cluster"),
        "button": _("Save cluster"),
        "back_url": reverse("nodes:clusters"),
        "cluster": cluster,
        "is_stale": status == 412,
    }
    return render(request, "nodes/pool_form.html", context, status=status)


@require_POST
@needs("clusters.write")
def cluster_delete(request: HttpRequest, name: str) -> HttpResponse:
    cluster = _cluster(request, name)
    try:
        groups.delete_cluster(cluster=cluster, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:cluster_edit", name=name)
    messages.info(request, _("The cluster %(name)s was deleted.") % {"name": name})
    return redirect("nodes:clusters")
