"""What happened, with filters: on the page of a node, and over all nodes. Filters and page stand in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core.filter_choices import chips, moment_word, recent_times, turned
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query
from nodes import wording
from nodes.filters import FleetTimelineFilter, TimelineFilter
from nodes.models import Node, Pool, TimelineEvent
from nodes.views.facets import field_word as node_field_word
from nodes.views.fleet_tabs import fleet_tabs
from nodes.views.paging import Order, Page, page_of
from nodes.views.subject import principal_of
from nodes.views.timeline_words import LEVELS, entry

PAGE_SIZE = 50
MOST_OPTIONS = 40
#: Completion of actors over all nodes offers those of the newest events: a long past costs no more than a short one.
RECENT_EVENTS = 5000
NODE_FIELDS = ("kind", "actor", "since", "until", "generation")
FLEET_FIELDS = ("kind", "actor", "since", "until", "pool", "cluster", "node", "generation")
#: What polls found by themselves has no actor; in addresses this name stands for it.
NOBODY = "fleetui"


def field_word(name: str) -> str:
    words = {
        "kind": _("What"),
        "actor": _("Who"),
        "since": _("Since"),
        "until": _("Until"),
        "generation": _("Generation"),
        "node": _("Node"),
    }
    return words.get(name) or node_field_word(name)


def value_word(name: str, value: str) -> str:
    if name == "kind":
        return wording.timeline_kind(value)
    if name == "actor":
        return _("FleetUI itself") if value == NOBODY else value.partition(":")[2] or value
    return moment_word(value) if name in ("since", "until") else value


def node_timeline(node: Node, query: QueryDict) -> dict[str, Any]:
    """The tab of the node page. Kinds are offered with how often they happened to this node."""
    events = TimelineEvent.objects.filter(node=node)
    kinds: Counter[str] = Counter()
    actors: Counter[str] = Counter()
    for kind, actor, count in events.order_by().values_list("kind", "actor").annotate(count=Count("pk")):
        kinds[kind] += count
        actors[actor or NOBODY] += count
    options: dict[str, Mapping[str, int | None]] = {
        "kind": {kind: kinds[kind] for kind in sorted(kinds, key=_kind_place)},
        "actor": dict(actors.most_common(MOST_OPTIONS)),
    }
    if node.generation > 1:
        options["generation"] = {str(number): None for number in range(node.generation, 0, -1)[:MOST_OPTIONS]}
    found = TimelineFilter(query, queryset=events)
    page = page_of(found.qs, Order("at", "id", is_descending=True), PAGE_SIZE, query)
    return _context(page, query, options, NODE_FIELDS, found.problems(), kept=("tab",))


@require_safe
@needs("nodes.read")
def fleet_timeline(request: HttpRequest) -> HttpResponse:
    """What happened to all nodes that one may see, newest first."""
    principal = principal_of(request)
    events = TimelineEvent.objects.visible_to(principal)
    found = FleetTimelineFilter(request.GET, queryset=events)
    page = page_of(found.qs.with_names(), Order("at", "id", is_descending=True), PAGE_SIZE, request.GET)
    context = {
        "tabs": fleet_tabs(request),
        **_context(
            page, request.GET, _fleet_options(principal, events), FLEET_FIELDS, found.problems(), names_node=True
        ),
    }
    return render(request, "nodes/timeline.html", context)


def _fleet_options(principal: Principal, events: QuerySet[Any]) -> dict[str, Mapping[str, int | None]]:
    recent = events.order_by("-at").values("actor")[:RECENT_EVENTS]
    actors = {row["actor"] or NOBODY for row in recent}
    pools = list(Pool.objects.visible_to(principal).order_by("name").values_list("name", "cluster__name"))
    clusters = sorted({cluster for _name, cluster in pools if cluster})
    return {
        "kind": dict.fromkeys(wording.timeline_kinds()),
        "actor": dict.fromkeys(sorted(actors)[:MOST_OPTIONS]),
        "pool": dict.fromkeys([name for name, _cluster in pools][:MOST_OPTIONS]),
        "cluster": dict.fromkeys(clusters[:MOST_OPTIONS]),
    }


def _kind_place(kind: str) -> tuple[int, str]:
    known = wording.timeline_kinds()
    return (known.index(kind) if kind in known else len(known)), kind


def _context(
    page: Page,
    query: QueryDict,
    options: Mapping[str, Mapping[str, int | None]],
    fields: tuple[str, ...],
    problems: list[tuple[str, str, str, str]],
    *,
    kept: tuple[str, ...] = (),
    names_node: bool = False,
) -> dict[str, Any]:
    return {
        "entries": [entry(event, node=event.node_name if names_node else "") for event in page.rows],
        "older_url": changed_query(query, {"after": page.after}) if page.after else "",
        "newer_url": changed_query(query, {"before": page.before}) if page.before else "",
        "chips": chips(query, fields, field_word, value_word),
        "fields": [{"label": field_word("since"), "options": recent_times(query)}, *_fields(query, options)],
        "hidden": [(name, value) for name in (*kept, *fields) for value in query.getlist(name) if value],
        "q": query.get("q", ""),
        "clear_url": changed_query(query, dict.fromkeys((*fields, "q"))),
        "problems": problems,
        "is_filtered": any(query.get(name) for name in (*fields, "q")),
    }


def _fields(query: QueryDict, options: Mapping[str, Mapping[str, int | None]]) -> list[dict[str, Any]]:
    return [
        {
            "label": field_word(name),
            "options": [
                {
                    "label": value_word(name, value),
                    "count": count,
                    "level": LEVELS.get(value, "none") if name == "kind" else "",
                    "active": value in split_values(query.getlist(name)),
                    "url": turned(query, name, value),
                }
                for value, count in values.items()
            ],
        }
        for name, values in options.items()
        if values
    ]
