"""Starts: which queued operations may run now, within the limits, fairly between pools."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, F, Max, Min, Value
from django.db.models.functions import Greatest

from fleetui.audit.log import Entry, append
from nodes.models import Node
from ops.engine.moves import follow_moves
from ops.models import Limit, LogLine, Operation, Stop
from ops.services.stopped import say_stopped, say_turns
from ops.states import State

#: Fixed: two control-plane nodes of one cluster are never disturbed at once, whatever else is allowed.
CONTROL_PLANES_AT_ONCE = 1
START_AT_ONCE = 100


def start_queued(now: datetime) -> int:
    """Move what may start from queued to running, due at once; returns how many. Nothing starts while all is stopped.

    The row of Stop is held meanwhile: two ticks cannot both count the same free place.
    """
    if not Operation.objects.filter(state=State.QUEUED).exists():
        return 0
    with transaction.atomic():
        if _is_stopped():
            # Those that were asked for since.
            say_stopped(Stop.objects.get(id=1))
            return 0
        is_whole, moves = follow_moves(now)
        append(moves)
    # Before all count where they are, nothing starts: the next tick goes on.
    started = _start(now) if is_whole else 0
    if is_whole:
        _say_why()
    return started


def _say_why() -> None:
    """What did not start says which limit is reached. In a transaction of its own, after the places were taken."""
    with transaction.atomic():
        if not _is_stopped():
            say_turns(_Room().reached)


def _is_stopped() -> bool:
    """Whether all is stopped; it stays so until the end of the transaction."""
    Stop.objects.get_or_create(id=1)
    # An update takes the row's lock on PostgreSQL; on SQLite the whole transaction is the only writer.
    Stop.objects.filter(id=1).update(id=1)
    return Stop.objects.filter(id=1, stopped_at__isnull=False).exists()


def _start(now: datetime) -> int:
    with transaction.atomic():
        # In a transaction of its own: nodes are taken before operations, and moves have taken operations.
        chosen = [] if _is_stopped() else _chosen(_Room())
        if not chosen:
            return 0
        # Whoever is changing the address of one of them has ended, or waits and sees that it has started.
        Node.objects.filter(pk__in=[one.node_id for one in chosen if one.node_id]).keeping()
        # One that was cancelled meanwhile does not start, and no event says so.
        rows = Operation.objects.filter(pk__in=[one.pk for one in chosen], state=State.QUEUED)
        held = {
            row[0]: row for row in rows.select_for_update().order_by("pk").values_list("pk", "log_seq", "created_at")
        }
        # One that was asked for after this tick began did not start before that.
        since = Greatest("created_at", Value(now, output_field=DateTimeField()))
        started = Operation.objects.filter(pk__in=held).update(
            state=State.RUNNING,
            state_since=since,
            started_at=since,
            due_at=now,
            wait_reason="",
            wait_params={},
            wait_since=None,
            log_seq=F("log_seq") + 1,
        )
        # Many start at once, and a worker may come to the last of them late: the log says so from the start.
        LogLine.objects.bulk_create(
            LogLine(operation_id=pk, seq=seq + 1, at=max(now, asked_at), stream="note", text="started")
            for pk, seq, asked_at in held.values()
        )
        append(
            [
                Entry(
                    actor="system:fleetui",
                    action="operations.start",
                    subject=f"operation:{one.pk}",
                    after={"kind": one.kind, "node": one.node_name},
                )
                for one in chosen
                if one.pk in held
            ]
        )
    return started


class _Room:
    """How many more disruptive operations may run: overall, in each pool, in each cluster, on each control plane."""

    def __init__(self) -> None:
        limits = {(limit.scope, limit.name): limit.at_once for limit in Limit.objects.all()}
        self._overall = limits.get(("overall", ""), Limit.DEFAULTS["overall"])
        self._limits = limits
        self._pools: Counter[Any] = Counter()
        self._clusters: Counter[str] = Counter()
        self._planes: Counter[Any] = Counter()
        # Counted here: for a GROUP BY, SQLite reads all that ever ended in the order of its pools.
        running = Operation.objects.disturbing().order_by()
        for pool, cluster, is_control_plane in running.values_list("pool", "cluster_name", "is_control_plane"):
            self._count(pool, cluster, is_control_plane)

    def _count(self, pool: Any, cluster: str, is_control_plane: bool) -> None:  # noqa: FBT001
        self._overall -= 1
        self._pools[pool] += 1
        self._planes[_planes_of(pool, cluster)] += is_control_plane
        if cluster:
            self._clusters[cluster] += 1

    def is_full(self, pool: Any, name: str) -> bool:
        """Whether nothing disruptive can start in a pool, whatever it is."""
        return self._overall <= 0 or self._pools[pool] >= self._limits.get(("pool", name), Limit.DEFAULTS["pool"])

    def reached(self, pool: Any, name: str, cluster: str, is_control_plane: bool) -> tuple[str, str, int]:  # noqa: FBT001
        """The limit that lets nothing disruptive start there: scope, name, how many; no scope where there is room."""
        if self._overall <= 0:
            return "overall", "", self._limits.get(("overall", ""), Limit.DEFAULTS["overall"])
        if self.is_full(pool, name):
            return "pool" if pool else "no_pool", name, self._limits.get(("pool", name), Limit.DEFAULTS["pool"])
        in_cluster = self._limits.get(("cluster", cluster), Limit.DEFAULTS["cluster"])
        if cluster and self._clusters[cluster] >= in_cluster:
            return "cluster", cluster, in_cluster
        if is_control_plane and self._planes[_planes_of(pool, cluster)] >= CONTROL_PLANES_AT_ONCE:
            return "planes", cluster or name, CONTROL_PLANES_AT_ONCE
        return "", "", 0

    def take(self, one: Operation) -> bool:
        """Whether it may start; if so its place is taken."""
        if not one.is_disruptive:
            return True
        if self.reached(one.pool_id, one.pool_name, one.cluster_name, one.is_control_plane)[0]:
            return False
        self._count(one.pool_id, one.cluster_name, one.is_control_plane)
        return True


def _planes_of(pool: Any, cluster: str) -> tuple[str, Any]:
    """Which control planes stand beside one another: those of a pool that is in no cluster may be of one etcd too."""
    return (cluster, None) if cluster else ("", pool)


def _chosen(room: _Room) -> list[Operation]:
    """The oldest of each pool in turn, the pool that has waited longest first: a large request holds up no other pool."""
    queued = Operation.objects.filter(state=State.QUEUED).order_by()
    pools = queued.values("pool").annotate(oldest=Min("created_at"), name=Max("pool_name")).order_by("oldest")
    calm = queued.filter(is_disruptive=False)
    lines = [list(_waiting(calm if room.is_full(row["pool"], row["name"]) else queued, row["pool"])) for row in pools]
    chosen: list[Operation] = []
    while lines and len(chosen) < START_AT_ONCE:
        left = []
        for line in lines:
            while line:
                one = line.pop(0)
                if room.take(one):
                    chosen.append(one)
                    break
            if line:
                left.append(line)
        lines = left
    return chosen[:START_AT_ONCE]


def _waiting(queued: Any, pool: Any) -> Any:
    mine = queued.filter(pool=pool) if pool else queued.filter(pool__isnull=True)
    wanted = (
        "pk",
        "kind",
        "node",
        "node_name",
        "pool",
        "pool_name",
        "cluster_name",
        "is_control_plane",
        "is_disruptive",
    )
    return mine.order_by("created_at", "number").only(*wanted)[:START_AT_ONCE]
