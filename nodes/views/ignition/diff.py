"""Two versions compared: as Butane, as Ignition, and by what a machine born with the second does otherwise."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from nodes.ignition.effect.model import WEIGHTS
from nodes.models import IgnitionVersion
from nodes.services.ignition.comparing import changed_files, effects_of, line_hunks, pretty
from nodes.views.ignition.subject import version_of, version_url, versions_light, visible_config
from nodes.views.ignition.version import MOST_VERSIONS
from nodes.views.ignition.words import author_of, state_of
from nodes.wording.configs import effect_sentence, weight_sentence, weight_word
from nodes.wording.ignition import SECTION_WORDS, WEIGHT_LEVELS

VIEWS = ("effect", "source", "rendered")


@require_safe
@needs("ignition.read")
def diff_page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """`?against=` is the older one; without it, the version before."""
    config = visible_config(request, name)
    version = version_of(config, number)
    against = request.GET.get("against", "")
    is_number = against.isdecimal() and len(against) < 9
    other = version_of(config, int(against) if is_number else max(1, number - 1))
    view = request.GET.get("view", "")
    view = view if view in VIEWS else VIEWS[0]
    url = f"{version_url(version, 'ignition_diff')}?against={other.number}"
    words = {"effect": _("Effect"), "source": _("Butane source"), "rendered": _("Ignition")}
    context = {
        "config": config,
        "revision": version,
        "other": other,
        "sides": [
            {"version": one, "state": state_of(one), "author": author_of(one), "url": version_url(one)}
            for one in (other, version)
        ],
        "others": list(versions_light(config).exclude(number=number).order_by("-number")[:MOST_VERSIONS]),
        "view": view,
        "tabs": [{"label": words[key], "url": f"{url}&view={key}", "active": key == view} for key in VIEWS],
        **(_effects(other, version) if view == "effect" else _text(view, other, version)),
    }
    return render(request, "nodes/ignition/diff.html", context)


def _effects(other: IgnitionVersion, version: IgnitionVersion) -> dict[str, Any]:
    found = effects_of(other, version)
    if found is None:
        return {"broken": version if other.is_valid else other}
    groups = [
        {
            "word": weight_word(weight),
            "sentence": weight_sentence(weight),
            "level": WEIGHT_LEVELS[weight],
            "rows": [
                {"section": SECTION_WORDS.get(one.section, one.section), "sentence": effect_sentence(one.what)}
                for one in found
                if one.weight == weight
            ],
        }
        for weight in WEIGHTS
    ]
    return {"groups": [group for group in groups if group["rows"]], "is_same": not found}


def _text(view: str, other: IgnitionVersion, version: IgnitionVersion) -> dict[str, Any]:
    if view == "source":
        hunks = line_hunks(other.source, version.source)
        return {"hunks": hunks, "files": changed_files(other, version), "is_same": hunks == []}
    hunks = line_hunks(pretty(other.rendered), pretty(version.rendered))
    return {"hunks": hunks, "is_same": hunks == []}
