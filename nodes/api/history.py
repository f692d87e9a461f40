"""stats/history/: what the charts draw, as numbers."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.shapes import TEXT, list_of, one_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput
from fleetui.core.filters import split_values
from fleetui.core.words import any_of
from nodes.api import shapes
from nodes.models import Pool
from nodes.services.history import DEFAULT_RANGE, RANGES, history
from nodes.services.samples import KINDS

_QUERY = (
    Param("kind", {**one_of(KINDS), "default": "version"}, "What is counted."),
    Param("range", {**one_of(RANGES), "default": DEFAULT_RANGE}, "How far back."),
    Param("pool", list_of(TEXT), "Names of pools; without them the whole fleet that one may see."),
    Param("cluster", list_of(TEXT), "Names of clusters: the pools that are in them."),
)


class StatsHistory(ApiView):
    """How many nodes had which value at each step. null: nobody looked. Value null: the version is not known."""

    actions = {
        "GET": Action(
            "nodes.read",
            "stats_history",
            "Count nodes over time by version or axis",
            {200: shapes.HISTORY},
            query=_QUERY,
        )
    }

    def get(self, request: Request) -> Response:
        query = request.query_params
        kind = _one(query.get("kind") or "version", KINDS, "kind")
        reach = RANGES[_one(query.get("range") or DEFAULT_RANGE, tuple(RANGES), "range")]
        past = history(self.principal, kinds=[kind], reach=reach, pools=self._pools(request), now=clock.now())
        series = sorted(past.nodes[kind].items())
        return Response(
            {
                "kind": kind,
                "range": reach.name,
                "since": past.since,
                "until": past.until,
                "step_s": reach.step_s,
                "at": past.starts,
                "series": [{"value": value or None, "nodes": nodes} for value, nodes in series],
                "gaps": [{"since": since, "until": until} for since, until in past.gaps()],
            }
        )

    def _pools(self, request: Request) -> list[Pool] | None:
        """The pools that are asked for, by name or by cluster; None when none are."""
        names = split_values(request.query_params.getlist("pool"))
        clusters = split_values(request.query_params.getlist("cluster"))
        if not names and not clusters:
            return None
        pools = list(Pool.objects.visible_to(self.principal).select_related("cluster"))
        _known(names, {pool.name for pool in pools}, "pool")
        _known(clusters, {pool.cluster.name for pool in pools if pool.cluster}, "cluster")
        return [
            pool
            for pool in pools
            if (not names or pool.name in names)
            and (not clusters or (pool.cluster is not None and pool.cluster.name in clusters))
        ]


def _one(value: str, known: tuple[str, ...], field: str) -> str:
    if value not in known:
        raise InvalidInput(f"{value[:100]!r} is not a {field}.", field=field, value=value, mend=f"Use {any_of(known)}.")
    return value


def _known(names: list[str], known: set[str], field: str) -> None:
    for name in names:
        if name not in known:
            mend = f"Name a {field} that you may see."
            raise InvalidInput(f"There is no {field} {name[:100]}.", field=field, value=name, mend=mend)
