"""One version: what it does, the files that it writes, its source, its Ignition, and the nodes that were born with it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.models import GitFollow, IgnitionVersion, Node, Pool
from nodes.models.ignition import TRANSITIONS, ReviewState
from nodes.services.ignition import rights
from nodes.services.ignition.check import check
from nodes.services.ignition.comparing import pretty, read_sections
from nodes.services.ignition.rendering import render as render_version
from nodes.services.ignition.review import own_part, why_not
from nodes.views.ignition.findings import by_line, finding_rows
from nodes.views.ignition.parts import parts_of
from nodes.views.ignition.subject import version_of, version_url, versions_light, visible_config
from nodes.views.ignition.tree import tree_of
from nodes.views.ignition.words import author_of, state_of
from nodes.views.links import nodes_url
from nodes.views.subject import principal_of

#: What people had to do with a commit.
_HANDS = {
    "author": gettext_lazy("author"),
    "committer": gettext_lazy("committer"),
    "signer": gettext_lazy("signer"),
    "merged": gettext_lazy("came in with it"),
}
TABS = ("parts", "files", "source", "rendered", "nodes")
MOST_LINES = 5_000
MOST_NODES = 50
MOST_VERSIONS = 50


@require_safe
@needs("ignition.read")
def version_page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    config = visible_config(request, name)
    version = version_of(config, number)
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else TABS[0]
    principal = principal_of(request)
    born = Node.objects.visible_to(principal).filter(applied_version=version)
    born_count = born.capped_count()
    context = {
        "config": config,
        "revision": version,
        "state": state_of(version),
        "author": author_of(version),
        "findings": finding_rows(version.report),
        "tab": tab,
        "tabs": _tabs(version, tab, born_count),
        "tab_template": f"nodes/ignition/tabs/{tab}.html",
        "reviews": list(version.reviews.order_by("-at")[:20]),
        "pools": Pool.objects.visible_to(principal).filter(intended_version=version).order_by("name"),
        "others": list(versions_light(config).exclude(number=number).order_by("-number")[:MOST_VERSIONS]),
        "diff_url": version_url(version, "ignition_diff"),
        "approve_effect": _approve_effect(version),
        "has_examples": any(one["default"] is None for one in version.declarations),
        **_rights(principal, version),
    }
    context |= _nodes(born, version, born_count) if tab == "nodes" else _TAB_CONTEXT[tab](request, version)
    return render(request, "nodes/ignition/version.html", context)


def _tabs(version: IgnitionVersion, current: str, born: int) -> list[dict[str, Any]]:
    level = "bad" if version.errors or version.failure else "warn"
    words = {
        "parts": (_("What it does"), None),
        "files": (_("Files"), None),
        "source": (_("Source"), version.errors + version.warnings or None),
        "rendered": (_("Ignition"), None),
        "nodes": (_("Nodes"), born or None),
    }
    url = version_url(version)
    return [
        {
            "label": words[name][0],
            "count": words[name][1],
            "level": level if name == "source" else "",
            "active": name == current,
            "url": url if name == TABS[0] else f"{url}?tab={name}",
        }
        for name in TABS
    ]


def _approve_effect(version: IgnitionVersion) -> str:
    """What an approval does, and what was found and is approved with it."""
    effect = _("It can be chosen for pools. Nothing changes on any machine.")
    count = version.errors + version.warnings
    if not count:
        return effect
    found = ngettext("%(n)s error or warning was found in it.", "%(n)s errors and warnings were found in it.", count)
    return f"{effect} {found % {'n': count}}"


def _rights(principal: Principal, version: IgnitionVersion) -> dict[str, Any]:
    """Which buttons stand on the page: what the state allows, and the principal may do."""
    pools = rights.pools_of(version.config)
    onward = TRANSITIONS[ReviewState(version.state)]
    may_edit = rights.may_on(principal, "ignition.edit", pools)
    may_approve = rights.may_on(principal, "ignition.approve", pools)
    own = own_part(version, principal)
    follows = GitFollow.objects.filter(config=version.config).exists()
    return {
        "follows": follows,
        "may_write": may_edit and not follows,
        "may_submit": may_edit and version.is_valid and version.state == ReviewState.DRAFT,
        "may_approve": may_approve and own is None and ReviewState.APPROVED in onward,
        "may_return": may_approve and version.state == ReviewState.IN_REVIEW,
        "may_withdraw": may_edit and ReviewState.WITHDRAWN in onward,
        "waits_for_others": why_not(own) if may_approve and own and version.state == ReviewState.IN_REVIEW else "",
        "hands": _hands(version),
        "may_intend": version.state == ReviewState.APPROVED and principal.may_somewhere("ignition.intend"),
    }


def _hands(version: IgnitionVersion) -> list[tuple[str, str]]:
    """Who had a hand in its commit: their parts, and as what they are written there."""
    parts: dict[str, list[str]] = {}
    for one in version.people:
        if one["who"]:
            parts.setdefault(one["who"], []).append(str(_HANDS[one["role"]]))
    return [(", ".join(words), who) for who, words in parts.items()]


def _parts(request: HttpRequest, version: IgnitionVersion) -> dict[str, Any]:
    found = read_sections(version.rendered)
    findings = finding_rows(version.report)
    if found is None:
        return {"parts": [], "left": findings}
    conversion = check(version.source, version.files).conversion if findings else None
    parts, left = parts_of(found, findings, conversion.source_of if conversion else lambda path: path)
    return {"parts": parts, "left": left, "declarations": version.declarations}


def _files(request: HttpRequest, version: IgnitionVersion) -> dict[str, Any]:
    found = read_sections(version.rendered)
    return {"tree": tree_of(found) if found else []}


def _source(request: HttpRequest, version: IgnitionVersion) -> dict[str, Any]:
    lines = version.source.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    findings = finding_rows(version.report)
    beside = by_line(findings)
    return {
        "lines": [
            {"number": number, "text": text, "findings": beside.get(number, [])} for number, text in enumerate(lines, 1)
        ]
        if len(lines) <= MOST_LINES
        else [],
        "loose": [found for found in findings if not found["line"]],
        "files": sorted(version.files),
    }


def _rendered(request: HttpRequest, version: IgnitionVersion) -> dict[str, Any]:
    """The Ignition JSON, of the version itself or with the values of a node; secrets are never in it."""
    asked = request.GET.get("node", "").replace("\0", "")[:100]
    text, problem = version.rendered, ""
    if asked and version.is_valid:
        node = Node.objects.visible_to(principal_of(request)).filter(name=asked).select_related("pool").first()
        try:
            text = render_version(version, node=node).shown if node else ""
            problem = "" if node else _("There is no node %(name)s that you may see.") % {"name": asked}
        except FleetError as error:
            text, problem = "", sentence(error)
    return {
        "asked": asked,
        "problem": problem,
        "document": pretty(text),
        "raw_url": reverse("nodes:ignition_raw", args=[version.config.name, version.number]),
        "has_variables": bool(version.declarations),
    }


def _nodes(born: Any, version: IgnitionVersion, count: int) -> dict[str, Any]:
    return {
        "born": born.select_related("pool").order_by("name")[:MOST_NODES],
        "born_count": count,
        "born_url": nodes_url(ignition=f"{version.config.name}/{version.number}"),
    }


_TAB_CONTEXT = {"parts": _parts, "files": _files, "source": _source, "rendered": _rendered}


@require_safe
@needs("ignition.read")
def version_raw(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The Ignition JSON of the version itself, as a file."""
    version = version_of(visible_config(request, name), number)
    response = HttpResponse(version.rendered, content_type="application/vnd.coreos.ignition+json")
    response["Content-Disposition"] = f'attachment; filename="{version.config.name}-{version.number}.ign"'
    return response
