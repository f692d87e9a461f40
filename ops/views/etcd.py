"""What etcd consists of, as pages draw it: asked now for a plan, and as an operation saw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.core.errors import Conflict
from fleetui.core.form_errors import sentence
from nodes.views.subject import node_for, principal_of
from ops import wording
from ops.services.replacing.planes import NOT_ALL, is_plane_now, look_now, may_all
from ops.wording.etcd import STATES

_LEVELS = {"ok": "ok", "warn": "warn", "block": "bad"}
_OF_STATE = {"healthy": "ok", "unhealthy": "bad", "unstarted": "bad", "learner": "info"}


@never_cache
@require_safe
@needs("operations.request")
def etcd_now(request: HttpRequest, name: str) -> HttpResponse:
    """A part of the plan: the members, asked over SSH now, and what a replacement of this node would remove."""
    node = node_for(request, name, "operations.request")
    if not is_plane_now(node):
        raise Http404(name)
    if not may_all(principal_of(request), node):
        raise PermissionDenied(NOT_ALL)
    try:
        seen = look_now(node)
    except Conflict as error:
        check = {"level": "warn", "text": sentence(error)}
        return render(request, "ops/partials/etcd_now.html", {"node": node, "checks": [check]})
    context = {
        "node": node,
        "etcd": drawn(seen.as_json()),
        "checks": [
            {"level": _LEVELS[check.level], "text": wording.check_sentence(check.code, check.params)}
            for check in seen.removal.checks
        ],
    }
    return render(request, "ops/partials/etcd_now.html", context)


def drawn(document: Mapping[str, Any], memory: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The members as rows, the one that goes or went marked, and the new one where an operation saw it come."""
    memory = memory or {}
    after = memory.get("etcd_after") or {}
    removes = (document.get("removes") or {}).get("id", "")
    rows = [
        _row(one, "gone" if memory.get("member_gone") else "goes", is_meant=one["id"] == removes)
        for one in document.get("members") or ()
    ]
    known = {one["id"] for one in document.get("members") or ()}
    rows += [
        _row(one, "joined", is_meant=one["id"] == after.get("joined"))
        for one in after.get("members") or ()
        if one["id"] not in known
    ]
    return {
        "kind": document.get("kind", ""),
        "asked": document.get("asked", ""),
        "at": document.get("at"),
        "servers": document.get("servers") or [],
        "rows": rows,
    }


def _row(one: Mapping[str, Any], mark: str, *, is_meant: bool) -> dict[str, Any]:
    # How it was before says nothing any more.
    is_gone = is_meant and mark == "gone"
    return {
        "name": one["name"],
        "id": one["id"],
        "peers": ", ".join(one["peers"]),
        "level": "none" if is_gone else _OF_STATE[one["state"]],
        "state": _("was removed") if is_gone else STATES[one["state"]],
        "mark": mark if is_meant and not is_gone else "",
    }
