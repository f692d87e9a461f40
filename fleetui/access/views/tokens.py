"""Tokens: one's own, and everybody's for those who may read them. The text of a token is drawn once, in the answer that makes it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access import services
from fleetui.access.filters import TokenFilter
from fleetui.access.forms import TokenForm
from fleetui.access.guards import needs
from fleetui.access.models import Token
from fleetui.access.views.subject import principal_of, signed_in_user
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from fleetui.core.templatetags.ui import changed_query

MOST_SHOWN = 200
EXPIRES_SOON_DAYS = 7


@require_safe
@needs("tokens.own")
def token_list(request: HttpRequest) -> HttpResponse:
    """Those that work, or with `state` those that ended; `user` narrows everybody's to one person's."""
    principal = principal_of(request)
    visible = Token.objects.visible_to(principal)
    query = request.GET.copy()
    state = str(query.get("state") or "active")
    query["state"] = state
    found = TokenFilter(query, queryset=visible)
    tokens = list(found.qs.select_related("user").prefetch_related("pools").order_by("-created_at")[: MOST_SHOWN + 1])
    context = {
        "rows": [_row(token, principal) for token in tokens[:MOST_SHOWN]],
        "has_more": len(tokens) > MOST_SHOWN,
        "most": MOST_SHOWN,
        "problems": found.problems(),
        "tabs": _tabs(request, state),
        "is_everybody": principal.may("tokens.read"),
        "owner": request.GET.get("user", ""),
        "mine_url": changed_query(request.GET, {"user": request.user.get_username()}),
        "all_url": changed_query(request.GET, {"user": None}),
        "is_active": state == "active",
    }
    return render(request, "access/tokens.html", context)


def _tabs(request: HttpRequest, state: str) -> list[dict[str, Any]]:
    words = [("active", _("Active")), ("expired", _("Expired")), ("revoked", _("Revoked"))]
    return [
        {
            "label": word,
            "active": state == name,
            "url": changed_query(request.GET, {"state": None if name == "active" else name}),
        }
        for name, word in words
    ]


def _row(token: Token, principal: Any) -> dict[str, Any]:
    now = clock.now()
    state = token.state(now)
    if state == "active":
        state = "expiring" if (token.expires_at - now).days < EXPIRES_SOON_DAYS else "valid"
    mine = token.user_id == principal.user_id
    return {
        "token": token,
        "state": state,
        "pools": [pool.name for pool in token.pools.all()],
        "may_revoke": state in ("valid", "expiring") and (mine or principal.may("tokens.manage")),
    }


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs("tokens.own")
def token_add(request: HttpRequest) -> HttpResponse:
    """The form; the answer to it is the only page that ever holds the token."""
    principal = principal_of(request)
    form = TokenForm(request.POST or None, principal=principal)

    def add(given: dict[str, Any]) -> HttpResponse:
        token, text = services.create_token(
            user=signed_in_user(request),
            name=given["name"],
            scopes=[given["scope"]],
            days=given["days"],
            pools=[uuid.UUID(pk) for pk in given.get("pools", [])],
            networks=given["networks"],
            actor=principal,
            now=clock.now(),
        )
        base = request.build_absolute_uri(reverse("overview")).rstrip("/")
        return render(request, "access/token_made.html", {"token": token, "text": text, "base_url": base})

    answer, status = submitted(request, form, add, scopes="scope")
    return answer or render(request, "access/token_add.html", {"form": form}, status=status)


@require_POST
@needs("tokens.own")
def token_revoke(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    principal = principal_of(request)
    token: Token | None = Token.objects.visible_to(principal).select_related("user").filter(pk=pk).first()
    if token is None:
        raise Http404(str(pk))
    try:
        services.revoke_token(token=token, actor=principal, now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("The token %(name)s was revoked. It stopped working at once.") % {"name": token.name})
    return redirect("access:tokens")
