"""The health of FleetUI itself: one line for each thing that it stands on, worst first in each group."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.settings_tabs import settings_tabs
from fleetui.core import clock
from fleetui.core.vitals import GROUPS, LEVELS, Line, lines, worst


@require_safe
@needs("health.read")
def health(request: HttpRequest) -> HttpResponse:
    """The page; `health/` of the API has the same lines. They count the whole fleet: a role on some pools is not enough."""
    if not request.principal.may("health.read"):  # type: ignore[attr-defined]
        raise PermissionDenied("health.read")
    found = lines()
    level = worst(found)
    context = {
        "groups": _groups(found),
        "level": level,
        "word": words()[level],
        "wrong": sum(line.level in ("bad", "warn") for line in found),
        "at": clock.now(),
        "tabs": settings_tabs(request),
    }
    return render(request, "access/health.html", context)


def words() -> dict[str, str]:
    return {"ok": _("Fine"), "info": _("Note"), "warn": _("Look at this"), "bad": _("Broken")}


def _groups(found: list[Line]) -> list[dict[str, Any]]:
    titles = {
        "processes": _("Processes"),
        "work": _("Work that waits"),
        "storage": _("Where things are kept"),
        "trust": _("Keys, clocks and proof"),
        "versions": _("Versions"),
    }
    word = words()
    groups = []
    for group in GROUPS:
        some = sorted((line for line in found if line.group == group), key=lambda line: LEVELS.index(line.level))
        if some:
            rows = [{"line": line, "word": word[line.level]} for line in some]
            groups.append({"key": group, "title": titles[group], "rows": rows})
    return groups
