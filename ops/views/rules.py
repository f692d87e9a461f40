"""Approval rules: who has to agree to what, until when, and who could; and the form of one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.models import Pool
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.models import ApprovalRule
from ops.services.limits import PERMISSION
from ops.services.rules import RuleNow, delete_rule, rule_at, rules_seen_by, set_rule
from ops.views.tabs import operation_tabs

HOURS = {
    1: gettext_lazy("1 hour"),
    4: gettext_lazy("4 hours"),
    24: gettext_lazy("1 day"),
    72: gettext_lazy("3 days"),
    168: gettext_lazy("7 days"),
}
HOUR_S = 3600


class RuleForm(forms.Form):
    """For which pool and kind, how many approvers, and for how long a request may wait for them."""

    pool = forms.ChoiceField(label=gettext_lazy("Pool"), required=False)
    kind = forms.ChoiceField(label=gettext_lazy("Kind of operation"), required=False)
    approvers = forms.TypedChoiceField(
        label=gettext_lazy("Approvals of other people"),
        coerce=int,
        initial=1,
        choices=[
            (0, gettext_lazy("None: it starts when its turn comes")),
            (1, gettext_lazy("1 other person")),
            (2, gettext_lazy("2 other people")),
        ],
    )
    expires_after_s = forms.TypedChoiceField(
        label=gettext_lazy("A request waits for approval for"), coerce=int, initial=24 * HOUR_S
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Needed to ask for fewer approvals than until now. Kept in the audit log."),
    )

    def __init__(self, *args: Any, pools: list[str], may_all: bool, rule: ApprovalRule | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = [("", _("Every pool"))] if may_all else []
        self.fields["pool"].choices = [*every, *((name, name) for name in pools)]  # type: ignore[attr-defined]
        kinds = [("", _("Every kind")), *((kind, wording.kind_word(kind)) for kind in actions.kinds())]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
        times = {hours * HOUR_S: str(word) for hours, word in HOURS.items()}
        if rule is not None:
            times.setdefault(rule.expires_after_s, _time_word(rule.expires_after_s))
            del self.fields["pool"], self.fields["kind"]
        self.fields["expires_after_s"].choices = sorted(times.items())  # type: ignore[attr-defined]


def _time_word(seconds: int) -> str:
    if seconds % HOUR_S == 0 and seconds // HOUR_S in HOURS:
        return str(HOURS[seconds // HOUR_S])
    minutes = round(seconds / 60)
    return ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes}


@require_safe
@needs("operations.read")
def rule_list(request: HttpRequest) -> HttpResponse:
    """Every rule with what it holds for and who may approve there."""
    principal = principal_of(request)
    pools = dict(Pool.objects.visible_to(principal).values_list("name", "pk"))
    context = {
        "tabs": operation_tabs(request),
        "rows": [_row(one, principal, pools) for one in rules_seen_by(principal)],
        "may_add": principal.may_somewhere(PERMISSION),
    }
    return render(request, "ops/rules.html", context)


def _row(one: RuleNow, principal: Principal, pools: dict[str, Any]) -> dict[str, Any]:
    rule = one.rule
    return {
        "rule": rule,
        "now": one,
        "kind": wording.kind_word(rule.kind) if rule.kind else _("Every kind"),
        "time": _time_word(rule.expires_after_s),
        "people": one.people[:5],
        "more": max(len(one.people) - 5, 0),
        "set_by": rule.set_by.partition(":")[2],
        "may_change": _may_change(principal, rule.pool, pools),
    }


def _may_change(principal: Principal, pool: str, pools: dict[str, Any]) -> bool:
    if principal.may(PERMISSION):
        return True
    return pool in pools and principal.where(PERMISSION).covers(pools[pool])


@require_http_methods(["GET", "HEAD", "POST"])
@needs("operations.configure")
def rule_edit(request: HttpRequest, rule_id: int | None = None) -> HttpResponse:
    """A new rule, or another number for one that is there."""
    principal = principal_of(request)
    pools = dict(Pool.objects.visible_to(principal).order_by("name").values_list("name", "pk"))
    mine = [name for name in pools if _may_change(principal, name, pools)]
    rule = _rule(principal, rule_id) if rule_id is not None else None
    if rule is not None and not _may_change(principal, rule.pool, pools):
        raise PermissionDenied(PERMISSION)
    initial = {"approvers": rule.approvers, "expires_after_s": rule.expires_after_s} if rule else {}
    given = request.POST if request.method == "POST" else None
    form = RuleForm(given, pools=mine, may_all=principal.may(PERMISSION), rule=rule, initial=initial)

    def save(values: dict[str, Any]) -> HttpResponse:
        where = {"pool": rule.pool, "kind": rule.kind} if rule else {}
        set_rule(**{**values, **where}, actor=principal, now=clock.now())
        messages.info(request, _("The rule holds for requests from now on."))
        return redirect("approval_rules")

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    context = {"form": form, "rule": rule, "kind": wording.kind_word(rule.kind) if rule and rule.kind else ""}
    return render(request, "ops/rule.html", context, status=status)


def _rule(principal: Principal, rule_id: int) -> ApprovalRule:
    try:
        return rule_at(principal, rule_id)
    except NotFound as error:
        raise Http404(str(error)) from error


@require_POST
@needs("operations.configure")
def rule_delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    principal = principal_of(request)
    rule = _rule(principal, rule_id)
    try:
        delete_rule(rule=rule, reason=request.POST.get("reason", ""), actor=principal)
    except FleetError as error:
        messages.error(request, sentence(error))
    return redirect("approval_rules")
