"""How long a kind of operation will take, from its past runs in the same pool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import Any

from ops import actions
from ops.actions.health import DEFAULT_SOAK_S
from ops.models import Limit, Operation
from ops.states import State

LOOKED_BACK = timedelta(days=90)
RUNS_LOOKED_AT = 400
RUNS_OF_A_POOL = 20


@dataclass(frozen=True)
class Expected:
    """Seconds that one operation takes, with the soak that is asked for now, and how many runs say so."""

    seconds: int
    runs: int


def expected(kind: str, pools: Collection[Any], params: Mapping[str, Any], now: datetime) -> dict[Any, Expected]:
    """By pool (None: nodes without one), where there were runs that went well. The soak that was asked for is set off."""
    has_soak = actions.get(kind).is_disruptive
    past = Operation.objects.filter(kind=kind, state=State.SUCCEEDED, created_at__gte=now - LOOKED_BACK)
    rows = past.filter(pool__in=[pool for pool in pools if pool], started_at__isnull=False, ended_at__isnull=False)
    runs: dict[Any, list[float]] = defaultdict(list)
    for row in rows.order_by("-created_at").values("pool", "started_at", "ended_at", "params")[:RUNS_LOOKED_AT]:
        if len(runs[row["pool"]]) < RUNS_OF_A_POOL:
            took = (row["ended_at"] - row["started_at"]).total_seconds()
            took -= _soak_s(row["params"]) if has_soak else 0
            runs[row["pool"]].append(max(took, 0.0))
    soak_s = _soak_s(params) if has_soak else 0
    return {pool: Expected(round(median(times)) + soak_s, len(times)) for pool, times in runs.items()}


def _soak_s(params: Mapping[str, Any]) -> int:
    return int(params.get("soak_s", DEFAULT_SOAK_S))


def whole_time_s(counts: Mapping[str, int], by_pool: Mapping[str, Expected]) -> int | None:
    """How long so many operations in each pool (by name) take, as many at once as the limit of the pool lets; None: not known.

    Pools go on beside each other, so that the slowest says it.
    """
    if not counts or set(counts) - set(by_pool):
        return None
    limits = dict(Limit.objects.filter(scope="pool").values_list("name", "at_once"))
    default = Limit.DEFAULTS["pool"]
    return max(ceil(count / limits.get(pool, default)) * by_pool[pool].seconds for pool, count in counts.items())
