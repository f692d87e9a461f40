"""The forms of the checks that a pool defines."""

from __future__ import annotations

import shlex
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
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.models import Pool
from nodes.views.pools import visible_pool
from nodes.views.subject import principal_of
from ops import wording
from ops.health_checks import LEAST_TIMEOUT_S, MOST_TIMEOUT_S
from ops.models import PoolCheck
from ops.services.pool_checks import PERMISSION, check_at, delete_check, may_change, set_check

#: The fields of each kind, beside name, kind and time.
FIELDS = {
    "unit": ("unit",),
    "tcp": ("host", "port"),
    "http": ("url", "status", "any_certificate"),
    "command": ("argv",),
}


class CheckForm(forms.Form):
    """A check of one kind; the fields of the other kinds are not there."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    unit = forms.CharField(label=gettext_lazy("Unit"), max_length=200, help_text="nginx.service")
    host = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=253,
        initial="127.0.0.1",
        help_text=gettext_lazy("As the host itself reaches it."),
    )
    port = forms.IntegerField(label=gettext_lazy("TCP port"), min_value=1, max_value=65535)
    url = forms.CharField(
        label=gettext_lazy("Web address"),
        max_length=500,
        initial="http://127.0.0.1/",
        help_text=gettext_lazy("As the host itself reaches it; redirects are not followed."),
    )
    status = forms.IntegerField(label=gettext_lazy("Expected status"), min_value=100, max_value=599, initial=200)
    any_certificate = forms.BooleanField(label=gettext_lazy("Accept any certificate"), required=False)
    argv = forms.CharField(
        label=gettext_lazy("Command"),
        max_length=4000,
        help_text=gettext_lazy(
            "Program and arguments as words; no shell reads them. It is well when it ends with status 0."
        ),
    )
    timeout_s = forms.IntegerField(
        label=gettext_lazy("Within seconds"), min_value=LEAST_TIMEOUT_S, max_value=MOST_TIMEOUT_S, initial=5
    )
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for other, names in FIELDS.items():
            for name in names if other != kind else ():
                del self.fields[name]


def shown_check(check: PoolCheck, principal: Principal) -> dict[str, Any]:
    """What the page of the pool draws of a check."""
    return {
        "check": check,
        "sentence": wording.pool_check_sentence(check.kind, check.params),
        "command": shlex.join(check.params["argv"]) if check.kind == "command" else "",
        "by": check.set_by.partition(":")[2] or check.set_by,
        "may_change": may_change(principal, check.kind, check.pool),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def check_add(request: HttpRequest, name: str) -> HttpResponse:
    """First the kind is chosen, by a link that the address keeps."""
    pool = visible_pool(request, name, PERMISSION)
    kind = request.GET.get("kind", "unit")
    if kind not in FIELDS:
        raise Http404(kind)
    return _form_page(request, pool, kind, None)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def check_edit(request: HttpRequest, name: str, check_id: uuid.UUID) -> HttpResponse:
    pool = visible_pool(request, name, PERMISSION)
    check = _check(pool, check_id)
    return _form_page(request, pool, check.kind, check)


def _check(pool: Pool, check_id: uuid.UUID) -> PoolCheck:
    try:
        return check_at(pool, check_id)
    except NotFound as error:
        raise Http404(str(error)) from error


def _form_page(request: HttpRequest, pool: Pool, kind: str, check: PoolCheck | None) -> HttpResponse:
    principal = principal_of(request)
    if not may_change(principal, kind, pool):
        raise PermissionDenied(PERMISSION)
    initial: dict[str, Any] = {}
    if check is not None:
        words = {"argv": shlex.join(check.params["argv"])} if kind == "command" else {}
        initial = {
            **check.params,
            **words,
            "name": check.name,
            "timeout_s": check.timeout_s,
            "revision": check.revision,
        }
    form = CheckForm(request.POST if request.method == "POST" else None, kind=kind, initial=initial)

    def save(values: dict[str, Any]) -> HttpResponse:
        params = {name: values[name] for name in FIELDS[kind]}
        if kind == "command":
            params["argv"] = _words(values["argv"])
        set_check(
            pool=pool,
            name=values["name"],
            kind=kind,
            params=params,
            timeout_s=values["timeout_s"],
            check=check,
            expected_revision=values["revision"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("The check holds for operations from now on."))
        return redirect(f"{reverse('nodes:pool', args=[pool.name])}#health-checks")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    kinds = [
        {"label": wording.pool_check_word(one), "url": f"{request.path}?kind={one}", "active": one == kind}
        for one in FIELDS
        if check is None and may_change(principal, one, pool)
    ]
    context = {"form": form, "pool": pool, "check": check, "kinds": kinds, "kind": kind}
    return render(request, "ops/pool_check.html", context, status=status)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(
            _("The command cannot be split into words."), field="argv", value=text[:200], mend=_("Close its quotes.")
        ) from error


@require_POST
@needs("pools.write")
def check_delete(request: HttpRequest, name: str, check_id: uuid.UUID) -> HttpResponse:
    pool = visible_pool(request, name, PERMISSION)
    check = _check(pool, check_id)
    try:
        delete_check(check=check, reason=request.POST.get("reason", ""), actor=principal_of(request))
    except FleetError as error:
        messages.error(request, sentence(error))
    return redirect(f"{reverse('nodes:pool', args=[pool.name])}#health-checks")
