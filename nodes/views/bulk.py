"""One change on a selection of nodes: what is selected is frozen first, then shown, then changed."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput
from fleetui.core.form_errors import take_error
from nodes.models import Credential, JumpHost, Pool
from nodes.services.bulk import MOST_NODES, BulkOutcome, change_many
from nodes.views.actions import MAINTENANCE_HOURS, end_of
from nodes.views.links import list_url
from nodes.views.list import selected
from nodes.views.subject import principal_of

CONFIRM_ABOVE = 10
ACTION_WORDS = {
    "labels": gettext_lazy("Set or remove labels"),
    "pool": gettext_lazy("Move to a pool"),
    "credential": gettext_lazy("Set the credential"),
    "jump_host": gettext_lazy("Set the jump host"),
    "maintenance": gettext_lazy("Put into maintenance"),
    "activate": gettext_lazy("Take into service"),
    "retire": gettext_lazy("Retire"),
    "delete": gettext_lazy("Delete"),
}
HOURS_WORDS = {
    "": gettext_lazy("Until somebody ends it"),
    "1": gettext_lazy("1 hour"),
    "4": gettext_lazy("4 hours"),
    "24": gettext_lazy("1 day"),
    "168": gettext_lazy("1 week"),
}


class BulkForm(forms.Form):
    """The nodes, frozen as ids, and what is done to them. `filter` is the query of the list that they were selected in."""

    ids = forms.CharField(widget=forms.HiddenInput)
    filter = forms.CharField(widget=forms.HiddenInput, required=False)
    action = forms.ChoiceField(label=pgettext_lazy("of nodes", "Change"), choices=list(ACTION_WORDS.items()))
    labels = forms.CharField(
        label=gettext_lazy("Labels"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "ui-mono", "spellcheck": "false"}),
        help_text=gettext_lazy("One a line: key=value sets it, -key removes it."),
    )
    pool = forms.ModelChoiceField(
        label=gettext_lazy("Pool"), queryset=Pool.objects.none(), required=False, empty_label=gettext_lazy("No pool")
    )
    credential = forms.ModelChoiceField(
        label=gettext_lazy("Credential"),
        queryset=Credential.objects.none(),
        required=False,
        empty_label=gettext_lazy("That of the pool"),
    )
    jump_host = forms.ModelChoiceField(
        label=gettext_lazy("Jump host"),
        queryset=JumpHost.objects.none(),
        required=False,
        empty_label=gettext_lazy("That of the pool, if it has one"),
    )
    hours = forms.ChoiceField(
        label=gettext_lazy("Maintenance ends"),
        required=False,
        choices=[(name, HOURS_WORDS[name]) for name in ("", *MAINTENANCE_HOURS)],
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)
    count = forms.CharField(required=False)

    def __init__(self, *args: Any, principal: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pool"].queryset = Pool.objects.visible_to(principal)  # type: ignore[attr-defined]
        self.fields["credential"].queryset = Credential.objects.visible_to(principal)  # type: ignore[attr-defined]
        self.fields["jump_host"].queryset = JumpHost.objects.visible_to(principal)  # type: ignore[attr-defined]

    def clean_ids(self) -> list[uuid.UUID]:
        try:
            return [uuid.UUID(word) for word in self.cleaned_data["ids"].split(",")[:MOST_NODES]]
        except ValueError:
            raise forms.ValidationError(_("The selection is not readable: select the nodes again.")) from None

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        ids, typed = found.get("ids", []), found.get("count", "").replace(",", "").strip()
        is_final = found.get("action") == "delete"
        if (is_final or len(ids) > CONFIRM_ABOVE) and typed != str(len(ids)):
            self.add_error("count", _("Type the number of nodes as it is shown."))
        return found

    def params(self) -> dict[str, Any]:
        found = self.cleaned_data
        lines = [line.strip() for line in found["labels"].splitlines() if line.strip()]
        wrong = next((line for line in lines if "=" not in line and not line.startswith("-")), None)
        if wrong and found["action"] == "labels":
            mend = _("Write key=value to set it, or -key to remove it.")
            said = _("The line “%(line)s” names no label.") % {"line": wrong[:60]}
            raise InvalidInput(said, field="labels", value=wrong, mend=mend)
        pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith("-")]
        return {
            "set": {key.strip(): value.strip() for key, _equals, value in pairs},
            "remove": [line[1:].strip() for line in lines if line.startswith("-")],
            "pool": found["pool"],
            "credential": found["credential"],
            "jump_host": found["jump_host"],
            "reason": found["reason"],
        }


@require_POST
@needs("nodes.write")
def bulk(request: HttpRequest) -> HttpResponse:
    """First with a selection: shows what can be done. Then with an action: does it."""
    principal = principal_of(request)
    status = 200
    asked = request.POST.get("filter", "")
    if "action" in request.POST:
        form = BulkForm(request.POST, principal=principal)
        ids = request.POST.get("ids", "").split(",")
        status = 422
        if form.is_valid():
            action = form.cleaned_data["action"]
            try:
                params = {**form.params(), "until": end_of(request)}
                outcome = change_many(
                    ids=form.cleaned_data["ids"], action=action, params=params, actor=principal, now=clock.now()
                )
            except FleetError as error:
                status = take_error(form, error)
            else:
                _say(request, outcome, action)
                return redirect(list_url(asked))
    else:
        query = QueryDict(asked.lstrip("?"))
        nodes = selected(principal, request.POST, query)
        ids = [str(pk) for pk in nodes.order_by().values_list("pk", flat=True)[: MOST_NODES + 1]]
        if not ids or len(ids) > MOST_NODES:
            said = (
                _("No node is selected.") if not ids else _("Select at most %(limit)s nodes.") % {"limit": MOST_NODES}
            )
            messages.warning(request, said)
            return redirect(list_url(asked))
        form = BulkForm(initial={"ids": ",".join(ids), "filter": asked}, principal=principal)
    fields = {**{name: name for name in ("labels", "pool", "credential", "jump_host")}, "maintenance": "hours"}
    context = {
        "form": form,
        "change_fields": [(action, form[name]) for action, name in fields.items()],
        "count": len(ids),
        "confirm": len(ids) > CONFIRM_ABOVE,
        "list_url": list_url(asked),
    }
    return render(request, "nodes/bulk.html", context, status=status)


def _say(request: HttpRequest, outcome: BulkOutcome, action: str) -> None:
    said = ngettext("%(count)s node was changed.", "%(count)s nodes were changed.", outcome.changed)
    if action == "delete":
        said = ngettext("%(count)s node was deleted.", "%(count)s nodes were deleted.", outcome.changed)
    parts = [said % {"count": f"{outcome.changed:,}"}]
    if count := outcome.unchanged:
        said = ngettext("%(count)s was so already.", "%(count)s were so already.", count)
        parts.append(said % {"count": f"{count:,}"})
    if count := outcome.not_allowed:
        said = ngettext("%(count)s you may not change.", "%(count)s you may not change.", count)
        parts.append(said % {"count": f"{count:,}"})
    if count := len(outcome.stale):
        said = ngettext(
            "%(count)s was changed by someone else meanwhile: %(names)s.",
            "%(count)s were changed by someone else meanwhile: %(names)s.",
            count,
        )
        parts.append(said % {"count": count, "names": ", ".join(outcome.stale[:5])})
    if count := len(outcome.refused):
        said = ngettext(
            "%(count)s cannot be changed so: %(names)s. %(why)s",
            "%(count)s cannot be changed so: %(names)s. %(why)s",
            count,
        )
        parts.append(said % {"count": count, "names": ", ".join(outcome.refused[:5]), "why": outcome.why_refused})
    if count := outcome.gone:
        said = ngettext("%(count)s was deleted meanwhile.", "%(count)s were deleted meanwhile.", count)
        parts.append(said % {"count": f"{count:,}"})
    say = messages.info if outcome.complete else messages.warning
    # What was selected is done: the list that follows begins without a selection.
    say(request, " ".join(parts), extra_tags="selection-done")
