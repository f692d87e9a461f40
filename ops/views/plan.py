"""Plan first: what is selected is shown with what would be done to each node, then asked for with a reason."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput
from fleetui.core.form_errors import take_error
from nodes.hosts import drivers
from nodes.models import ContainerOnNode, Facts, Node
from nodes.views.links import list_url
from nodes.views.list import selected
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.services.clusters.nodes import in_clusters
from ops.services.outlook import outlook
from ops.services.plan import NodePlan
from ops.services.reasons import is_reason_required
from ops.services.request import MOST_NODES, preview, request_operations
from ops.services.seen import fingerprint
from ops.views.plan_form import BACK_BY_ITSELF, FIELDS, INITIAL, PlanForm
from ops.views.words import differences, time_word

CONFIRM_ABOVE = 10
SHOWN_TARGETS = 200
#: Nodes whose facts are read for the names of units.
MOST_READ = 50
#: Findings that stand in the plan though nothing is wrong: what happens in the cluster, and who replaces the machine.
_TOLD = frozenset(
    {
        "is_drained",
        "cluster_looked_at",
        "pods_to_go",
        "by_hook",
        "by_webhook",
        "by_manual",
        "by_terraform",
        "pool_whole",
        "etcd_is_asked",
        "is_dropped",
        "not_pinned_now",
        "pinned_now",
    }
)


@require_POST
@needs("operations.request")
def plan(request: HttpRequest) -> HttpResponse:
    """First with a selection: shows the plan. Then with `go`: asks for the operations."""
    principal = principal_of(request)
    kind = request.POST.get("kind", "")
    if kind not in actions.askable():
        messages.warning(request, _("This is no kind of operation."))
        return redirect(list_url(request.POST.get("filter", "")))
    if "go" in request.POST or "again" in request.POST:
        form = PlanForm(request.POST, kind=kind)
        ids = request.POST.get("ids", "").split(",")
    else:
        query = QueryDict(request.POST.get("filter", "").lstrip("?"))
        nodes = selected(principal, request.POST, query)
        ids = [str(pk) for pk in nodes.order_by("name").values_list("pk", flat=True)[: MOST_NODES + 1]]
        if not ids or len(ids) > MOST_NODES:
            most = {"limit": f"{MOST_NODES:,}"}
            said = (
                _("No node is selected.")
                if not ids
                else _("Nothing was asked for: select at most %(limit)s nodes.") % most
            )
            messages.warning(request, said)
            return redirect(list_url(request.POST.get("filter", "")))
        given = {name: request.POST[name] for name in FIELDS.get(kind, ()) if name in request.POST}
        if kind in BACK_BY_ITSELF:
            given.setdefault("roll_back", "on")
        if deletes(kind) or actions.get(kind).stop_after:
            given["stop_after"] = "1"
        form = PlanForm({**INITIAL, **given, "ids": ",".join(ids), "kind": kind}, kind=kind)
    return _answer(request, form, kind, len(ids))


def _answer(request: HttpRequest, form: PlanForm, kind: str, count: int) -> HttpResponse:
    principal, plans, status = principal_of(request), [], 200
    nodes: list[Node] = []
    if form.is_valid():
        visible = Node.objects.visible_to(principal).select_related("pool__cluster")
        nodes = list(visible.filter(pk__in=form.cleaned_data["ids"]).order_by("name"))
        if actions.get(kind).on != "cluster" and not in_clusters(nodes).rows:
            form.without_drain()
        try:
            if not form.is_complete and not {"go", "again"} & set(request.POST):
                return render(request, "ops/plan.html", _context(form, kind, nodes, [], count))
            plans = preview(nodes=nodes, kind=kind, params=form.params(), actor=principal, now=clock.now())
            if "go" in request.POST and _is_as_shown(form, plans, request.POST.get("seen")) and _confirmed(form, plans):
                answer = request_operations(
                    nodes=nodes,
                    kind=kind,
                    params=form.params(),
                    reason=form.cleaned_data["reason"],
                    patience=timedelta(hours=form.cleaned_data["hours"]),
                    stop_after=form.cleaned_data.get("stop_after"),
                    actor=principal,
                    now=clock.now(),
                )
                if len(answer.operations) == 1:
                    return redirect("operation", operation_id=answer.operations[0].pk)
                if answer.operations:
                    return redirect("operation_bulk", request_id=answer.request.pk)
                raise InvalidInput(
                    _("Nothing can be done to any of these nodes now."), mend=_("See the reasons below.")
                )
        except FleetError as error:
            status = take_error(form, error, **{f"params.{name}": name for name in form.fields})
    if form.errors:
        status = 422
    return render(request, "ops/plan.html", _context(form, kind, nodes, plans, count), status=status)


def _is_as_shown(form: PlanForm, plans: list[NodePlan], seen: str | None) -> bool:
    """Hosts, releases and the fields of the form may have changed since: nobody has seen what would be done now."""
    if seen is None or seen == fingerprint(plans, form.params()):
        return True
    form.add_error(
        None,
        _("Nothing was asked for: what would be done has changed since the plan was shown. Look at it, and ask again."),
    )
    return False


def _confirmed(form: PlanForm, plans: list[NodePlan]) -> bool:
    """More than ten hosts ask for their number to be typed; what deletes machines always does, of one for its name."""
    applicable = sum(1 for one in plans if not one.refused)
    typed = form.cleaned_data["count"].replace(",", "").strip()
    if deletes(form.cleaned_data["kind"]):
        names = [one.node.name for one in plans if not one.refused]
        if applicable == 1 and typed != names[0]:
            form.add_error("count", _("Type the name of the node as it is shown."))
            return False
        if applicable > 1 and typed != str(applicable):
            form.add_error("count", _("Type the number of nodes as it is shown."))
            return False
    if applicable > CONFIRM_ABOVE and typed != str(applicable):
        form.add_error("count", _("Type the number of nodes as it is shown."))
        return False
    return True


def deletes(kind: str) -> bool:
    """Whether what is on the machine is gone afterwards."""
    return actions.get(kind).on == "machine"


def _known_units(nodes: list[Node], kind: str) -> list[str]:
    """Units that the facts of the nodes name, failed ones first; those of containers where only they will do."""
    facts = Facts.objects.filter(pk__in=[node.facts_id for node in nodes[:MOST_READ] if node.facts_id])
    if kind in ("container_update", "container_rollback"):
        rows = ContainerOnNode.objects.filter(node__in=nodes[:MOST_READ], managed_by__in=("quadlet", "unit"))
        return sorted(set(rows.exclude(unit="").order_by().values_list("unit", flat=True).distinct()))
    parts = ("document__health__failed_units", "document__kubernetes__role", "document__containers__runtimes")
    failed: set[str] = set()
    others: set[str] = set()
    for units, role, runtimes in facts.values_list(*parts):
        failed |= {str(one["name"]) for one in units or []}
        others |= {"kubelet.service"} if role else set()
        others |= {"docker.service"} & {f"{one['name']}.service" for one in runtimes or []}
    for family in {node.os_family or "unknown" for node in nodes}:
        others |= set(drivers.get(family).agent_units)
    return [*sorted(failed), *sorted(others - failed)]


def _known_images(nodes: list[Node], unit: str) -> list[str]:
    """Images that containers of the nodes run now, those of the unit where one is named."""
    rows = ContainerOnNode.objects.filter(node__in=nodes[:MOST_READ], **({"unit": unit} if unit else {}))
    found = rows.exclude(tag="").order_by().values_list("repository", "tag").distinct()[:MOST_READ]
    return sorted(f"{repository}:{tag}" for repository, tag in found)


def _context(form: PlanForm, kind: str, nodes: list[Node], plans: list[NodePlan], count: int) -> dict[str, Any]:
    form.fields["reason"].required = is_reason_required()
    for name in ("unit", "image", "container", "certificate"):
        if name in form.fields:
            form.fields[name].required = True
    applicable = [one for one in plans if not one.refused]
    refused = [one for one in plans if one.refused]
    blocked = sum(1 for one in applicable if any(check.level == "block" for check in one.checks))
    commands = {tuple(map(tuple, one.commands)) for one in applicable}
    return {
        "form": form,
        "kind": kind,
        "kind_word": wording.kind_word(kind),
        "count": count,
        "applicable": len(applicable),
        "blocked": blocked,
        "confirm": len(applicable) > CONFIRM_ABOVE or (deletes(kind) and len(applicable) > 1),
        "confirm_name": applicable[0].node.name if deletes(kind) and len(applicable) == 1 else "",
        "deletes": deletes(kind),
        "planes": any(one.target.get("control_plane") for one in applicable),
        "is_planned": bool(plans),
        "seen": fingerprint(plans, form.params()) if plans else "",
        "is_disruptive": actions.get(kind).is_disruptive,
        "restarts": "reboot" in [step.name for step in actions.get(kind).steps],
        "known_units": _known_units(nodes, kind) if "unit" in form.fields else [],
        "known_images": _known_images(nodes, str(form.data.get("unit", ""))) if "image" in form.fields else [],
        "one_command": [shlex.join(command) for command in next(iter(commands))] if len(commands) == 1 else [],
        "rows": [_row(one) for one in applicable[:SHOWN_TARGETS]],
        "more": max(len(applicable) - SHOWN_TARGETS, 0),
        "refused": [
            {"name": one.node.name, "why": wording.refusal_sentence(one.refused, one.params)}
            for one in refused[:SHOWN_TARGETS]
        ],
        "refused_count": len(refused),
        **_outlook(plans, kind),
    }


def _outlook(plans: list[NodePlan], kind: str) -> dict[str, Any]:
    """What the plan says as a whole, beside the button."""
    if not plans:
        return {}
    found = outlook(plans, kind=kind, now=clock.now())
    runs = sum({plan.node.pool_id: plan.expected.runs for plan in plans if plan.expected}.values())
    return {
        "approvals": found.needed.approvals,
        "approve_by": found.needed.until,
        "whole_time": time_word(found.seconds) if found.seconds is not None else "",
        "runs": runs,
    }


def _row(plan: NodePlan) -> dict[str, Any]:
    worst = sorted(plan.checks, key=lambda check: ("block", "warn", "ok").index(check.level))
    return {
        "node": plan.node,
        "before": plan.target.get("before", plan.frozen.get("booted_version", "")),
        "after": plan.target.get("version", ""),
        "expected": time_word(plan.expected.seconds) if plan.expected else "",
        "runs": plan.expected.runs if plan.expected else 0,
        "differences": differences(plan.target),
        "commands": [shlex.join(command) for command in plan.commands],
        "etcd_url": reverse("node_etcd", args=[plan.node.name]) if plan.target.get("control_plane") else "",
        "checks": [
            {
                "level": {"block": "bad", "warn": "warn", "ok": "info"}[check.level],
                "text": wording.check_sentence(check.code, check.params),
            }
            for check in worst
            if check.level != "ok" or check.code in _TOLD
        ],
    }
