"""What queued operations say that they wait for: who stopped all starts, or else which limit is reached and who uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.models import Operation, Stop
from ops.states import State

TURN, STOPPED = "turn", "stopped"
#: How many of those that use a limit are named.
NAMED = 3


def say_stopped(stop: Stop) -> None:
    """For those that waited for their turn; within the transaction that holds the row of Stop."""
    params = {"by": stop.stopped_by} | ({"reason": stop.reason} if stop.reason else {})
    _say(TURN, STOPPED, params)


def say_lifted() -> None:
    """They wait for their turn again; in the transaction that lifts it."""
    _say(STOPPED, TURN, {})


def say_turns(reached: Callable[[Any, str, str, bool], tuple[str, str, int]]) -> None:
    """Which limit holds those that wait for their turn. Only those are written whose limit, or who uses it, has changed.

    Nodes are named for the limit of the own pool alone: who sees that operation sees those, and may not see others.
    """
    waiting = Operation.objects.filter(state=State.QUEUED, wait_reason=TURN, is_disruptive=True).order_by()
    place = ("pool", "pool_name", "cluster_name", "is_control_plane")
    said: dict[tuple[Any, ...], list[Any]] = {}
    for *where, params in waiting.values_list(*place, "wait_params").distinct():
        said.setdefault(tuple(where), []).append(params)
    for where, before in said.items():
        scope, name, most = reached(*where)
        told: dict[str, Any] = {"scope": scope, "name": name, "most": most} if scope else {}
        if scope == "pool":
            running = Operation.objects.disturbing().filter(pool=where[0])
            names = running.order_by("started_at", "pk").values_list("node_name", flat=True)[: NAMED + 1]
            told["nodes"] = [one for one in names if one]
        if before != [told]:
            rows = waiting.filter(**dict(zip(place, where, strict=True)))
            rows.exclude(wait_params=told).held().update(wait_params=told)


def _say(before: str, after: str, params: dict[str, Any]) -> None:
    Operation.objects.filter(state=State.QUEUED, wait_reason=before).held().update(
        wait_reason=after, wait_params=params
    )
