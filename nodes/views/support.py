"""Ends of support: what pages say of them, and the form by which an admin enters one."""

from __future__ import annotations

import uuid
from datetime import date, datetime
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
from fleetui.core import clock
from fleetui.core.form_errors import submitted
from nodes.hosts import drivers
from nodes.models import SupportEnd
from nodes.services.support import add_support_end, delete_support_end
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of

#: An end that is nearer than this stands out.
SOON_DAYS = 60


def support_words(ends_on: date | None, now: datetime) -> dict[str, str]:
    """`support` and `support_level` for a badge; nothing where no end is known."""
    if ends_on is None:
        return {}
    left = (ends_on - now.date()).days
    if left <= 0:
        return {"support": _("unsupported since %(day)s") % {"day": ends_on.isoformat()}, "support_level": "warn"}
    level = "info" if left <= SOON_DAYS else "none"
    return {"support": _("supported until %(day)s") % {"day": ends_on.isoformat()}, "support_level": level}


def support_rows(now: datetime) -> list[dict[str, Any]]:
    """The table of the settings. One query."""
    found = []
    for row in SupportEnd.objects.order_by("os_family", "stream", "major"):
        query = {"os": row.os_family, **({"stream": row.stream} if row.stream else {})}
        if row.ends_on <= now.date():
            query["unsupported"] = "true"
        known = drivers.get(row.os_family).name if row.os_family in drivers.families() else row.os_family
        found.append({"row": row, "family": known, "nodes_url": nodes_url(**query), **support_words(row.ends_on, now)})
    return found


class SupportForm(forms.Form):
    """What ends when."""

    os_family = forms.ChoiceField(label=gettext_lazy("OS family"))
    stream = forms.CharField(
        label=gettext_lazy("Stream"), required=False, max_length=100, help_text=gettext_lazy("Empty: every stream.")
    )
    major = forms.CharField(
        label=gettext_lazy("Major version"),
        required=False,
        max_length=20,
        help_text=gettext_lazy("The first number of a version, such as 43. Empty: every version."),
    )
    ends_on = forms.DateField(
        label=gettext_lazy("Support ends on"),
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy("The first day without support, for example 2027-05-13."),
    )
    note = forms.CharField(
        label=gettext_lazy("Note"), required=False, max_length=200, help_text=gettext_lazy("Where this is written.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        families = sorted(family for family in drivers.families() if family != "unknown")
        self.fields["os_family"].choices = [(family, drivers.get(family).name) for family in families]  # type: ignore[attr-defined]
        self.fields["os_family"].initial = "fcos"


@require_http_methods(["GET", "HEAD", "POST"])
@needs("releases.write")
def support_add(request: HttpRequest) -> HttpResponse:
    principal = principal_of(request)
    if not principal.may("releases.write"):
        raise PermissionDenied("releases.write")
    form = SupportForm(request.POST or None)

    def add(given: dict[str, Any]) -> HttpResponse:
        row = add_support_end(**given, actor=principal, now=clock.now())
        said = _("Support of %(name)s ends on %(day)s.")
        messages.info(request, said % {"name": row, "day": row.ends_on.isoformat()})
        return redirect("nodes:releases")

    answer, status = submitted(request, form, add)
    if answer:
        return answer
    context = {
        "form": form,
        "title": _("Add end of support"),
        "button": _("Add end of support"),
        "back_url": reverse("nodes:releases"),
    }
    return render(request, "nodes/support_form.html", context, status=status)


@require_POST
@needs("releases.write")
def support_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    principal = principal_of(request)
    if not principal.may("releases.write"):
        raise PermissionDenied("releases.write")
    row = SupportEnd.objects.filter(pk=pk).first()
    if row is None:
        raise Http404(str(pk))
    delete_support_end(row=row, actor=principal, now=clock.now())
    messages.info(request, _("The end of support of %(name)s was deleted.") % {"name": row})
    return redirect("nodes:releases")
