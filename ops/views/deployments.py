"""Deployments on the page of a cluster, and the page of one: another image, or the revision before."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import NotFound
from fleetui.core.form_errors import submitted
from fleetui.core.templatetags.ui import changed_query
from nodes.models import Cluster
from nodes.views.paging import Order, page_of
from nodes.views.subject import principal_of
from ops.models import ClusterDeployment, Operation
from ops.services.clusters.deployments import IMAGE, PERMISSION, ROLLBACK, deployment_at, may_see, request_change
from ops.services.reasons import is_reason_required, reason_hint
from ops.views.words import shown
from ops.wording.deployments import ROLLOUTS

PAGE_SIZE = 50
HISTORY_SHOWN = 10


class ImageForm(forms.Form):
    """Which container gets which image, and why."""

    container = forms.ChoiceField(label=gettext_lazy("Container"))
    image = forms.CharField(
        label=gettext_lazy("Image"),
        max_length=500,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "class": "form-control ui-mono"}),
        help_text=gettext_lazy("With its registry, and with a tag or a digest, such as quay.io/team/app:1.2."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)

    def __init__(self, *args: Any, containers: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["container"].choices = [(name, name) for name in containers]  # type: ignore[attr-defined]
        self.fields["reason"].required = is_reason_required()
        self.fields["reason"].help_text = reason_hint()


class BackForm(forms.Form):
    """Why it goes back."""

    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)


def deployments_shown(principal: Principal, cluster: Cluster, query: QueryDict) -> dict[str, Any]:
    """What the page of a cluster draws of its Deployments. Two queries, whatever their number."""
    rows = ClusterDeployment.objects.filter(access__cluster=cluster)
    if not may_see(principal):
        return {"deployments": None}
    prefixed = QueryDict(mutable=True)
    prefixed.update({name.removeprefix("d_"): str(query[name]) for name in ("d_before", "d_after") if name in query})
    page = page_of(rows, Order("name", "pk"), PAGE_SIZE, prefixed)
    return {
        "deployments": [deployment_row(row) for row in page.rows],
        "deployments_newer": changed_query(query, {"d_before": page.before, "d_after": None}) if page.before else "",
        "deployments_older": changed_query(query, {"d_after": page.after, "d_before": None}) if page.after else "",
    }


def deployment_row(row: ClusterDeployment) -> dict[str, Any]:
    level, word = ROLLOUTS.get(row.rollout, ("none", row.rollout))
    return {"row": row, "level": level, "word": word, "images": list(row.images.items())}


@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.read")
def deployment_page(request: HttpRequest, name: str, namespace: str, deployment: str) -> HttpResponse:
    """One Deployment with what was done to it; `do` is image or rollback."""
    principal = principal_of(request)
    cluster = Cluster.objects.visible_to(principal).filter(name=name.replace("\0", "")).first()
    if cluster is None:
        raise Http404(name)
    try:
        row = deployment_at(principal, cluster, namespace.replace("\0", ""), deployment.replace("\0", ""))
    except NotFound as error:
        raise Http404(str(error)) from error
    if request.method == "POST" and not principal.may(PERMISSION):
        raise PermissionDenied(PERMISSION)
    kind = ROLLBACK if request.POST.get("do") == "rollback" else IMAGE
    containers = list(row.images)
    initial = {"container": containers[0], "image": row.images[containers[0]]} if containers else {}
    given = request.POST if request.method == "POST" else None
    image_form = ImageForm(given if kind == IMAGE else None, containers=containers, initial=initial)
    form: forms.Form = BackForm(given) if kind == ROLLBACK else image_form

    def ask(values: dict[str, Any]) -> HttpResponse:
        reason = values.pop("reason")
        told = {"reason": reason, "actor": principal, "now": clock.now()}
        answer = request_change(row=row, kind=kind, params=values, **told)
        return redirect("operation", operation_id=answer.operations[0].pk)

    answer, status = submitted(request, form, ask, **{"params.image": "image", "params.container": "container"})
    if answer is not None:
        return answer
    for errors in form.errors.values() if form is not image_form else ():
        image_form.cleaned_data = {}
        image_form.add_error(None, errors)
    done = Operation.objects.visible_to(principal).filter(subject=f"deployment:{row.uid}"[:60])
    history = done.select_related("request").order_by("-created_at")[:HISTORY_SHOWN]
    context = {
        **deployment_row(row),
        "cluster": cluster,
        "form": image_form,
        "history": [shown(one) for one in history],
        "may_change": principal.may(PERMISSION),
    }
    return render(request, "ops/deployment.html", context, status=status)
