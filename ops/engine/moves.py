"""Nodes that were moved: their operations count where the node is now, and what nobody there agreed to does not start."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry
from nodes.axes import Lifecycle
from ops.models import ApprovalRule, Operation
from ops.services.rules import rule_for
from ops.states import UNTOUCHED, State

MOVES_AT_ONCE = 500
_KEPT = sorted(one.value for one in Lifecycle if one is not Lifecycle.RETIRED)


def follow_moves(now: datetime) -> tuple[bool, list[Entry]]:
    """Put operations where their nodes are: whether that is all of them, and what is to be audited at the end.

    One that has not begun, in a pool that asks for more approvals than its request had to have, is cancelled: otherwise a
    move would be the way around the rule.
    """
    # Said of the node and not of the column: by that, SQLite would read through all that ever ended.
    here = Operation.objects.active().filter(node__lifecycle__in=_KEPT)
    same_pool = Q(pool=F("node__pool")) | Q(pool=None, node__pool=None)
    same_cluster = Q(cluster_name=Coalesce("node__pool__cluster__name", Value("")))
    moved = here.exclude(same_pool & same_cluster).select_related("node__pool__cluster", "request").order_by("pk")
    rows = list(moved[:MOVES_AT_ONCE])
    rules = list(ApprovalRule.objects.all()) if rows else []
    entries = []
    for row in rows:
        pool = row.node.pool
        cluster = pool.cluster if pool else None
        place = {"pool": pool, "pool_name": pool.name if pool else "", "cluster_name": cluster.name if cluster else ""}
        rule = rule_for(rules, place["pool_name"], row.kind)
        # A rule of the same pool that is younger than the request does not hold for it.
        may_fall_short = row.state in UNTOUCHED and row.pool_id != row.node.pool_id
        short = may_fall_short and rule is not None and rule.approvers > row.request.approvals_needed
        mine = Operation.objects.filter(pk=row.pk, state__in=sorted(UNTOUCHED))
        if short and mine.update(**place, **(ended := _ended(place["pool_name"], now))):
            entries.append(_entry(row, ended))
        else:
            Operation.objects.filter(pk=row.pk).update(**place)
    return len(rows) < MOVES_AT_ONCE, entries


def _ended(pool: str, now: datetime) -> dict[str, Any]:
    reason = _("The node was moved to %(pool)s, where more people have to approve this. Ask for it again.")
    return {
        "state": State.CANCELLED,
        "state_since": now,
        "ended_at": now,
        "due_at": None,
        "result": "cancelled",
        "result_params": {"by": str(SYSTEM), "reason": reason % {"pool": pool or "-"}, "untouched": True},
        "wait_reason": "",
        "wait_params": {},
        "wait_since": None,
    }


def _entry(row: Operation, ended: dict[str, Any]) -> Entry:
    return Entry(
        actor=str(SYSTEM),
        action="operations.end",
        subject=f"operation:{row.pk}",
        before={"state": str(row.state)},
        after={"state": str(State.CANCELLED), "kind": row.kind, "node": row.node_name, "result": "cancelled"},
        reason=str(ended["result_params"]["reason"]),
        outcome="failed",
    )
