"""Buttons of a version: submit, approve, give back, withdraw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.models import IgnitionVersion
from nodes.services.ignition import review
from nodes.views.ignition.subject import version_of, version_url, visible_config
from nodes.views.subject import principal_of


def _act(
    request: HttpRequest,
    name: str,
    number: int,
    permission: str,
    service: Callable[..., IgnitionVersion],
    said: str,
    **given: Any,
) -> HttpResponse:
    version = version_of(visible_config(request, name, permission), number)
    try:
        service(version=version, actor=principal_of(request), now=clock.now(), **given)
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, said % {"number": number})
    return redirect(version_url(version))


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "")


@require_POST
@needs("ignition.edit")
def submit(request: HttpRequest, name: str, number: int) -> HttpResponse:
    return _act(request, name, number, "ignition.edit", review.submit, _("Version %(number)s waits for review."))


@require_POST
@needs("ignition.approve")
def approve(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Approve; with `return`, give it back to its author."""
    reason = _reason(request)
    if request.POST.get("return"):
        return _act(
            request,
            name,
            number,
            "ignition.approve",
            review.give_back,
            _("Version %(number)s is a draft again."),
            reason=reason,
        )
    said = _("Version %(number)s is approved. Choose it for a pool, so that new machines get it.")
    return _act(request, name, number, "ignition.approve", review.approve, said, reason=reason)


@require_POST
@needs("ignition.edit")
def withdraw(request: HttpRequest, name: str, number: int) -> HttpResponse:
    return _act(
        request,
        name,
        number,
        "ignition.edit",
        review.withdraw,
        _("Version %(number)s is withdrawn."),
        reason=_reason(request),
    )
