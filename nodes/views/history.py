"""Over time: versions and axes of the fleet, or of chosen pools and clusters. Filters and range stand in the address."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.filter_choices import chips, turned
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query
from nodes.models import Pool
from nodes.services.history import history
from nodes.services.samples import AXES
from nodes.services.stats import version_ages
from nodes.views.facets import field_word
from nodes.views.fleet_tabs import fleet_tabs
from nodes.views.over_time import axis_chart, range_links, range_of, versions_chart, versions_of
from nodes.views.subject import principal_of

PLACES = ("pool", "cluster")


@require_safe
@needs("nodes.read")
def history_page(request: HttpRequest) -> HttpResponse:
    """Versions, and of each axis what was not as it should be. A constant number of queries."""
    principal = principal_of(request)
    places = _Places(principal, request.GET)
    reach = range_of(request.GET)
    kinds = ("version", *AXES)
    past = history(principal, kinds=kinds, reach=reach, pools=places.chosen, now=clock.now())
    filters = {name: ",".join(values) for name in PLACES if (values := places.values[name])}
    context: dict[str, Any] = {
        "tabs": fleet_tabs(request),
        "ranges": range_links(request.GET),
        "versions": versions_chart(version_ages(principal, versions_of(past)), past, filters, ident="versions"),
        "charts": [axis_chart(past, axis, filters, ident=axis) for axis in AXES],
        "gaps": past.gaps(),
        "chips": places.chips(),
        "fields": places.fields(),
        "hidden": [(name, value) for name in ("range", *PLACES) for value in request.GET.getlist(name) if value],
        "clear_url": changed_query(request.GET, dict.fromkeys((*PLACES, "q"))),
        "unknown": places.unknown,
        "page_url": request.get_full_path(),
    }
    return render(request, "nodes/history.html", context)


class _Places:
    """The pools that the address chooses, by their names and by clusters; None when it chooses none. One query."""

    def __init__(self, principal: Principal, query: QueryDict) -> None:
        self.query = query
        self.values = {name: split_values(query.getlist(name)) for name in PLACES}
        pools = Pool.objects.visible_to(principal).select_related("cluster").order_by("name")
        self.pools = list(pools.only("pk", "name", "cluster__name"))
        self.clusters = sorted({pool.cluster.name for pool in self.pools if pool.cluster})
        known = {"pool": {pool.name for pool in self.pools}, "cluster": set(self.clusters)}
        self.unknown = [
            (field_word(name), one) for name in PLACES for one in self.values[name] if one not in known[name]
        ]

    @property
    def chosen(self) -> list[Pool] | None:
        names, clusters = self.values["pool"], self.values["cluster"]
        text = self.query.get("q", "").strip().lower()
        if not (names or clusters or text):
            return None
        return [
            pool
            for pool in self.pools
            if (not names or pool.name in names)
            and (not clusters or (pool.cluster and pool.cluster.name in clusters))
            and text in pool.name.lower()
        ]

    def chips(self) -> list[dict[str, str]]:
        return chips(self.query, PLACES, field_word, lambda _name, value: value)

    def fields(self) -> list[dict[str, Any]]:
        options = {"pool": [pool.name for pool in self.pools], "cluster": self.clusters}
        return [
            {
                "label": field_word(name),
                "options": [
                    {"label": value, "active": value in self.values[name], "url": turned(self.query, name, value)}
                    for value in options[name]
                ],
            }
            for name in PLACES
            if options[name]
        ]
