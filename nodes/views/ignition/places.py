"""Ignition of a pool and of a node: what they should have, what the machine was born with, and their values."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.core import clock
from fleetui.core.errors import FleetError, InvalidInput
from fleetui.core.form_errors import sentence
from nodes.models import IgnitionValue, IgnitionVersion, Node, Pool
from nodes.models.ignition import ReviewState
from nodes.services.ignition import intent, values
from nodes.services.ignition.declarations import from_json
from nodes.services.ignition.marker import marker_of
from nodes.services.ignition.rendering import is_node_name, problems_of, values_for
from nodes.services.provisioning.offer import NEEDED
from nodes.views.ignition.drift import drift_context, state_segments
from nodes.views.ignition.subject import version_url
from nodes.views.pools import visible_pool
from nodes.views.subject import node_for, principal_of
from nodes.wording.ignition import APPLIED_WORDS, MARKER_SENTENCES

#: Choices of one menu; older versions are found on the page of their config.
MOST_CHOICES = 200


@require_safe
@needs("ignition.read")
def pool_ignition(request: HttpRequest, name: str) -> HttpResponse:
    """What new machines of the pool get, and the values of its variables."""
    pool = visible_pool(request, name, "ignition.read")
    principal = principal_of(request)
    intended = _intended(pool)
    approved = IgnitionVersion.objects.light().filter(
        config__in=pool.ignition_configs.order_by().values("pk"), state=ReviewState.APPROVED
    )
    asked = request.GET.get("choose", "")
    context = {
        "place": pool,
        "pool": pool,
        "intended": intended,
        "intended_url": version_url(intended) if intended else "",
        "configs": list(pool.ignition_configs.visible_to(principal).order_by("name")),
        "choices": [
            {
                "version": one,
                "value": f"{one.config.name}/{one.number}",
                "is_chosen": f"{one.config.name}/{one.number}" == asked,
            }
            for one in approved.select_related("config").order_by("config__name", "-number")[:MOST_CHOICES]
        ],
        "may_intend": principal.may("ignition.intend", pool),
        "may_edit": principal.may("ignition.edit", pool),
        "node_count": Node.objects.filter(pool=pool).counted().capped_count(),
        "in_step": Node.objects.filter(pool=pool, applied_version=intended).counted().capped_count() if intended else 0,
        "state_segments": state_segments(pool) if pool.intended_version_id else [],
        **_values(intended, pool=pool),
        **_addresses("pool", name),
    }
    return render(request, "nodes/ignition/place.html", context)


@require_safe
@needs("ignition.read")
def node_ignition(request: HttpRequest, name: str) -> HttpResponse:
    """What the node should have, what its machine was provisioned with, and its own values."""
    node = node_for(request, name, "ignition.read")
    principal = principal_of(request)
    intended = _intended(node.pool) if node.pool else None
    applied = IgnitionVersion.objects.light().select_related("config").filter(pk=node.applied_version_id).first()
    versions = IgnitionVersion.objects.visible_to(principal).light().exclude(state=ReviewState.DRAFT)
    if node.pool_id:
        versions = versions.filter(config__pools=node.pool_id)
    context = {
        "place": node,
        "node": node,
        "intended": intended,
        "intended_url": version_url(intended) if intended else "",
        "applied": applied,
        "applied_url": version_url(applied) if applied else "",
        "applied_how": APPLIED_WORDS.get(node.applied_how, node.applied_how),
        "marker": _marker(node),
        "choices": [
            {"version": one, "value": f"{one.config.name}/{one.number}", "is_chosen": one.pk == node.applied_version_id}
            for one in versions.select_related("config").order_by("config__name", "-number")[:MOST_CHOICES]
        ],
        "may_note": principal.may("nodes.write", node),
        "may_provision": node.lifecycle != "retired" and all(principal.may(one, node) for one in NEEDED),
        "may_edit": principal.may("ignition.edit", node),
        **drift_context(node, principal),
        **_values(intended, node=node),
        **_addresses("node", name),
    }
    return render(request, "nodes/ignition/place.html", context)


def _marker(node: Node) -> dict[str, str] | None:
    """What the note on the host says, as a sentence, and word for word where it is none of ours."""
    found = marker_of(node)
    if found is None:
        return None
    said = found.said
    named = str(found.version or "") or " ".join(str(said[key]) for key in ("config", "version") if said.get(key))
    key = (node.applied_how or "unset") if found.verdict == "contradicts" else found.verdict
    sentence = MARKER_SENTENCES.get(key, MARKER_SENTENCES["unset"]) % {"said": named or said.get("version_id") or ""}
    known = {name: said[name] for name in ("config", "version", "version_id", "source_sha256") if said.get(name)}
    verbatim = said.get("verbatim") or (json.dumps(known) if found.verdict == "unknown" else "")
    return {"sentence": sentence, "verbatim": verbatim, "level": "" if found.verdict == "agrees" else "warn"}


def _addresses(kind: str, name: str) -> dict[str, str]:
    return {
        "choose_url": reverse(f"nodes:{kind}_ignition_choose", args=[name]),
        "value_url": reverse(f"nodes:{kind}_ignition_value", args=[name]),
    }


def _intended(pool: Pool) -> IgnitionVersion | None:
    found: IgnitionVersion | None = (
        IgnitionVersion.objects.defer("source", "files", "rendered", "report")
        .select_related("config")
        .filter(pk=pool.intended_version_id)
        .first()
    )
    return found


def _values(intended: IgnitionVersion | None, *, pool: Pool | None = None, node: Node | None = None) -> dict[str, Any]:
    """A row for each variable that is declared or set: where its value comes from, and what is wrong with it."""
    declarations = from_json(intended.declarations) if intended else []
    known = dict(values_for(declarations, pool=pool, node=node))
    of_each = {one.name for one in declarations if node is None and is_node_name(one) and one.name not in known}
    asked = [one for one in declarations if one.name not in of_each]
    problems = {one.name: one.why for one in problems_of(asked, known)}
    where = {"node": node} if node is not None else {"pool": pool}
    own = {row.name: row for row in IgnitionValue.objects.filter(**where)}
    declared = {one.name: one for one in declarations}
    rows = []
    for name in [*declared, *(name for name in sorted(own) if name not in declared)]:
        declaration, value, row = declared.get(name), known.get(name), own.get(name)
        is_secret = row.is_secret if row else str(declaration.type) == "secret" if declaration else False
        shown = "" if value is None or value.is_secret else value.text
        rows.append(
            {
                "name": name,
                "type": str(declaration.type) if declaration else "",
                "description": declaration.description if declaration else "",
                "default": declaration.default if declaration else None,
                "is_secret": is_secret,
                "is_set": row is not None,
                "text": row.value if row and not row.is_secret else shown,
                "origin": "own" if row else value.origin if value else "name" if name in of_each else "",
                "problem": problems.get(name, ""),
                "set_at": row.set_at if row else None,
                "set_by": row.set_by if row else "",
                "is_declared": declaration is not None,
            }
        )
    return {"rows": rows, "missing": len(problems)}


def _version(request: HttpRequest) -> IgnitionVersion | None:
    """The version that a form names as name/number; None for none of them. Raises InvalidInput for what is not there."""
    asked = request.POST.get("version", "")
    if not asked:
        return None
    name, _slash, number = asked.partition("/")
    found: IgnitionVersion | None = None
    if number.isdecimal() and len(number) < 9:
        versions = IgnitionVersion.objects.visible_to(principal_of(request)).light().select_related("config")
        found = versions.filter(config__name=name.replace("\0", ""), number=int(number)).first()
    if found is None:
        raise InvalidInput(
            _("There is no version %(version)s that you may see.") % {"version": asked[:120]},
            field="version",
            mend=_("Choose another one: it may have been deleted meanwhile."),
        )
    return found


@require_POST
@needs("ignition.intend")
def pool_choose(request: HttpRequest, name: str) -> HttpResponse:
    """Let the pool intend a version, or none."""
    pool = visible_pool(request, name, "ignition.intend")
    try:
        version = _version(request)
        intent.intend(
            pool=pool,
            version=version,
            actor=principal_of(request),
            now=clock.now(),
            reason=request.POST.get("reason", ""),
        )
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        if version is None:
            messages.info(request, _("New machines of %(pool)s get no config from here.") % {"pool": name})
        else:
            said = _("New machines of %(pool)s get %(config)s version %(number)s.")
            messages.info(request, said % {"pool": name, "config": version.config.name, "number": version.number})
    return redirect("nodes:pool_ignition", name=name)


@require_POST
@needs("nodes.write")
def node_choose(request: HttpRequest, name: str) -> HttpResponse:
    """Note with which version the machine was provisioned."""
    node = node_for(request, name, "nodes.write")
    try:
        intent.set_applied(node=node, version=_version(request), actor=principal_of(request), now=clock.now())
    except FleetError as error:
        messages.error(request, sentence(error))
    else:
        messages.info(request, _("It was noted with which version %(name)s was provisioned.") % {"name": node.name})
    return redirect("nodes:node_ignition", name=name)


@require_POST
@needs("ignition.edit")
def pool_value(request: HttpRequest, name: str) -> HttpResponse:
    _set_value(request, visible_pool(request, name, "ignition.edit"))
    return redirect("nodes:pool_ignition", name=name)


@require_POST
@needs("ignition.edit")
def node_value(request: HttpRequest, name: str) -> HttpResponse:
    _set_value(request, node_for(request, name, "ignition.edit"))
    return redirect("nodes:node_ignition", name=name)


def _set_value(request: HttpRequest, place: Pool | Node) -> None:
    """Set a value, or with `delete` take it away."""
    principal, now, sent = principal_of(request), clock.now(), request.POST
    name = sent.get("name", "").strip()
    try:
        if sent.get("delete"):
            values.delete_value(place=place, name=name, actor=principal, now=now)
            messages.info(request, _("The value of %(name)s was taken away.") % {"name": name})
        else:
            text, is_secret = sent.get("value", "").replace("\r\n", "\n"), bool(sent.get("secret"))
            if text.find("\n") == len(text) - 1:
                text = text.removesuffix("\n")  # copied with its line, as from a terminal
            values.set_value(place=place, name=name, value=text, is_secret=is_secret, actor=principal, now=now)
            messages.info(request, _("The value of %(name)s was set.") % {"name": name})
    except FleetError as error:
        messages.error(request, sentence(error))
