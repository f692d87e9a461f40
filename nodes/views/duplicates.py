"""Duplicates: what nodes share, which of them stays, and what a person knows better."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.models import HostKey, Node
from nodes.services import duplicates, merging
from nodes.views.actions import reason_of
from nodes.views.host_keys import waiting
from nodes.views.subject import node_for, principal_of

MOST_SHOWN = 100


def kind_word(kind: str) -> str:
    return {"machine_id": _("Machine id"), "address": _("Address"), "host_key": _("Host key")}[kind]


def field_word(name: str) -> str:
    words = {
        "name": _("Name"),
        "address": _("Address"),
        "port": _("Port"),
        "pool": _("Pool"),
        "credential": _("Credential"),
        "os_family_given": _("OS family"),
        "machine_id": _("Machine id"),
        "labels": _("Labels"),
    }
    return words[name]


@require_safe
@needs("nodes.read")
def duplicate_list(request: HttpRequest) -> HttpResponse:
    """Every group of nodes that share something, with what can be done about it."""
    principal = principal_of(request)
    groups = duplicates.find_duplicates(principal)
    shown = [
        {
            "shared": [{"word": kind_word(one.kind), "kind": one.kind, "value": one.value} for one in group.shared],
            "what": ", ".join(kind_word(one.kind).lower() for one in group.shared),
            "nodes": group.nodes,
            "more": group.more,
            "may_write": all(principal.may("nodes.write", node) for node in group.nodes),
        }
        for group in groups[:MOST_SHOWN]
    ]
    context = {
        "groups": shown,
        "more": max(0, len(groups) - MOST_SHOWN),
        "distinct": [{"row": row, "word": kind_word(row.kind)} for row in duplicates.distinct_visible_to(principal)],
        "may_write": principal.may_somewhere("nodes.write"),
    }
    return render(request, "nodes/duplicates.html", context)


@require_safe
@needs("nodes.read")
def duplicate_count(request: HttpRequest) -> HttpResponse:
    """The lines below the list of nodes: duplicates, and keys that wait; asked for after the list, which it must not slow down."""
    principal = principal_of(request)
    context = {"count": duplicates.count_duplicates(principal), "waiting": waiting(principal).count()}
    return render(request, "nodes/partials/duplicate_count.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.write")
def merge(request: HttpRequest, name: str) -> HttpResponse:
    """What would be kept of both; then the merge. `other` names the node that goes."""
    principal = principal_of(request)
    keep = node_for(request, name, "nodes.write")
    other = node_for(request, (request.POST or request.GET).get("other", ""), "nodes.write")
    if keep.pk == other.pk:
        raise Http404(name)
    status, error = 200, ""
    if request.method == "POST":
        try:
            merging.merge_nodes(
                keep=keep,
                other=other,
                reason=reason_of(request),
                actor=principal,
                now=clock.now(),
                expected={keep.name: _number(request, "keep_revision"), other.name: _number(request, "other_revision")},
            )
        except FleetError as problem:
            status, error = 422 if problem.status < 500 else problem.status, sentence(problem)
        else:
            said = _("%(other)s was merged into %(name)s.")
            messages.info(request, said % {"other": other.name, "name": keep.name})
            return redirect("nodes:detail", name=keep.name)
    context = {"keep": keep, "other": other, "error": error, **_comparison(keep, other)}
    return render(request, "nodes/merge.html", context, status=status)


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _comparison(keep: Node, other: Node) -> dict[str, Any]:
    pinned = dict(HostKey.objects.filter(node__in=[keep, other], state="pinned").values_list("node_id", "fingerprint"))
    rows = [
        {
            "word": field_word(one.field),
            "kept": _spelled(one.kept),
            "other": _spelled(one.other),
            "result": _spelled(one.result),
            "changes": one.changes,
        }
        for one in merging.merge_plan(keep, other)
    ]
    key = {"word": _("Trusted host key"), "kept": pinned.get(keep.pk, ""), "other": pinned.get(other.pk, "")}
    return {
        "rows": [*rows, {**key, "result": key["kept"], "changes": False}],
        "counts": {
            "timeline": other.timeline.count(),
            "facts": other.facts_history.count(),
        },
        "announces": other.enrolled_at is not None,
    }


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" if text else key for key, text in sorted(value.items()))
    return "" if value is None else str(value)


@require_POST
@needs("nodes.write")
def distinct(request: HttpRequest) -> HttpResponse:
    """These are different machines."""
    try:
        duplicates.say_distinct(
            kind=request.POST.get("kind", ""),
            value=request.POST.get("value", "").replace("\0", "")[:300],
            reason=reason_of(request),
            actor=principal_of(request),
            now=clock.now(),
        )
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("They count as different machines from now on."))
    return redirect("nodes:duplicates")


@require_POST
@needs("nodes.write")
def distinct_undo(request: HttpRequest, distinct_id: uuid.UUID) -> HttpResponse:
    principal = principal_of(request)
    row = next((one for one in duplicates.distinct_visible_to(principal) if one.pk == distinct_id), None)
    if row is None:
        raise Http404(str(distinct_id))
    try:
        duplicates.undo_distinct(row=row, actor=principal)
    except FleetError as error:
        messages.error(request, sentence(error))
    return redirect(f"{reverse('nodes:duplicates')}#distinct")
