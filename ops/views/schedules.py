"""Schedules: the list, one with its history, its form with the next times as one types, and its buttons."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput, NotFound
from fleetui.core.form_errors import sentence, submitted
from nodes.models import Pool
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.models import Schedule, ScheduleRun
from ops.schedules.cron import zones
from ops.services import schedules as services
from ops.services import threshold
from ops.services.reasons import is_reason_required, reason_hint
from ops.services.schedule_jobs import job_of
from ops.views.tabs import operation_tabs

RUNS_SHOWN = 50
_PLAIN = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "off", "class": "form-control ui-mono"}
_LEVELS = {"started": "ok", "empty": "none", "missed": "warn", "failed": "bad", "due": "info"}
LATENESS = {
    60: gettext_lazy("1 minute"),
    600: gettext_lazy("10 minutes"),
    3600: gettext_lazy("1 hour"),
    14_400: gettext_lazy("4 hours"),
    86_400: gettext_lazy("1 day"),
}


class ScheduleForm(forms.Form):
    """What is done, where, and when."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=services.LONGEST_NAME)
    kind = forms.ChoiceField(label=gettext_lazy("Operation"))
    pool = forms.ChoiceField(label=gettext_lazy("Pool"), required=False)
    selector = forms.CharField(
        label=gettext_lazy("Only nodes that match"),
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "update_state=staged"}),
        help_text=gettext_lazy("Filters as in the address of the list of nodes. Looked at anew at each run."),
    )
    params = forms.CharField(
        label=gettext_lazy("Parameters"),
        required=False,
        max_length=4000,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": '{"soak_s": 60}'}),
        help_text=gettext_lazy("As JSON, as the API takes them. Empty: the defaults of the operation."),
    )
    stop_after = forms.IntegerField(
        label=gettext_lazy("Stop when so many have ended badly"),
        required=False,
        min_value=1,
        max_value=threshold.MOST,
        help_text=gettext_lazy(
            "Those that have not begun by then are left out. "
            "Empty: all have their turn; only a renewal by kubeadm stops at the first."
        ),
    )
    cron = forms.CharField(
        label=gettext_lazy("When"),
        max_length=200,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "0 2 * * sat"}),
        help_text=gettext_lazy("Minute, hour, day of month, month, day of week; or @daily, @weekly, @hourly."),
    )
    zone = forms.CharField(
        label=gettext_lazy("Time zone"), max_length=60, widget=forms.TextInput(attrs={**_PLAIN, "list": "zones"})
    )
    lateness_s = forms.TypedChoiceField(
        label=gettext_lazy("Counts as missed after"), coerce=int, initial=600, choices=list(LATENESS.items())
    )
    is_late_run = forms.BooleanField(
        label=gettext_lazy("Run once what was missed, however late"),
        required=False,
        help_text=gettext_lazy("Otherwise a missed time is noted and passed over."),
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=300)
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, pools: list[str], may_all: bool, next_url: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        every = [("", _("Every pool"))] if may_all else []
        self.fields["pool"].choices = [*every, *((name, name) for name in pools)]  # type: ignore[attr-defined]
        kinds = sorted((wording.kind_word(kind), kind) for kind in actions.askable())
        self.fields["kind"].choices = [(kind, word) for word, kind in kinds]  # type: ignore[attr-defined]
        late = self.initial.get("lateness_s", 600)
        if late not in LATENESS:
            self.fields["lateness_s"].choices = [*LATENESS.items(), (late, f"{late} s")]  # type: ignore[attr-defined]
        self.fields["reason"].required = is_reason_required()
        self.fields["reason"].help_text = reason_hint()
        ask = {"hx-get": next_url, "hx-target": "#next-runs", "hx-include": "closest form"}
        for name in ("cron", "zone"):
            self.fields[name].widget.attrs.update(ask, **{"hx-trigger": "input changed delay:300ms, change"})

    def clean_params(self) -> dict[str, Any]:
        text = self.cleaned_data["params"].strip()
        try:
            found = json.loads(text) if text else {}
        except ValueError as error:
            raise forms.ValidationError(_("This is not JSON: %(why)s.") % {"why": error}) from error
        if not isinstance(found, dict):
            raise forms.ValidationError(_("Write one JSON object, such as {}."))
        return found

    def clean_selector(self) -> dict[str, str]:
        return QueryDict(self.cleaned_data["selector"].strip().lstrip("?")).dict()


@require_safe
@needs("operations.read")
def schedule_list(request: HttpRequest) -> HttpResponse:
    """Every schedule with its next time and what became of the last one. Two queries."""
    principal = principal_of(request)
    rows = list(Schedule.objects.visible_to(principal).select_related("pool"))
    latest: dict[uuid.UUID, ScheduleRun] = {}
    for run in ScheduleRun.objects.filter(pk__in=_latest(rows)):
        latest[run.schedule_id] = run
    context = {
        "tabs": operation_tabs(request),
        "rows": [{**_shown(one), "last": _run(latest[one.pk]) if one.pk in latest else None} for one in rows],
        "may_add": principal.may_somewhere(services.PERMISSION),
    }
    return render(request, "ops/schedules.html", context)


def _latest(rows: list[Schedule]) -> Any:
    newest = ScheduleRun.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("pk")[:1]
    return Schedule.objects.filter(pk__in=[one.pk for one in rows]).order_by().values_list(Subquery(newest))


def _shown(one: Schedule) -> dict[str, Any]:
    return {
        "schedule": one,
        "work": job_of(one.job).words(one.task),
        "where": one.pool.name if one.pool else one.pool_name,
        "is_gone": bool(one.pool_name) and one.pool is None,
        "owner": one.owner.partition(":")[2],
    }


def _run(run: ScheduleRun) -> dict[str, Any]:
    words = {
        "due": _("starting"),
        "started": _("started"),
        "empty": _("nothing to do"),
        "missed": _("missed"),
        "failed": _("failed"),
    }
    level, word = _LEVELS[run.state], words[run.state]
    if run.state == "empty" and run.refused:
        # There was something to do.
        level, word = "warn", _("refused")
    return {"run": run, "level": level, "word": word, "by": run.asked_by.partition(":")[2]}


def _next(found: Iterable[datetime]) -> list[dict[str, Any]]:
    """The next times as the clock of the zone shows them: a template would turn them to the reader's."""
    return [{"at": one, "text": dateformat.format(one, "D Y-m-d H:i T")} for one in found]


def _schedule(request: HttpRequest, schedule_id: uuid.UUID) -> Schedule:
    try:
        return services.schedule_at(principal_of(request), schedule_id)
    except NotFound as error:
        raise Http404(str(error)) from error


def _may(principal: Principal, schedule: Schedule) -> bool:
    """Its job says which right it takes: that of backups is another one."""
    return principal.may(job_of(schedule.job).permission, schedule)


@require_safe
@needs("operations.read")
def schedule_page(request: HttpRequest, schedule_id: uuid.UUID) -> HttpResponse:
    schedule = _schedule(request, schedule_id)
    context = {
        **_shown(schedule),
        "next_runs": _next(services.upcoming_of(schedule, clock.now())),
        "zone": schedule.zone,
        "selector": _query(schedule.task.get("selector", {})),
        "params": json.dumps(schedule.task.get("params", {})) if schedule.task.get("params") else "",
        "lateness": LATENESS.get(schedule.lateness_s, f"{schedule.lateness_s} s"),
        "runs": [_run(one) for one in schedule.runs.all()[:RUNS_SHOWN]],
        "may_change": _may(principal_of(request), schedule),
    }
    return render(request, "ops/schedule.html", context)


@require_safe
@needs("operations.request")
def next_shown(request: HttpRequest) -> HttpResponse:
    """The next five times of what stands in the form."""
    cron, zone = request.GET.get("cron", "").strip(), request.GET.get("zone", "").strip()
    context: dict[str, Any] = {"zone": zone}
    if cron:
        try:
            context["next_runs"] = _next(services.upcoming(cron, zone, clock.now()))
        except InvalidInput as error:
            context["problem"] = sentence(error)
    return render(request, "ops/partials/next_runs.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("operations.request")
def schedule_edit(request: HttpRequest, schedule_id: uuid.UUID | None = None) -> HttpResponse:
    """A new schedule, or another time or task for one that is there."""
    principal = principal_of(request)
    schedule = _schedule(request, schedule_id) if schedule_id else None
    if schedule is not None and not _may(principal, schedule):
        raise PermissionDenied(services.PERMISSION)
    if schedule is not None and schedule.job in ("backup", "restore_drill"):
        return redirect("backup_policy_edit", schedule.task["policy"])
    where = principal.where(services.PERMISSION)
    pools = {pool.name: pool for pool in Pool.objects.visible_to(principal).order_by("name") if where.covers(pool.pk)}
    form = ScheduleForm(
        request.POST if request.method == "POST" else None,
        pools=list(pools),
        may_all=principal.may(services.PERMISSION),
        next_url=reverse("schedule_next"),
        initial=_initial(schedule),
    )

    def save(values: dict[str, Any]) -> HttpResponse:
        saved = services.set_schedule(
            name=values["name"],
            cron=values["cron"],
            zone=values["zone"],
            task={name: values[name] for name in ("kind", "params", "selector", "reason", "stop_after")},
            pool=pools.get(values["pool"]),
            is_late_run=values["is_late_run"],
            lateness_s=values["lateness_s"],
            schedule=schedule,
            expected_revision=values["revision"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("%(name)s is saved. It runs with your rights.") % {"name": saved.name})
        return redirect("schedule", saved.pk)

    answer, status = submitted(request, form, save)
    if answer is not None:
        return answer
    context: dict[str, Any] = {"form": form, "schedule": schedule, "zones": zones(), "zone": form["zone"].value()}
    try:
        cron, zone = str(form["cron"].value() or ""), str(form["zone"].value())
        context["next_runs"] = _next(services.upcoming(cron, zone, clock.now()))
    except InvalidInput:
        context["next_runs"] = []
    return render(request, "ops/schedule_form.html", context, status=status)


def _query(selector: Mapping[str, str]) -> str:
    """As the form reads it back: a value may hold & and +."""
    return urlencode(selector, safe=":,/")


def _initial(schedule: Schedule | None) -> dict[str, Any]:
    if schedule is None:
        return {"zone": timezone.get_current_timezone_name(), "kind": "reboot", "cron": ""}
    task = schedule.task
    return {
        "name": schedule.name,
        "kind": task.get("kind"),
        "pool": schedule.pool.name if schedule.pool else "",
        "selector": _query(task.get("selector", {})),
        "params": json.dumps(task["params"]) if task.get("params") else "",
        "stop_after": task.get("stop_after"),
        "reason": task.get("reason", ""),
        "cron": schedule.cron,
        "zone": schedule.zone,
        "lateness_s": schedule.lateness_s,
        "is_late_run": schedule.is_late_run,
        "revision": schedule.revision,
    }


@require_POST
@needs("operations.request")
def schedule_do(request: HttpRequest, schedule_id: uuid.UUID) -> HttpResponse:
    """The buttons: run, pause, resume, delete."""
    principal, now = principal_of(request), clock.now()
    schedule = _schedule(request, schedule_id)
    if not _may(principal, schedule):
        raise PermissionDenied(job_of(schedule.job).permission)
    what, reason = request.POST.get("do", ""), request.POST.get("reason", "")
    try:
        if what == "run":
            run = services.run_now(schedule=schedule, actor=principal, now=now)
            if run.request_id:
                return redirect("operation_bulk", run.request_id) if run.made else redirect("schedule", schedule.pk)
        elif what == "pause":
            services.pause(schedule=schedule, reason=reason, actor=principal, now=now)
        elif what == "resume":
            services.resume(schedule=schedule, actor=principal, now=now)
        elif what == "delete":
            services.delete_schedule(schedule=schedule, reason=reason, actor=principal)
            return redirect("schedules")
        else:
            raise Http404(what)
    except FleetError as error:
        messages.error(request, sentence(error))
    return redirect("schedule", schedule.pk)
