"""Certificates of cert-manager on the page of a cluster, and the page of one: a new certificate for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import NotFound
from fleetui.core.form_errors import submitted
from fleetui.core.templatetags.ui import changed_query
from nodes.models import Cluster
from nodes.views.certificates import ends_words
from nodes.views.paging import Order, page_of
from nodes.views.subject import principal_of
from ops.models import ClusterCertificate, Operation
from ops.services.clusters.deployments import PERMISSION, may_see
from ops.services.clusters.issued import certificate_at, request_renewal, subject_of
from ops.services.clusters.refresh import LIST_ISSUED
from ops.services.reasons import is_reason_required, reason_hint
from ops.views.words import shown

PAGE_SIZE = 50
HISTORY_SHOWN = 10


class RenewForm(forms.Form):
    """Where it is served, and why it is renewed now."""

    endpoint = forms.CharField(
        label=gettext_lazy("Where it is served"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "off", "class": "form-control ui-mono"}),
        help_text=gettext_lazy(
            "HOST:PORT of one of the TLS endpoints. A handshake there proves that the new certificate is served."
        ),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = is_reason_required()
        self.fields["reason"].help_text = reason_hint()


def issued_shown(principal: Principal, cluster: Cluster, query: QueryDict, now: datetime) -> dict[str, Any]:
    """What the page of a cluster draws of its Certificates; nothing where it has no cert-manager. Two queries."""
    rows = ClusterCertificate.objects.filter(access__cluster=cluster)
    if not may_see(principal):
        return {"issued": None}
    prefixed = QueryDict(mutable=True)
    prefixed.update({name.removeprefix("c_"): str(query[name]) for name in ("c_before", "c_after") if name in query})
    page = page_of(rows, Order("name", "pk"), PAGE_SIZE, prefixed)
    access = getattr(cluster, "access", None)
    if not page.rows and not (access and LIST_ISSUED in access.missing):
        return {"issued": None}
    return {
        "issued": [issued_row(row, now) for row in page.rows],
        "issued_newer": changed_query(query, {"c_before": page.before, "c_after": None}) if page.before else "",
        "issued_older": changed_query(query, {"c_after": page.after, "c_before": None}) if page.after else "",
    }


def issued_row(row: ClusterCertificate, now: datetime) -> dict[str, Any]:
    level, word = ("ok", _("Ready")) if row.is_ready else ("bad", _("not ready"))
    if row.is_issuing:
        level, word = "info", _("being issued")
    ends_level, ends_word = ends_words(row.not_after, now) if row.not_after else ("none", _("not issued yet"))
    return {"row": row, "level": level, "word": word, "ends_level": ends_level, "ends_word": ends_word}


@require_http_methods(["GET", "HEAD", "POST"])
@needs("clusters.read")
def issued_page(request: HttpRequest, name: str, namespace: str, certificate: str) -> HttpResponse:
    """One Certificate with what was done to it."""
    principal = principal_of(request)
    cluster = Cluster.objects.visible_to(principal).filter(name=name.replace("\0", "")).first()
    if cluster is None:
        raise Http404(name)
    try:
        row = certificate_at(principal, cluster, namespace.replace("\0", ""), certificate.replace("\0", ""))
    except NotFound as error:
        raise Http404(str(error)) from error
    if request.method == "POST" and not principal.may(PERMISSION):
        raise PermissionDenied(PERMISSION)
    form = RenewForm(request.POST if request.method == "POST" else None)

    def ask(values: dict[str, Any]) -> HttpResponse:
        reason = values.pop("reason")
        told = {"reason": reason, "actor": principal, "now": clock.now()}
        answer = request_renewal(row=row, params={key: value for key, value in values.items() if value}, **told)
        return redirect("operation", operation_id=answer.operations[0].pk)

    answer, status = submitted(request, form, ask, **{"params.endpoint": "endpoint"})
    if answer is not None:
        return answer
    done = Operation.objects.visible_to(principal).filter(subject=subject_of(row)[:60])
    history = done.select_related("request").order_by("-created_at")[:HISTORY_SHOWN]
    context = {
        **issued_row(row, clock.now()),
        "cluster": cluster,
        "form": form,
        "history": [shown(one) for one in history],
        "may_change": principal.may(PERMISSION),
    }
    return render(request, "ops/issued.html", context, status=status)
