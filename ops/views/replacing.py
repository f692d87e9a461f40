"""The new machine of a replacement: what a person does by hand, and the address of its config."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.services.provisioning.snippets import snippets_for
from nodes.services.provisioning.standing import standing
from nodes.views.subject import principal_of
from nodes.wording.provisioning import standing_words
from ops.services.replacing import confirming
from ops.services.replacing.provisioners import under_way
from ops.views.detail import visible_operation


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs("operations.request")
def machine_page(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """The checklist. With `what` something is confirmed; with `show` the answer holds the address, this once."""
    principal, operation = principal_of(request), visible_operation(request, operation_id)
    if operation.kind != "replace":
        raise Http404(operation.kind)
    if not confirming.may_all(principal, operation):
        raise PermissionDenied("nodes.accept_key")
    shown: dict[str, Any] = {}
    try:
        if request.method == "POST" and "show" in request.POST:
            made, text = confirming.token_of(operation=operation, actor=principal)
            if made.provisioning is not None:
                url = request.build_absolute_uri(reverse("nodes:fetch_config", args=[text]))
                sha512 = made.provisioning.sha512
                shown = {"url": url, "made": snippets_for(made.provisioning.version, url=url, sha512=sha512)}
        elif request.method == "POST":
            confirming.confirm(operation=operation, what=request.POST.get("what", ""), actor=principal, now=clock.now())
            messages.info(request, _("Noted: the operation looks again now."))
            return redirect("operation", operation_id=operation.pk)
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("operation_machine", operation_id=operation.pk)
    found = under_way(operation)
    offered = found.provisioning if found else None
    context = {
        "operation": operation,
        "replacement": found,
        "offered": offered,
        "standing": standing_words(standing(offered, clock.now())) if offered else {},
        "instructions": found.provisioner.settings.get("instructions", "") if found and found.provisioner else "",
        "is_open": found is not None and confirming.is_open(operation),
        "asks_ready": found is not None and confirming.asks_ready(operation, found),
        "may_show": found is not None and bool(found.sealed_token) and offered is not None and offered.ended_at is None,
        **shown,
    }
    return render(request, "ops/machine.html", context)
