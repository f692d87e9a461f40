"""Provisioning on the pages of a node, and the address at which machines fetch their Ignition config."""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from fleetui.access.guards import needs, public
from fleetui.access.principals import Principal
from fleetui.core import clock, context
from fleetui.core.addresses import is_loopback
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from nodes.models import IgnitionVersion, Node, Provisioning
from nodes.models.ignition import ReviewState
from nodes.services.provisioning.offer import MAX_HOURS, NEEDED, provision, revoke
from nodes.services.provisioning.refusal import Refusal
from nodes.services.provisioning.serve import fetch
from nodes.services.provisioning.snippets import snippets_for
from nodes.services.provisioning.standing import standing
from nodes.views.subject import node_for, principal_of, visible_node
from nodes.wording.provisioning import standing_words

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/vnd.coreos.ignition+json"
_SAID = {
    Refusal.UNKNOWN: "No such token.\n",
    Refusal.USED_UP: "This token has made as many nodes as it may. Make another one on the page of the pool.\n",
    Refusal.NO_ID: "Say which machine this is: add ?id= with an id of its own, such as a UUID, a MAC address or the id of "
    "the instance. Here addresses do not tell machines apart.\n",
    Refusal.WRONG_NETWORK: "This token may not be used from here. Behind a proxy, TRUSTED_PROXIES has to name it.\n",
    Refusal.GONE: "This token is over: the machine is known, or its time has passed. Offer the config again.\n",
    Refusal.NOT_READY: "The config cannot be given now. Ask again.\n",
}


@public
@csrf_exempt
@require_GET
def ignition(request: HttpRequest, token: str) -> HttpResponse:
    """The config of a machine that boots. Never empty: Ignition would take that for "no config", and boot without."""
    address = context.source_address.get()
    if not request.is_secure() and not is_loopback(address):
        return _plain("Fetch this over HTTPS: the config holds secrets.\n", 403)
    try:
        agent, instance_id = request.headers.get("User-Agent", ""), request.GET.get("id", "")
        if "id" in request.GET and not instance_id.strip():
            # A variable of a boot loader that nobody filled in; by its address it could be taken for another machine.
            found: str | Refusal = Refusal.NO_ID
        else:
            found = fetch(token, address=address, agent=agent, now=clock.now(), instance_id=instance_id)
    except DatabaseError:
        log.exception("ignition_not_served")
        found = Refusal.NOT_READY
    if isinstance(found, Refusal):
        return _plain(_SAID[found], found.status)
    return HttpResponse(found, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _plain(text: str, status: int) -> HttpResponse:
    headers = {"Cache-Control": "no-store", **({"Retry-After": "10"} if status == 503 else {})}
    response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)
    # Django would log the address, which holds the token.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


class ProvisionForm(forms.Form):
    """Which version the node's next machine gets, and until when."""

    version = forms.ModelChoiceField(
        IgnitionVersion.objects.none(),
        label=gettext_lazy("Version"),
        help_text=gettext_lazy("Approved versions of the configs that are for its pool."),
    )
    hours = forms.IntegerField(
        label=gettext_lazy("Hours to fetch it"),
        initial=24,
        min_value=1,
        max_value=MAX_HOURS,
        help_text=gettext_lazy("1 to 720"),
    )

    def __init__(self, *args: Any, node: Node, principal: Principal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["version"]
        field.queryset = offered_versions(node, principal)  # type: ignore[attr-defined]
        intended = node.pool.intended_version_id if node.pool else None
        field.initial = intended


def offered_versions(node: Node, principal: Principal) -> Any:
    """What a machine of the node may get: approved, of a config that is for its pool."""
    approved = IgnitionVersion.objects.visible_to(principal).filter(state=ReviewState.APPROVED)
    return approved.filter(config__pools=node.pool_id).select_related("config").order_by("config__name", "-number")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.accept_key")
def node_provision(request: HttpRequest, name: str) -> HttpResponse:
    """What was offered before, and the form; the answer to it is the only page that ever holds the token."""
    principal = principal_of(request)
    node = visible_node(request, name)
    if not all(principal.may(permission, node) for permission in NEEDED):
        raise PermissionDenied("nodes.accept_key")
    form = ProvisionForm(request.POST or None, node=node, principal=principal)

    def offer(given: dict[str, Any]) -> HttpResponse:
        done = provision(node=node, **given, actor=principal, now=clock.now())
        return render(request, "nodes/provision_made.html", _made(request, node, done.provisioning, done.text))

    answer, status = submitted(request, form, offer)
    if answer:
        return answer
    now = clock.now()
    past = Provisioning.objects.filter(node=node).select_related("version__config")[:20]
    rows = [{"row": row, "by": row.created_by.partition(":")[2], **standing_words(standing(row, now))} for row in past]
    told = {
        "form": form,
        "node": node,
        "rows": rows,
        "has_versions": form.fields["version"].queryset.exists(),  # type: ignore[attr-defined]
    }
    return render(request, "nodes/provision.html", told, status=status)


def _made(request: HttpRequest, node: Node, row: Provisioning, text: str) -> dict[str, Any]:
    url = request.build_absolute_uri(reverse("nodes:fetch_config", args=[text]))
    made = snippets_for(row.version, url=url, sha512=row.sha512)
    return {"node": node, "row": row, "url": url, "made": made, "is_plain": not request.is_secure()}


@require_POST
@needs("nodes.write")
def provision_revoke(request: HttpRequest, name: str, provisioning_id: uuid.UUID) -> HttpResponse:
    """End a token."""
    node = node_for(request, name, "nodes.write")
    row = Provisioning.objects.filter(node=node, pk=provisioning_id).select_related("node", "version__config").first()
    if row is None:
        raise Http404(str(provisioning_id))
    try:
        revoke(provisioning=row, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("The token was revoked: no machine gets this config any more."))
    return redirect("nodes:provision", name=node.name)
