"""Backup policies: the list, one with its ledger and calendar, its form, and the button that backs up now."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput, NotFound
from fleetui.core.form_errors import sentence, submitted
from fleetui.core.keys import key_folder
from nodes.models import Node, Pool
from nodes.views.subject import principal_of
from ops import wording
from ops.api.backups import drill_sentence, run_sentence
from ops.backups.calendar import WEEKS, year_of
from ops.models import BackupDrill, BackupPolicy, BackupRun, BackupTarget
from ops.preflight import gate_check
from ops.schedules.cron import zones
from ops.services.backups import policies as services
from ops.services.backups.drills import request_drill
from ops.services.backups.gates import gate_of
from ops.services.backups.keeping import planned
from ops.services.backups.reading import ledger, newest_good, overdue_at, policy_at, standing, unproven_at
from ops.services.backups.restores import may_restore
from ops.services.backups.restoring import newest_restore
from ops.services.backups.runs import request_backup
from ops.views.backup_forms import PolicyForm, initial_of, settings_of, settings_shown
from ops.views.backup_targets import backup_tabs, where
from ops.views.restores import restores_of
from ops.wording.backups import KINDS, REASONS
from ops.wording.restore import STEPS

RUNS_SHOWN = 100
DRILLS_SHOWN = 20
_REPORT = """curl -fsS -X POST %s \\
  -H "Authorization: Bearer $FLEETUI_TOKEN" -H 'Content-Type: application/json' \\
  -d '{"good": true, "size_bytes": 1048576, "location": "s3://bucket/key"}'"""
_LEVELS = {"running": "info", "good": "ok", "failed": "bad"}


@require_safe
@needs("backups.read")
def policy_list(request: HttpRequest) -> HttpResponse:
    """Every policy with its last good backup and the next time. Four queries."""
    principal, now = principal_of(request), clock.now()
    ended = BackupRun.objects.filter(policy=OuterRef("pk")).exclude(state="running").exclude(result="cancelled")
    policies = BackupPolicy.objects.visible_to(principal).select_related("node", "pool", "target", "schedule")
    rows = list(policies.annotate(last_ended=Subquery(ended.order_by("-started_at").values("state")[:1])))
    good = newest_good(rows)
    latest = BackupRun.objects.filter(policy__in=[one.pk for one in rows], state="running").values_list("policy_id")
    running = {pk for (pk,) in latest}
    shown = [{**_shown(one, now), "good": good.get(one.pk), "is_running": one.pk in running} for one in rows]
    context = {
        "tabs": backup_tabs(request),
        "rows": sorted(shown, key=lambda row: row["standing"].level != "bad"),
        "kinds": [one for one in KINDS.items() if one[0] != "fleetui" or services.may_set(principal, "fleetui", None)],
        "has_target": BackupTarget.objects.exists(),
        "may_change": principal.may_somewhere(services.PERMISSION),
        "add_target_url": _add_target_url(principal),
    }
    return render(request, "ops/backups.html", context)


def _add_target_url(principal: Principal) -> str:
    """Targets are for everything: a role on one pool adds none."""
    return reverse("backup_target_add") if principal.may(services.PERMISSION) else ""


def _shown(one: BackupPolicy, now: datetime) -> dict[str, Any]:
    words = {"good": _("good"), "waits": _("no backup yet"), "overdue": _("overdue"), "never": _("never backed up")}
    stands = standing(one, now)
    return {
        "policy": one,
        "kind": KINDS[one.kind],
        "standing": stands,
        "word": words[stands.code],
        "overdue_at": overdue_at(one),
        "unproven_at": unproven_at(one),
        "gate": gate_of(one, now) if one.is_gate else None,
        "where": one.node_name or one.pool_name,
        "is_gone": bool((one.node_name and one.node is None) or (one.pool_name and one.pool is None)),
    }


def _policy(request: HttpRequest, policy_id: uuid.UUID) -> BackupPolicy:
    try:
        return policy_at(principal_of(request), policy_id)
    except NotFound as error:
        raise Http404(str(error)) from error


@require_safe
@needs("backups.read")
def policy_page(request: HttpRequest, policy_id: uuid.UUID) -> HttpResponse:
    """The ledger, a year as squares, and what goes next."""
    principal, now = principal_of(request), clock.now()
    policy = _policy(request, policy_id)
    plan = planned(policy)
    stays = {one.key.pk: one for one in plan}
    runs: list[dict[str, Any]] = [
        {
            "run": run,
            "level": "none" if run.deleted_at else _LEVELS[run.state],
            "word": _run_word(run),
            "said": run_sentence(run) if run.state == "failed" else "",
            "lasted": (run.ended_at - run.started_at) if run.ended_at else None,
            "why": ", ".join(str(REASONS[one]) for one in stays[run.pk].reasons) if run.pk in stays else "",
            "goes": run.pk in stays and stays[run.pk].goes,
            "is_there": run.state == "good" and not run.deleted_at and bool(run.target_id),
        }
        for run in ledger(policy, RUNS_SHOWN)
    ]
    ends = policy.runs.filter(ended_at__gte=now - timedelta(weeks=WEEKS)).values_list("ended_at", "state")
    zone = timezone.get_current_timezone()
    days = [(at.astimezone(zone).date(), state == "good") for at, state in ends]
    drills = list(policy.drills.all()[:DRILLS_SHOWN])
    context = {
        **_shown(policy, now),
        "target": where(policy.target) if policy.target else "",
        "settings": settings_shown(policy),
        "runs": runs,
        "is_running": any(row["run"].state == "running" for row in runs),
        "calendar": year_of(days, now.astimezone(zone).date()),
        "going": [one.key for one in plan if one.goes],
        "kept": sum(not one.goes for one in plan),
        "kept_bytes": sum(one.key.size_bytes or 0 for one in plan),
        "drills": [_drill_shown(one) for one in drills],
        "is_drilled": any(one.state == "running" for one in drills),
        "proof": next((one for one in map(_drill_shown, drills) if one["drill"].state == "good"), None),
        "gate_says": _gate_says(policy, now) if policy.is_gate else "",
        "report_command": _REPORT % request.build_absolute_uri(reverse("api:backup-report", args=[policy.pk])),
        "may_run": policy.kind != "reported" and principal.may("backups.run", policy.subject),
        "may_change": services.may_set(principal, policy.kind, policy.subject),
        "may_restore": may_restore(principal, policy),
        "restores": restores_of(policy),
        "keys_folder": key_folder(settings.DATA_DIR) if policy.kind == "fleetui" else "",
    }
    if found := newest_restore(policy):
        context["restored"] = found.run
        context["restore"] = [
            {"says": STEPS[one.code], "text": "\n".join(one.lines), "on": ", ".join(one.on)} for one in found.steps
        ]
    return render(request, "ops/backup_policy.html", context)


def _gate_says(policy: BackupPolicy, now: datetime) -> str:
    check = gate_check(gate_of(policy, now).as_json())
    return wording.check_sentence(check.code, check.params)


def _drill_shown(drill: BackupDrill) -> dict[str, Any]:
    words = {"running": _("running"), "good": _("proven"), "failed": _("failed")}
    return {
        "drill": drill,
        "level": _LEVELS[drill.state],
        "word": words[drill.state],
        "said": drill_sentence(drill),
        "who": drill.asked_by.partition(":")[2],
    }


def _run_word(run: BackupRun) -> str:
    if run.deleted_at:
        return _("deleted")
    return {"running": _("running"), "good": _("good"), "failed": _("failed")}[run.state]


@require_http_methods(["GET", "HEAD", "POST"])
@needs("backups.write")
def policy_edit(request: HttpRequest, policy_id: uuid.UUID | None = None) -> HttpResponse:
    """A new policy of the kind in the address, or other settings of one that is there."""
    principal = principal_of(request)
    policy = _policy(request, policy_id) if policy_id else None
    kind = policy.kind if policy else request.GET.get("kind", "path")
    if kind not in BackupPolicy.KINDS:
        raise Http404(kind)
    if (policy is not None or kind == "fleetui") and not services.may_set(principal, kind, policy and policy.subject):
        raise PermissionDenied(services.PERMISSION)
    found = {pool.name: pool for pool in Pool.objects.visible_to(principal).order_by("name")}
    targets = {one.name: one for one in BackupTarget.objects.all()}
    form = PolicyForm(
        request.POST if request.method == "POST" else None,
        kind=kind,
        pools=list(found),
        targets=list(targets),
        next_url=reverse("schedule_next"),
        initial=initial_of(policy, kind, request.GET.get("node", "")),
    )

    def save(values: dict[str, Any]) -> HttpResponse:
        saved = services.set_policy(
            name=values["name"],
            kind=kind,
            settings=settings_of(kind, values),
            node=_node(request, values.get("node", "")),
            pool=found.get(values.get("pool", "")),
            target=targets.get(values.get("target", "")),
            keep=form.keep(),
            overdue_after_s=values["overdue_after_h"] * 3600,
            prove_within_s=values["prove_within_h"] * 3600 if values.get("prove_within_h") else None,
            is_gate=bool(values.get("is_gate")),
            cron=values.get("cron", ""),
            drill_cron=values.get("drill_cron", ""),
            zone=values.get("zone") or "UTC",
            policy=policy,
            expected_revision=values["revision"],
            actor=principal,
            now=clock.now(),
        )
        messages.info(request, _("%(name)s is saved.") % {"name": saved.name})
        return redirect("backup_policy", saved.pk)

    answer, status = submitted(request, form, save, overdue_after_s="overdue_after_h", prove_within_s="prove_within_h")
    if answer is not None:
        return answer
    context: dict[str, Any] = {"form": form, "policy": policy, "kind": KINDS[kind], "key": kind, "zones": zones()}
    context |= {"has_target": bool(targets) or kind == "reported", "add_target_url": _add_target_url(principal)}
    return render(request, "ops/backup_policy_form.html", context, status=status)


def _node(request: HttpRequest, name: str) -> Node | None:
    if not name:
        return None
    found: Node | None = (
        Node.objects.visible_to(principal_of(request)).select_related("pool").filter(name=name.strip()).first()
    )
    if found is None:
        mend = _("Give the name of a node, as the list of nodes has it.")
        raise InvalidInput(_("There is no such node."), field="node", value=name, mend=mend)
    return found


@require_POST
@needs("backups.run")
def policy_run(request: HttpRequest, policy_id: uuid.UUID) -> HttpResponse:
    policy = _policy(request, policy_id)
    if not principal_of(request).may("backups.run", policy.subject):
        raise PermissionDenied("backups.run")
    try:
        answer = request_backup(
            policy=policy, reason=request.POST.get("reason", ""), actor=principal_of(request), now=clock.now()
        )
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("backup_policy", policy.pk)
    return redirect("operation", answer.operations[0].pk)


@require_POST
@needs("backups.run")
def policy_drill(request: HttpRequest, policy_id: uuid.UUID) -> HttpResponse:
    policy = _policy(request, policy_id)
    if not principal_of(request).may("backups.run", policy.subject):
        raise PermissionDenied("backups.run")
    try:
        answer = request_drill(
            policy=policy, reason=request.POST.get("reason", ""), actor=principal_of(request), now=clock.now()
        )
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("backup_policy", policy.pk)
    return redirect("operation", answer.operations[0].pk)


@require_POST
@needs("backups.write")
def policy_delete(request: HttpRequest, policy_id: uuid.UUID) -> HttpResponse:
    policy = _policy(request, policy_id)
    if not services.may_set(principal_of(request), policy.kind, policy.subject):
        raise PermissionDenied(services.PERMISSION)
    try:
        services.delete_policy(policy=policy, reason=request.POST.get("reason", ""), actor=principal_of(request))
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("backup_policy", policy.pk)
    return redirect("backups")
