"""Enrolment tokens on the page of a pool: make one, see it this once with what goes on the machines, revoke it."""

from __future__ import annotations

import uuid
from typing import Any

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
from nodes.models import Credential, EnrolmentToken, Pool
from nodes.services import enrolment
from nodes.services.enrolment import butane
from nodes.views.enrolment_words import may_enrol
from nodes.views.pools import visible_pool
from nodes.views.subject import principal_of
from nodes.views.token_forms import TokenForm

VARIANT_WORDS = {"fcos": "Fedora CoreOS", "flatcar": "Flatcar"}


class EnrolmentTokenForm(TokenForm):
    """A token by which machines enrol in a pool."""

    example = "workers-2026"
    helps = {
        "name": gettext_lazy("Say which image or group of machines carries it."),
        "max_uses": gettext_lazy("Counts every machine that is admitted, gone ones too. Empty: any number."),
        "networks": gettext_lazy("Where machines may announce themselves from, one a line."),
    }


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.accept_key")
def token_add(request: HttpRequest, name: str) -> HttpResponse:
    """The form; the answer to it is the only page that ever holds the token."""
    principal = principal_of(request)
    pool = visible_pool(request, name)
    if not may_enrol(principal, pool):
        raise PermissionDenied("nodes.accept_key")
    form = EnrolmentTokenForm(request.POST or None)

    def add(given: dict[str, Any]) -> HttpResponse:
        token, text = enrolment.add_enrolment_token(pool=pool, **given, actor=principal, now=clock.now())
        return render(request, "nodes/enrolment_made.html", _made(request, pool, token, text))

    answer, status = submitted(request, form, add)
    return answer or render(request, "nodes/enrolment_add.html", {"form": form, "pool": pool}, status=status)


def _made(request: HttpRequest, pool: Pool, token: EnrolmentToken, text: str) -> dict[str, Any]:
    url = request.build_absolute_uri(reverse("api:enrol"))
    credential = Credential.objects.visible_to(principal_of(request)).filter(pk=pool.credential_id).first()
    login = butane.Login(credential.username, credential.public_key) if credential else None
    return {
        "pool": pool,
        "token": token,
        "text": text,
        "url": url,
        "credential": credential,
        "is_plain": not request.is_secure(),
        "configs": [
            {
                "variant": variant,
                "title": VARIANT_WORDS[variant],
                "text": butane.butane(variant, url=url, token=text, login=login),
            }
            for variant in butane.VARIANTS
        ],
        "shell": butane.shell_lines(url, "", text),
    }


@require_POST
@needs("nodes.write")
def token_revoke(request: HttpRequest, name: str, token_id: uuid.UUID) -> HttpResponse:
    principal = principal_of(request)
    pool = visible_pool(request, name, "nodes.write")
    token = EnrolmentToken.objects.select_related("pool").filter(pool=pool, pk=token_id).first()
    if token is None:
        raise Http404(str(token_id))
    try:
        enrolment.revoke_enrolment_token(token=token, actor=principal, now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        said = _("The enrolment token %(name)s was revoked. Nodes that enrolled by it stay.")
        messages.info(request, said % {"name": token.name})
    return redirect(f"{reverse('nodes:pool', args=[pool.name])}#enrolment")
