"""stats/: counts over what one may see, in a constant number of queries."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Min, Q, Sum
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.views import ApiView
from nodes.api import shapes
from nodes.models import Node
from nodes.querysets import NodeQuerySet
from nodes.services.stats import fleet_counts


class Stats(ApiView):
    """How many nodes stand where. Retired nodes are counted in `lifecycle` only."""

    actions = {"GET": Action("nodes.read", "stats_read", "Count nodes by axis, pool and version", {200: shapes.STATS})}

    def get(self, request: Request) -> Response:
        visible: NodeQuerySet = Node.objects.visible_to(self.principal)
        counts = fleet_counts(self.principal)
        pools = _pools(visible)
        lifecycle = {
            "active": counts.total - counts.maintenance,
            "maintenance": counts.maintenance,
            "retired": counts.retired,
        }
        return Response(
            {
                "nodes": counts.total,
                "needing_attention": sum(pool["needing_attention"] for pool in pools),
                **counts.axes,
                "lifecycle": lifecycle,
                "pools": pools,
                "versions": _versions(visible),
                **reading(visible),
            }
        )


def _pools(visible: NodeQuerySet) -> list[dict[str, Any]]:
    needing = Count("pk", filter=Q(pk__in=Node.objects.needing_attention().order_by().values("pk")))
    rows = visible.counted().order_by("pool__name").values("pool__name").annotate(nodes=Count("pk"), needing=needing)
    return [{"name": row["pool__name"], "nodes": row["nodes"], "needing_attention": row["needing"]} for row in rows]


def _versions(visible: NodeQuerySet) -> list[dict[str, Any]]:
    rows = visible.counted().order_by().values("os_family", "os_stream", "booted_version").annotate(nodes=Count("pk"))
    found = [
        {"os": row["os_family"], "stream": row["os_stream"], "version": row["booted_version"], "nodes": row["nodes"]}
        for row in rows
    ]
    return sorted(found, key=lambda row: (-row["nodes"], row["os"], row["stream"], row["version"]))[:1000]


def reading(visible: NodeQuerySet) -> dict[str, Any]:
    """How far reading is behind: sections not understood, and polls that are due."""
    now = clock.now()
    # A changed host key stops all contact, so such a node waits for a person and not for a worker.
    due, leased = Q(poll_due_at__lte=now) & ~Q(reachability="key_mismatch"), Q(poll_lease_until__gt=now)
    row = visible.counted().aggregate(
        sections=Sum("unread_sections", default=0),
        nodes=Count("pk", filter=Q(unread_sections__gt=0)),
        due=Count("pk", filter=due & ~leased),
        running=Count("pk", filter=leased),
        oldest=Min("poll_due_at", filter=due & (Q(poll_lease_until=None) | Q(poll_lease_until__lte=now))),
    )
    lag_s = (now - row["oldest"]).total_seconds() if row["oldest"] else None
    return {
        "unread": {"nodes": row["nodes"], "sections": row["sections"]},
        "polls": {"due": row["due"], "running": row["running"], "lag_s": lag_s, "oldest_due_at": row["oldest"]},
    }
