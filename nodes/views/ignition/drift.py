"""Drift on pages: what a node differs in, and how the nodes of a pool stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.facts.containers import on_purpose
from nodes.models import Drift, Facts, Node, Pool
from nodes.models.node import IgnitionState
from nodes.services.drift.checks import request_check
from nodes.services.drift.states import changes_of_disks
from nodes.services.ignition import rights
from nodes.services.ignition.permanent import config_of, make_permanent
from nodes.tasks import nudge_drift
from nodes.views.ignition.subject import version_url
from nodes.views.links import nodes_url
from nodes.views.subject import node_for, principal_of
from nodes.wording.configs import effect_sentence
from nodes.wording.drift import (
    CLASS_LEVELS,
    CLASS_MENDS,
    CLASS_WORDS,
    REASONS,
    UNLOOKED,
    WHAT_WORDS,
    failure_words,
    state_words,
)
from nodes.wording.ignition import SECTION_WORDS

#: In the order in which somebody acts on them.
_CLASSES = ("replacement", "in_place", "os")


@require_POST
@needs("nodes.poll")
def drift_check(request: HttpRequest, name: str) -> HttpResponse:
    """Compare this node at once."""
    node = node_for(request, name, "nodes.poll")
    try:
        request_check(node=node, actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        nudge_drift()
        messages.info(request, _("%(name)s is compared now.") % {"name": node.name})
    return redirect("nodes:node_ignition", name=name)


@require_POST
@needs("ignition.edit")
def drift_permanent(request: HttpRequest, name: str) -> HttpResponse:
    """Write the version that makes an image permanent which FleetUI gave to a unit."""
    node, principal = node_for(request, name, "ignition.edit"), principal_of(request)
    try:
        version = make_permanent(node=node, path=request.POST.get("path", ""), actor=principal, now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
        return redirect("nodes:node_ignition", name=name)
    messages.info(request, _("Version %(number)s was saved as a draft.") % {"number": version.number})
    return redirect(version_url(version))


def drift_context(node: Node, principal: Principal) -> dict[str, Any]:
    """What the section on the page of a node shows: two queries, and a few more where FleetUI wrote files."""
    rows = Drift.objects.select_related("version__config").defer(*Drift.HEAVY_VERSION)
    row: Drift | None = rows.filter(node=node).first()
    failure = None
    if row is not None and row.failed_at is not None:
        said, mend = failure_words(row.error_kind, row.error_params)
        failure = {"said": said, "mend": mend, "at": row.failed_at, "raw": row.raw}
    differences = row.differences if row else []
    kept = len(differences)
    counts = {name: getattr(row, f"{name}_count") if row else 0 for name in _CLASSES}
    purposes = on_purpose(Facts.objects.container_units(node.facts_id))
    config = config_of(node, principal) if purposes else None
    return {
        "drift": row,
        "ignition_state": state_words(node.ignition_state),
        "drift_groups": [_group(name, counts[name], differences) for name in _CLASSES if counts[name]],
        "drift_intended": [effect_sentence(one.what) for one in changes_of_disks(node)],
        "drift_left_out": sum(counts.values()) - kept,
        "drift_unlooked": [
            {"subject": one["subject"], "why": UNLOOKED.get(one["why"], one["why"])}
            for one in (row.unlooked if row else [])
        ],
        "drift_on_purpose": purposes,
        "permanent_in": config if config is not None and rights.may(principal, "ignition.edit", config) else None,
        "drift_failure": failure,
        "may_check": principal.may("nodes.poll", node) and node.lifecycle != "retired" and node.applied_version_id,
    }


def _group(name: str, count: int, differences: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "level": CLASS_LEVELS[name],
        "word": CLASS_WORDS[name],
        "mend": CLASS_MENDS[name],
        "count": count,
        "rows": [_row(one) for one in differences if one["class"] == name],
    }


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "section": SECTION_WORDS.get(one["section"], one["section"]),
        "what": WHAT_WORDS.get(one["what"], one["what"]),
        "reason": REASONS.get(one["reason"], ""),
        "is_hidden": one["what"] == "contents" and not one["diff"] and not one["reason"],
        "diff": [{"kind": kind, "text": text} for kind, text in one["diff"]],
    }


def state_segments(pool: Pool) -> list[dict[str, Any]]:
    """The nodes of a pool by Ignition state, each a link: one query over an index."""
    rows = Node.objects.filter(pool=pool).counted().order_by().values_list("ignition_state")
    counts = dict(rows.annotate(nodes=Count("pk")))
    return [
        {
            "level": words["level"],
            "label": words["word"],
            "count": counts.get(state.value, 0),
            "url": nodes_url(pool=pool.name, ignition_state=state.value),
        }
        for state in IgnitionState
        if (words := state_words(state.value))
    ]
