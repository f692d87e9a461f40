"""TLS endpoints: which are looked at, what they serve, and the form to add one."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import submitted
from nodes.models import Certificate, CertificateSource, Pool
from nodes.services.certificates import endpoints as services
from nodes.services.certificates.looks import request_look
from nodes.tasks import nudge_certificates
from nodes.views.actions import say_problem
from nodes.views.certificates import failure_of, shown, tabs
from nodes.views.subject import principal_of

_PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off", "class": "form-control ui-mono"}
#: More endpoints are on the list of certificates; a page of them is for people.
MOST_SHOWN = 500


class EndpointForm(forms.Form):
    """Host, port, and what is asked for there."""

    host = forms.CharField(
        label=gettext_lazy("Host"),
        max_length=255,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "web.example.org"}),
        help_text=gettext_lazy("A name or an IP address, as the machine that FleetUI runs on reaches it."),
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=1, max_value=65535, initial=443)
    server_name = forms.CharField(
        label=gettext_lazy("Server name"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "web.example.org"}),
        help_text=gettext_lazy(
            "What clients ask for, where it is another than the host. The certificate has to hold for it."
        ),
    )
    pool = forms.ModelChoiceField(
        label=gettext_lazy("Pool"),
        queryset=Pool.objects.none(),
        required=False,
        to_field_name="name",
        help_text=gettext_lazy("Whose people see it and are told of it. Empty: those who see everything."),
    )


@require_safe
@needs("nodes.read")
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """Every endpoint with what it serves, and what is wrong with its chain. Two queries."""
    principal, now = principal_of(request), clock.now()
    told = Certificate.objects.filter(Q(position=0) | Q(not_after__lte=now) | ~Q(level="")).order_by("position")
    rows = (
        CertificateSource.objects.visible_to(principal).filter(kind__in=CertificateSource.SERVED).select_related("pool")
    )
    context = {
        "tabs": tabs(request),
        "rows": [
            {
                "source": source,
                "served": _served(list(source.certificates.all()), now),
                "failure": failure_of(source),
                "may_look": principal.may("nodes.poll", source),
                "may_delete": source.kind == "endpoint" and principal.may(services.PERMISSION, source),
            }
            for source in rows.prefetch_related(Prefetch("certificates", told)).order_by("host", "port", "server_name")[
                :MOST_SHOWN
            ]
        ],
        "may_add": services.may_change(principal),
    }
    return render(request, "nodes/endpoints.html", context)


def _served(rows: list[Certificate], now: datetime) -> dict[str, Any] | None:
    """Its own certificate, with the findings of its chain by name."""
    if not rows or rows[0].position:
        return None
    own = shown(rows[0], now)
    for one in (shown(row, now) for row in rows[1:]):
        expired = [{"level": "bad", "said": one["ends_word"], "mend": ""}] if one["ends_level"] == "bad" else []
        for finding in (*expired, *one["findings"]):
            own["findings"].append({**finding, "said": f"{one['name']}: {finding['said']}"})
    return own


@require_http_methods(["GET", "HEAD", "POST"])
@needs(services.PERMISSION)
def endpoint_add(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    form = EndpointForm(request.POST if request.method == "POST" else None)
    pools = Pool.objects.visible_to(principal).order_by("name")
    reach = principal.where(services.PERMISSION)
    form.fields["pool"].queryset = pools if reach.everywhere else pools.filter(pk__in=reach.pools)  # type: ignore[attr-defined]

    def save(values: dict[str, Any]) -> HttpResponse:
        added = services.add_endpoint(**values, actor=principal, now=clock.now())
        nudge_certificates()
        messages.info(request, _("%(endpoint)s is looked at now.") % {"endpoint": added.title})
        return redirect("nodes:endpoints")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    return render(request, "nodes/endpoint_add.html", {"form": form}, status=status)


@require_POST
@needs("nodes.read")
def endpoint_do(request: HttpRequest, source_id: uuid.UUID) -> HttpResponse:
    """The buttons: look now, delete. Each needs its own right on the pool of the endpoint."""
    principal, what = principal_of(request), request.POST.get("do", "")
    rows = (
        CertificateSource.objects.visible_to(principal).filter(kind__in=CertificateSource.SERVED).select_related("pool")
    )
    source = rows.filter(pk=source_id).first()
    if source is None or what not in ("look", "delete"):
        raise Http404(str(source_id))
    if not principal.may("nodes.poll" if what == "look" else services.PERMISSION, source):
        raise PermissionDenied(what)
    try:
        if what == "look":
            request_look(source=source, actor=principal, now=clock.now())
            nudge_certificates()
            messages.info(request, _("%(endpoint)s is looked at now.") % {"endpoint": source.title})
        else:
            services.delete_endpoint(endpoint=source, actor=principal)
    except FleetError as error:
        say_problem(request, error)
    return redirect("nodes:endpoints")
