"""Forms of clusters. Their list stands on the page of the pools."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, take_error
from nodes.forms import ClusterForm
from nodes.models import Cluster
from nodes.services import groups
from nodes.views.subject import principal_of


def _cluster(request: HttpRequest, name: str) -> Cluster:
    principal = principal_of(request)
    cluster: Cluster | None = Cluster.objects.visible_to(principal).filter(name=name.replace("\0", "")).first()
    if cluster is None:
        raise Http404(name)
    if not principal.may("clusters.write"):
        raise PermissionDenied("clusters.write")
    return cluster


@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.write")
def cluster_add(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    if not principal.may("clusters.write"):
        raise PermissionDenied("clusters.write")
    form = ClusterForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            name, description = form.cleaned_data["name"], form.cleaned_data["description"]
            try:
                groups.add_cluster(name=name, description=description, actor=principal, now=clock.now())
            except FleetError as error:
                status = take_error(form, error)
            else:
                messages.info(
                    request, _("The cluster %(name)s was added. Put pools into it on their pages.") % {"name": name}
                )
                return redirect("nodes:pools")
    context = {"form": form, "title": _("Add cluster"), "button": _("Add cluster"), "back_url": reverse("nodes:pools")}
    return render(request, "nodes/pool_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.write")
def cluster_edit(request: HttpRequest, name: str) -> HttpResponse:
    principal, cluster = principal_of(request), _cluster(request, name)
    form = ClusterForm(request.POST or None, instance=_cluster(request, name))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            changes = {field: form.cleaned_data[field] for field in ("name", "description")}
            revision = form.cleaned_data["revision"]
            try:
                groups.edit_cluster(
                    cluster=cluster, changes=changes, actor=principal, now=clock.now(), expected_revision=revision
                )
            except FleetError as error:
                status = take_error(form, error)
            else:
                messages.info(request, _("The cluster %(name)s was changed.") % {"name": cluster.name})
                return redirect("nodes:pools")
    context = {
        "form": form,
        "title": _("Edit cluster"),
        "button": _("Save cluster"),
        "back_url": reverse("nodes:pools"),
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
    return redirect("nodes:pools")
