"""The API of a cluster on the pages: how it is signed in to, what it says of its nodes, and the same on the page of a node."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from fleetui.core.templatetags.ui import changed_query
from nodes.models import Cluster, Node
from nodes.views.paging import Order, page_of
from nodes.views.subject import principal_of
from ops.kubernetes.access import MOST_CHARS
from ops.models import ClusterAccess, ClusterNode, Cordon
from ops.services.clusters.access import PERMISSION, delete_access, look_now, set_access
from ops.tasks import nudge_clusters
from ops.views.deployments import deployments_shown
from ops.views.issued import issued_shown
from ops.wording import kubernetes as words

PAGE_SIZE = 50
WAYS: dict[str, tuple[str, ...]] = {"kubeconfig": ("kubeconfig",), "token": ("server", "ca", "token")}
_SECRETS = ("kubeconfig", "token")


class NeverDrawn(forms.Textarea):
    """What was typed is not in the page that answers it."""

    def format_value(self, value: Any) -> None:
        return None


def _area(label: Any, rows: int, widget: type[forms.Textarea] = forms.Textarea, **more: Any) -> forms.CharField:
    attrs = {
        "rows": rows,
        "spellcheck": "false",
        "autocapitalize": "off",
        "autocomplete": "off",
        "class": "form-control ui-mono",
    }
    return forms.CharField(label=label, max_length=MOST_CHARS, widget=widget(attrs=attrs), **more)


class AccessForm(forms.Form):
    """One of the two ways to sign in. What was typed of a secret is not drawn again."""

    kubeconfig = _area(
        gettext_lazy("Kubeconfig"),
        14,
        NeverDrawn,
        help_text=gettext_lazy(
            "With everything in it, as <code>kubectl config view --raw --flatten --minify</code> prints it. "
            "It is sealed, and never shown again."
        ),
    )
    server = forms.CharField(
        label=gettext_lazy("Address of the API"),
        max_length=300,
        help_text=gettext_lazy("Such as <code>https://10.0.0.10:6443</code>."),
    )
    ca = _area(
        gettext_lazy("Certificate of the authority"),
        6,
        required=False,
        help_text=gettext_lazy("PEM. Without it the authorities of this machine count."),
    )
    token = forms.CharField(
        label=gettext_lazy("Token"),
        max_length=20_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Of a service account. It is sealed, and never shown again."),
    )

    def __init__(self, *args: Any, way: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {name for names in WAYS.values() for name in names} - set(WAYS[way]):
            del self.fields[name]


def _cluster(request: HttpRequest, name: str) -> Cluster:
    """404 for what the principal may not see, 403 for what it may not change."""
    principal = principal_of(request)
    found: Cluster | None = Cluster.objects.visible_to(principal).filter(name=name.replace("\0", "")).first()
    if found is None:
        raise Http404(name)
    if not principal.may(PERMISSION):
        raise PermissionDenied(PERMISSION)
    return found


@sensitive_post_parameters(*_SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.write")
def cluster_access(request: HttpRequest, name: str) -> HttpResponse:
    """Give or change the sign-in. It is tried before it is kept; no transaction is open meanwhile."""
    cluster = _cluster(request, name)
    way = request.GET.get("by", "kubeconfig")
    if way not in WAYS:
        raise Http404(way)
    access = ClusterAccess.objects.filter(cluster=cluster).first()
    initial = {"server": access.server} if access else {}
    form = AccessForm(request.POST if request.method == "POST" else None, way=way, initial=initial)

    def save(values: dict[str, Any]) -> HttpResponse:
        found = set_access(cluster=cluster, **values, actor=principal_of(request), now=clock.now())
        nudge_clusters()
        said = _("%(server)s lets FleetUI in, and is %(version)s.")
        messages.info(request, said % {"server": found.server, "version": found.version})
        if found.missing:
            lacking = _("These rights are missing, without which no node is drained: %(rights)s.")
            messages.warning(request, lacking % {"rights": ", ".join(found.missing)})
        return redirect(f"{reverse('nodes:cluster', args=[cluster.name])}#api")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    labels = {"kubeconfig": _("Kubeconfig"), "token": _("Address and token")}
    ways = [{"label": labels[one], "url": f"{request.path}?by={one}", "active": one == way} for one in WAYS]
    context = {"form": form, "cluster": cluster, "access": access, "ways": ways, "way": way}
    return render(request, "ops/cluster_access.html", context, status=status)


@require_POST
@needs("clusters.write")
def cluster_access_delete(request: HttpRequest, name: str) -> HttpResponse:
    access = _access(request, name)
    try:
        delete_access(access=access, actor=principal_of(request))
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("The access to %(name)s was deleted.") % {"name": name})
    return redirect(f"{reverse('nodes:cluster', args=[name])}#api")


@require_POST
@needs("clusters.write")
def cluster_look(request: HttpRequest, name: str) -> HttpResponse:
    look_now(access=_access(request, name), actor=principal_of(request), now=clock.now())
    nudge_clusters()
    return redirect(f"{reverse('nodes:cluster', args=[name])}#api")


def _access(request: HttpRequest, name: str) -> ClusterAccess:
    found = ClusterAccess.objects.select_related("cluster").filter(cluster=_cluster(request, name)).first()
    if found is None:
        raise Http404(name)
    return found


def cluster_api(principal: Principal, cluster: Cluster, query: QueryDict) -> dict[str, Any]:
    """What the page of a cluster draws: its API and its nodes. Six queries, whatever the size of the cluster."""
    access = ClusterAccess.objects.filter(cluster=cluster).first()
    if access is None:
        return {"kube": {"access": None}}
    visible = ClusterNode.objects.filter(access=access).visible_to(principal)
    counts = visible.aggregate(
        all=Count("pk"),
        not_ready=Count("pk", filter=~Q(ready="True")),
        cordoned=Count("pk", filter=Q(is_cordoned=True)),
        unmatched=Count("pk", filter=Q(node=None)),
    )
    page = page_of(visible.select_related("node"), Order("name", "pk"), PAGE_SIZE, query)
    cordons = Cordon.objects.filter(access=access, name__in=[row.name for row in page.rows])
    by_name = {cordon.name: cordon for cordon in cordons.select_related("operation")}
    return {
        "kube": {
            "access": access,
            "trouble": _trouble(access),
            "counts": counts,
            "rows": [_row(row, by_name.get(row.name)) for row in page.rows],
            "newer_url": changed_query(query, {"before": page.before}) if page.before else "",
            "older_url": changed_query(query, {"after": page.after}) if page.after else "",
            **deployments_shown(principal, cluster, query),
            **issued_shown(principal, cluster, query, clock.now()),
            "by": access.set_by.partition(":")[2] or access.set_by,
        }
    }


def node_in_cluster(principal: Principal, node: Node | None) -> dict[str, Any]:
    """What the page of a node draws of its cluster; nothing where the cluster has no access. Three queries at most."""
    cluster = node.pool.cluster if node is not None and node.pool else None
    if node is None or cluster is None or not principal.may("nodes.read", node):
        return {}
    access = ClusterAccess.objects.filter(cluster=cluster).first()
    if access is None:
        return {}
    row = ClusterNode.objects.filter(access=access, node=node).first()
    cordon = Cordon.objects.filter(access=access, name=row.name).select_related("operation").first() if row else None
    return {
        "in_cluster": {
            "access": access,
            "cluster": cluster,
            "trouble": _trouble(access),
            "row": _row(row, cordon) if row else None,
            "matched_by": words.MATCHES.get(row.matched_by, "") if row else "",
        }
    }


def _trouble(access: ClusterAccess) -> dict[str, str] | None:
    if access.state != "failing":
        return None
    said, mend = words.problem(access.problem, access.problem_params)
    return {"sentence": said, "mend": mend}


def _row(row: ClusterNode, cordon: Cordon | None) -> dict[str, Any]:
    levels = {"True": "ok", "False": "bad"}
    labels = {"True": _("Ready"), "False": _("Not ready")}
    return {
        "row": row,
        "level": levels.get(row.ready, "warn"),
        "ready": labels.get(row.ready, _("Silent")),
        "said": row.ready_said,
        "cordoned": words.cordon_sentence(is_ours=cordon is not None, is_kept=bool(cordon and cordon.is_kept))
        if row.is_cordoned
        else "",
        "operation_url": reverse("operation", args=[cordon.operation_id]) if cordon and cordon.operation_id else "",
        "against": words.against(row.stands_against),
    }
