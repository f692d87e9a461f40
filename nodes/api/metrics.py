"""/metrics: what Prometheus scrapes, read from the database at the scrape, over what the token may see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from rest_framework.request import Request

from fleetui.access.principals import Principal
from fleetui.core.api.actions import Action
from fleetui.core.api.views import ApiView
from nodes.api.stats import reading
from nodes.models import Node
from nodes.services.stats import fleet_counts


class FleetCollector(Collector):
    """Gauges by axis and value; no label grows with the fleet."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    def collect(self) -> Iterator[Metric]:
        counts = fleet_counts(self._principal)
        nodes = GaugeMetricFamily("fleetui_nodes", "Nodes in service by axis and value.", labels=["axis", "value"])
        for axis, values in counts.axes.items():
            for value, number in values.items():
                nodes.add_metric([axis, value], number)
        yield nodes
        yield GaugeMetricFamily("fleetui_nodes_retired", "Retired nodes.", value=counts.retired)
        found: dict[str, Any] = reading(Node.objects.visible_to(self._principal))
        unread = found["unread"]
        yield GaugeMetricFamily("fleetui_unread_nodes", "Nodes with a part that was not read.", value=unread["nodes"])
        yield GaugeMetricFamily(
            "fleetui_unread_sections", "Parts of facts that were not read.", value=unread["sections"]
        )
        polls = found["polls"]
        yield GaugeMetricFamily("fleetui_polls_due", "Nodes that wait for a poll.", value=polls["due"])
        yield GaugeMetricFamily("fleetui_polls_running", "Nodes that are polled now.", value=polls["running"])
        lag = GaugeMetricFamily(
            "fleetui_poll_lag_seconds", "How long the oldest due poll has waited.", value=polls["lag_s"] or 0
        )
        yield lag


class Metrics(ApiView):
    """The exposition format of Prometheus; a token with the scope `read` scrapes it."""

    hidden = True
    actions = {"GET": Action("nodes.read", "metrics", "Metrics for Prometheus", {})}

    def get(self, request: Request) -> HttpResponse:
        registry = CollectorRegistry()
        registry.register(FleetCollector(self.principal))
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
