"""The policy of a pool that has silent machines replaced: its form, and what it did and did not do."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence, submitted
from nodes.models import Pool
from nodes.views.pools import visible_pool
from nodes.views.subject import principal_of
from ops import wording
from ops.models import PolicyReplacement, ReplacePolicy
from ops.services.reasons import is_reason_required, reason_hint
from ops.services.replacing import policies
from ops.services.replacing.unhealthy import standings
from ops.views.words import LEVELS

ASKED_SHOWN = 10
SILENT_SHOWN = 20
_LEVELS = {"due": "warn", "waits": "info", "looked_at": "info", "asked": "none", "maintenance": "none"}


class PolicyForm(forms.Form):
    """After how long, how many, and with which parameters."""

    after_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes without any answer"),
        min_value=policies.LEAST_MINUTES,
        max_value=policies.MOST_MINUTES,
        initial=30,
        help_text=gettext_lazy("Counted by contacts that failed, and from now on at the earliest."),
    )
    most_per_day = forms.IntegerField(
        label=gettext_lazy("At most so many within 24 hours"),
        min_value=1,
        max_value=policies.MOST_PER_DAY,
        initial=1,
    )
    params = forms.CharField(
        label=gettext_lazy("Parameters"),
        required=False,
        max_length=4000,
        widget=forms.TextInput(
            attrs={
                "spellcheck": "false",
                "autocomplete": "off",
                "autocapitalize": "off",
                "class": "form-control ui-mono",
                "placeholder": '{"drain_ending": "force"}',
            }
        ),
        help_text=gettext_lazy("As JSON, as the API takes them. Empty: the defaults of the operation."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=policies.LONGEST_REASON)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = is_reason_required()
        self.fields["reason"].help_text = reason_hint()

    def clean_params(self) -> dict[str, Any]:
        text = self.cleaned_data["params"].strip()
        try:
            found = json.loads(text) if text else {}
        except ValueError as error:
            raise forms.ValidationError(_("This is not JSON: %(why)s.") % {"why": error}) from error
        if not isinstance(found, dict):
            raise forms.ValidationError(_("Write one JSON object, such as {}."))
        return found


def policy_shown(principal: Principal, pool: Pool) -> dict[str, Any]:
    """What the page of the pool draws of it."""
    policy = ReplacePolicy.objects.filter(pool=pool).select_related("pool").first()
    asked = PolicyReplacement.objects.filter(pool=pool).select_related("node", "operation").order_by("-asked_at")
    return {
        "policy": policy,
        "by": policy.set_by.partition(":")[2] if policy else "",
        "params": json.dumps(policy.params) if policy and policy.params else "",
        "silent": [
            {
                "node": one.node,
                "level": _LEVELS.get(one.code, "warn"),
                "text": wording.policy_sentence(one.code, one.params),
                "operation": one.params.get("operation"),
            }
            for one in (standings(policy, clock.now())[:SILENT_SHOWN] if policy else ())
        ],
        "asked": [
            {
                "row": row,
                "level": LEVELS[row.operation.state] if row.operation else "none",
                "word": wording.state_word(row.operation.state) if row.operation else "",
                "result": wording.result_sentence(row.operation.result, row.operation.result_params)
                if row.operation and row.operation.result
                else "",
            }
            for row in asked[:ASKED_SHOWN]
        ],
        "may_set": policies.may_set(principal, pool),
    }


def _pool(request: HttpRequest, name: str) -> Pool:
    pool = visible_pool(request, name, "pools.write")
    if not policies.may_set(principal_of(request), pool):
        raise PermissionDenied(", ".join(policies.permissions()))
    return pool


@require_http_methods(["GET", "HEAD", "POST"])
@needs("pools.write")
def policy_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Turn it on, or change it."""
    pool = _pool(request, name)
    policy = ReplacePolicy.objects.filter(pool=pool).first()
    initial = policies.told(policy) or {}
    if initial:
        initial["params"] = json.dumps(initial["params"]) if initial["params"] else ""
    form = PolicyForm(request.POST if request.method == "POST" else None, initial=initial)

    def save(values: dict[str, Any]) -> HttpResponse:
        policies.set_policy(pool=pool, **values, actor=principal_of(request), now=clock.now())
        messages.info(request, _("Silent machines of %(pool)s are replaced by themselves now.") % {"pool": pool.name})
        return redirect(f"{reverse('nodes:pool', args=[pool.name])}#replace-policy")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    return render(
        request, "ops/replace_policy_form.html", {"form": form, "pool": pool, "policy": policy}, status=status
    )


@require_POST
@needs("pools.write")
def policy_off(request: HttpRequest, name: str) -> HttpResponse:
    """Turn it off. What was asked for goes on."""
    pool = _pool(request, name)
    try:
        reason = request.POST.get("reason", "")[: policies.LONGEST_REASON]
        policies.set_policy(pool=pool, after_minutes=None, reason=reason, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    return redirect(f"{reverse('nodes:pool', args=[pool.name])}#replace-policy")
