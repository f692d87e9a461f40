"""The retention tab of the settings: how long each history is kept, and what a change would delete before it is saved."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from fleetui.access.guards import needs
from fleetui.access.services.retention import MOST_DAYS, Preview, preview_retention, set_retention
from fleetui.access.settings_tabs import settings_tabs
from fleetui.access.views.subject import principal_of
from fleetui.core import clock, retention
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import take_error


class RetentionForm(forms.Form):
    """Days, or nothing for ever. `seen` is the number whose effect was shown."""

    keep_days = forms.IntegerField(label=gettext_lazy("Days"), required=False, max_value=MOST_DAYS)
    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, history: retention.History, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        least = _("At least %(days)s. Empty: kept for ever.") % {"days": history.least_days}
        self.fields["keep_days"].help_text = least
        self.fields["keep_days"].widget.attrs.update({"min": history.least_days, "autofocus": True})


@require_safe
@needs("settings.read")
def retention_list(request: HttpRequest) -> HttpResponse:
    """Every history with how long it is kept and how old its oldest row is."""
    days = retention.keep_days()
    rows = [{"history": one, "days": days[one.subject], "oldest": one.oldest()} for one in retention.histories()]
    context = {"rows": rows, "tabs": settings_tabs(request), "may_write": principal_of(request).may("settings.write")}
    return render(request, "access/retention.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("settings.write")
def retention_edit(request: HttpRequest, subject: str) -> HttpResponse:
    """First the number, then what it deletes, then it is saved: the same number, or it is shown again."""
    principal = principal_of(request)
    if not principal.may("settings.write"):
        raise PermissionDenied("settings.write")
    history = retention.history(subject)
    if history is None:
        raise Http404(subject)
    now, days = clock.now(), retention.keep_days()[subject]
    form = RetentionForm(request.POST or None, history=history, initial={"keep_days": days})
    preview: Preview | None = None
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            wanted = form.cleaned_data["keep_days"]
            try:
                if form.cleaned_data["seen"] == _seen(wanted):
                    set_retention(subject=subject, keep_days=wanted, actor=principal, now=now)
                    messages.info(request, _said(history, wanted))
                    return redirect("access:retention")
                preview, status = preview_retention(subject=subject, keep_days=wanted, now=now), 200
            except FleetError as error:
                status = take_error(form, error)
    context = {
        "history": history,
        "form": form,
        "days": days,
        "preview": preview,
        "wanted": form.cleaned_data.get("keep_days") if preview else None,
        "seen": _seen(form.cleaned_data.get("keep_days")) if preview else "",
    }
    return render(request, "access/retention_edit.html", context, status=status)


def _seen(keep_days: int | None) -> str:
    return "ever" if keep_days is None else str(keep_days)


def _said(history: retention.History, keep_days: int | None) -> str:
    if keep_days is None:
        return _("%(name)s: kept for ever.") % {"name": history.label}
    said = ngettext(
        "%(name)s: kept for %(days)s day. What is older goes from now on, a little at a time.",
        "%(name)s: kept for %(days)s days. What is older goes from now on, a little at a time.",
        keep_days,
    )
    return said % {"name": history.label, "days": keep_days}
