"""Provisioning tokens on the page of a pool: make one, see it this once with what boots machines by it, revoke it."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from nodes.models import Pool, PoolToken
from nodes.services.provisioning.offer import NEEDED
from nodes.services.provisioning.pool_tokens import (
    DEFAULT_PATTERN,
    LEAST_MINUTES,
    MOST_MINUTES,
    add_pool_token,
    revoke_pool_token,
)
from nodes.services.provisioning.snippets import ID_PLACE, pool_snippets
from nodes.views.pools import visible_pool
from nodes.views.subject import principal_of
from nodes.views.token_forms import TokenForm


class PoolTokenForm(TokenForm):
    """A token by which new machines of a pool fetch its config."""

    example = "autoscaling-2026"
    helps = {
        "name": gettext_lazy("Say which group of machines boots by it."),
        "max_uses": gettext_lazy("Counts every node that is made, gone ones too. Empty: any number."),
        "networks": gettext_lazy("Where machines may fetch from, one a line."),
    }
    name_pattern = forms.CharField(
        label=gettext_lazy("Names of the nodes"),
        initial=DEFAULT_PATTERN,
        max_length=60,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "class": "ui-mono"}),
        help_text=gettext_lazy("{pool}, {id} (of the machine, else its address) and {n} (a number) are filled in."),
    )
    arrive_within_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes to show up"),
        initial=60,
        min_value=LEAST_MINUTES,
        max_value=MOST_MINUTES,
        help_text=gettext_lazy("A node whose machine does not come in this time is retired."),
    )
    needs_id = forms.BooleanField(
        label=gettext_lazy("Each machine has to give an id"),
        required=False,
        help_text=gettext_lazy("Needed where several machines come from one address: behind NAT or a proxy."),
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.accept_key")
def token_add(request: HttpRequest, name: str) -> HttpResponse:
    """The form; the answer to it is the only page that ever holds the token."""
    principal = principal_of(request)
    pool = visible_pool(request, name)
    if not all(principal.may(permission, pool) for permission in NEEDED):
        raise PermissionDenied("nodes.accept_key")
    form = PoolTokenForm(request.POST or None)

    def add(given: dict[str, Any]) -> HttpResponse:
        token, text = add_pool_token(pool=pool, **given, actor=principal, now=clock.now())
        return render(request, "nodes/pool_token_made.html", _made(request, pool, token, text))

    answer, status = submitted(request, form, add)
    return answer or render(request, "nodes/pool_token_add.html", {"form": form, "pool": pool}, status=status)


def _made(request: HttpRequest, pool: Pool, token: PoolToken, text: str) -> dict[str, Any]:
    url = request.build_absolute_uri(reverse("nodes:fetch_config", args=[text]))
    return {
        "pool": pool,
        "token": token,
        "url": url,
        "made": pool_snippets(pool.intended_version, url=url, needs_id=token.needs_id),
        "id_place": ID_PLACE,
        "is_plain": not request.is_secure(),
    }


@require_POST
@needs("nodes.write")
def token_revoke(request: HttpRequest, name: str, token_id: uuid.UUID) -> HttpResponse:
    """End a token."""
    pool = visible_pool(request, name, "nodes.write")
    token = PoolToken.objects.select_related("pool").filter(pool=pool, pk=token_id).first()
    if token is None:
        raise Http404(str(token_id))
    try:
        revoke_pool_token(token=token, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        said = _("The provisioning token %(name)s was revoked. Nodes that arrived by it stay.")
        messages.info(request, said % {"name": token.name})
    return redirect(f"{reverse('nodes:pool', args=[pool.name])}#provisioning")
