"""Machines that do not answer, in pools with a policy: which are due to be replaced, which are not and why; and the asking.

How long one is silent is counted by contacts (nodes.services.silence), so that nothing is due because FleetUI stood still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from fleetui.access.principals import SYSTEM
from fleetui.core.errors import FleetError, InvalidInput
from nodes.hosts.errors import NO_ANSWER
from nodes.models import Node
from nodes.services.enrolment.absence import doubt
from ops.models import PolicyReplacement, ReplacePolicy, Stop
from ops.services.plan import NodePlan
from ops.services.reasons import checked_reason
from ops.services.replacing.policies import KIND, ONLY
from ops.services.request import preview, request_operations

#: One failed contact may be a restart.
LEAST_FAILURES = 2
DAY = timedelta(hours=24)
#: Of one pool at once; the longest silent first.
MOST_LOOKED_AT = 200
#: Failing by itself: a node whose machine shows another key says nothing of the network.
_FAILING = Q(lifecycle="active", failures__gt=0)
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Standing:
    """Where a node that does not answer stands: `due`, or the code why nothing is asked for."""

    node: Node
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


def replace_unhealthy(now: datetime) -> int:
    """Ask for what is due in every pool with a policy; returns how many. One query where there is none."""
    asked, failed = 0, []
    for policy in ReplacePolicy.objects.select_related("pool"):
        try:
            if any(one.code == "due" for one in standings(policy, now)):
                while _ask_one(policy, now):
                    asked += 1
        except Exception as error:  # a fault in one pool keeps no other back, and is told as what it is
            log.exception("replace_policy_failed", pool=policy.pool.name)
            failed.append(error)
    if failed:
        raise failed[0]
    return asked


def standings(policy: ReplacePolicy, now: datetime) -> list[Standing]:
    """Every node of the pool that does not answer, the longest silent first. Three queries while none is due."""
    nodes = Node.objects.filter(pool=policy.pool_id, reachability="unreachable").exclude(lifecycle="retired")
    rows = list(nodes.select_related("pool__cluster").order_by("failing_since", "pk")[:MOST_LOOKED_AT])
    if not rows:
        return []
    asked = {(one.node_id, one.generation): one.operation_id for one in PolicyReplacement.objects.filter(node__in=rows)}
    found = {node.pk: _not_yet(policy, node, asked, now) for node in rows}
    over = [node for node in rows if found[node.pk] is None]
    found |= {one.node.pk: one for one in _over(policy, over, now)}
    return [one for node in rows if (one := found[node.pk]) is not None]


def _not_yet(policy: ReplacePolicy, node: Node, asked: Mapping[tuple[Any, int], Any], now: datetime) -> Standing | None:
    """What keeps a single node from being due, whatever else is so in its pool."""
    if node.lifecycle != "active":
        return Standing(node, "maintenance")
    if (node.pk, node.generation) in asked:
        return Standing(node, "asked", {"operation": asked[node.pk, node.generation]})
    if node.last_error_kind not in NO_ANSWER:
        return Standing(node, "answers", {"kind": node.last_error_kind, "error": node.last_error_params})
    after = timedelta(minutes=policy.after_minutes)
    silent = timedelta(seconds=node.silent_s if node.silent_at else 0)
    # Whoever turns it on has the whole time to look at what it would do.
    since_set = (node.silent_at or now) - policy.set_at
    if min(silent, since_set) < after or node.failures < LEAST_FAILURES:
        left = after - max(min(silent, since_set), timedelta(0))
        return Standing(node, "waits", {"minutes": max(-(-left // timedelta(minutes=1)), 1)})
    if node.poll_lease is not None or node.poll_requested_at is not None or node.poll_due_at <= now:
        return Standing(node, "looked_at")
    return None


def _over(policy: ReplacePolicy, nodes: list[Node], now: datetime) -> Iterable[Standing]:
    """The nodes whose time is over: what is due now, within what a day may bring, and what stands against the others."""
    if not nodes:
        return []
    if Stop.objects.filter(stopped_at__isnull=False).exists():
        return [Standing(node, "stopped") for node in nodes]
    if hold := doubt(policy.pool, len(nodes), _FAILING, now):
        params = {"failing": hold.failing, "nodes": hold.nodes}
        return [Standing(node, f"held_{hold.reason}", params) for node in nodes]
    try:
        checked_reason(reason_of(policy, nodes[0]))
    except InvalidInput as error:
        return [Standing(node, "reason", {"said": f"{error.message} {error.mend}".strip()}) for node in nodes]
    lately = PolicyReplacement.objects.filter(pool=policy.pool, asked_at__gt=now - DAY).order_by("asked_at")
    times = list(lately.values_list("asked_at", flat=True))
    left, found = policy.most_per_day - len(times), []
    for plan in preview(nodes=nodes, kind=KIND, params={**policy.params, **ONLY}, actor=SYSTEM, now=now):
        one = _against(plan)
        if one is None and left <= 0:
            one = Standing(plan.node, "most_per_day", {"n": policy.most_per_day, "at": (times or [now])[0] + DAY})
        left -= one is None
        found.append(one or Standing(plan.node, "due"))
    return found


def _against(plan: NodePlan) -> Standing | None:
    """What the plan says against it; a request that would stop at its first check is not made."""
    if plan.refused:
        return Standing(plan.node, "refused", {"code": plan.refused, "params": dict(plan.params)})
    stops = [check for check in plan.checks if check.level == "block"]
    if stops:
        return Standing(plan.node, "blocked", {"checks": [check.as_json() for check in stops]})
    return None


def reason_of(policy: ReplacePolicy, node: Node) -> str:
    words = {"pool": policy.pool.name, "minutes": node.silent_s // 60}
    text = _("Policy of the pool %(pool)s: no answer for %(minutes)s min.") % words
    return f"{text} {policy.reason}".strip()


def _ask_one(policy: ReplacePolicy, now: datetime) -> bool:
    """Ask for the first that is due. Under the lock of the policy and with the count of the day, in one transaction."""
    try:
        with transaction.atomic():
            held = ReplacePolicy.objects.select_for_update(of=("self",)).select_related("pool")
            mine = held.filter(pk=policy.pk).first()
            # Turned off, or changed, or another worker was faster: what is due is looked at again.
            due = [one.node for one in standings(mine, now) if one.code == "due"] if mine else []
            if mine is None or not due:
                return False
            _ask(mine, due[0], now)
    except FleetError as error:
        # Something came between the plan and the request: the next round looks again.
        log.warning("replacement_not_asked_for", pool=policy.pool.name, error=error.message)
        return False
    return True


class _NotMade(FleetError):
    """No operation could be made: nothing of the request stays."""


def _ask(policy: ReplacePolicy, node: Node, now: datetime) -> None:
    made = PolicyReplacement.objects.create(pool=policy.pool, node=node, generation=node.generation, asked_at=now)
    answer = request_operations(
        nodes=[node],
        kind=KIND,
        params={**policy.params, **ONLY},
        reason=reason_of(policy, node),
        idempotency_key=f"replace-policy:{node.pk}:{node.generation}",
        actor=SYSTEM,
        now=now,
    )
    if not answer.operations:
        raise _NotMade(", ".join(one.code for one in answer.refused))
    PolicyReplacement.objects.filter(pk=made.pk).update(operation=answer.operations[0])
