"""Which columns the nodes list shows, in which order. Every step is a link or a button: no dragging, no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.core.templatetags.ui import changed_query
from nodes.columns import DEFAULT, PLAIN, Column, NotAColumn, columns
from nodes.facts.paths import INDEXED, known_paths
from nodes.services.views import LISTING, choose_columns
from nodes.views.cells import column_word
from nodes.views.columns import choice_of, columns_wanted
from nodes.views.subject import principal_of


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.read")
def choose(request: HttpRequest) -> HttpResponse:
    """The address holds the list's query and the columns so far; a post keeps them and goes back to the list."""
    principal = principal_of(request)
    given = request.POST if request.method == "POST" else request.GET
    query = QueryDict(given.get("query", "").lstrip("?"), mutable=True)
    names, problem, moved = _edited(given, principal.user_id)
    if request.method == "POST" and "show" in given and not problem:
        choose_columns(listing=LISTING, columns=names, actor=principal)
        messages.info(request, _("The list shows these columns, and will next time."))
        return HttpResponseRedirect(f"{reverse('nodes:list')}{changed_query(query, {'columns': ','.join(names)})}")
    query.pop("columns", None)
    chosen = columns(names)[0]
    context: dict[str, Any] = {
        "chosen": _rows(chosen, moved),
        "names": ",".join(names),
        "query": query.urlencode(),
        "back_url": f"{reverse('nodes:list')}{changed_query(query, {})}",
        "others": [(name, column_word(name)) for name in PLAIN if name not in names],
        "paths": [path for path in sorted(known_paths(), key=lambda path: path not in INDEXED) if path not in names],
        "problem": problem,
        "is_usual": tuple(names) == DEFAULT,
        "usual": ",".join(DEFAULT),
    }
    return render(request, "nodes/columns.html", context, status=422 if problem else 200)


def _rows(chosen: Sequence[Column], moved: str) -> list[dict[str, Any]]:
    last = len(chosen) - 1
    return [
        {
            "name": one.name,
            "label": column_word(one.name),
            "is_fact": one.is_fact,
            "is_first": place == 0,
            "is_last": place == last,
            "focus": moved.partition(":")[0] if moved.partition(":")[2] == one.name else "",
        }
        for place, one in enumerate(chosen)
    ]


def _edited(given: QueryDict, user_id: int | None) -> tuple[list[str], NotAColumn | None, str]:
    """The names after the step that the button says, what is wrong with it, and what keeps the focus."""
    names = [one.name for one in columns_wanted(given, choice_of(user_id))[0]]
    step, _colon, subject = given.get("step", "").partition(":")
    if step in ("up", "down") and subject in names:
        place = names.index(subject)
        other = place + (1 if step == "down" else -1)
        if 0 <= other < len(names):
            names[place], names[other] = names[other], names[place]
        return names, None, f"{step}:{subject}"
    if step == "remove" and subject in names and len(names) > 1:
        names.remove(subject)
    elif step == "add" and (wanted := given.get("add", "").strip()):
        found, wrong = columns([*names, wanted])
        return [one.name for one in found], wrong[0] if wrong else None, f"added:{wanted}"
    return names, None, ""
