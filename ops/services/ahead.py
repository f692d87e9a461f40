"""Who has the place that a queued operation waits for: which limit is full, and what runs within it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleetui.access.principals import Principal, Reach
from ops.models import Limit, Operation
from ops.services.stopped import TURN
from ops.states import State

SHOWN = 3


@dataclass(frozen=True)
class Ahead:
    """`scope` is pool, cluster, control_plane or overall; `holders` the first of the `running`, as far as they may be seen."""

    scope: str
    name: str
    at_once: int
    running: int
    holders: Sequence[Operation]

    @property
    def others(self) -> int:
        return self.running - len(self.holders)


def ahead_of(operation: Operation, principal: Principal) -> Ahead | None:
    """The narrowest limit that is full; None where a place is free and only the next tick is missing. Two queries."""
    if operation.state != State.QUEUED or operation.wait_reason != TURN or not operation.is_disruptive:
        return None
    limits = {(limit.scope, limit.name): limit.at_once for limit in Limit.objects.all()}
    columns = ("kind", "node_name", "pool", "cluster_name", "is_control_plane", "started_at")
    running = list(Operation.objects.disturbing().order_by("started_at").only(*columns))
    visible = principal.where("operations.read")
    cluster = operation.cluster_name
    here = [one for one in running if cluster and one.cluster_name == cluster]
    places = [
        ("pool", operation.pool_name, [one for one in running if one.pool_id == operation.pool_id]),
        ("cluster", cluster, here),
        ("overall", "", running),
    ]
    planes = [one for one in here if one.is_control_plane]
    if operation.is_control_plane and planes:
        return _ahead("control_plane", cluster, 1, planes, visible)
    for scope, name, taken in places:
        at_once = limits.get((scope, name), Limit.DEFAULTS[scope])
        if len(taken) >= at_once:
            return _ahead(scope, name, at_once, taken, visible)
    return None


def _ahead(scope: str, name: str, at_once: int, running: list[Operation], visible: Reach) -> Ahead:
    seen = [one for one in running if visible.covers(one.pool_id)]
    return Ahead(scope, name, at_once, len(running), seen[:SHOWN])
