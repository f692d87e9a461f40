"""What waits for approval, as those see it who decide, and those who asked."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count

from fleetui.access.principals import Principal
from ops.models import Approval, Operation, OperationRequest
from ops.states import State

MOST_SHOWN = 200
NODES_NAMED = 5


@dataclass
class WaitingRequest:
    """A request that waits for approval. Only operations that the reader sees are counted and named."""

    request: OperationRequest
    may_decide: bool
    operations: int = 0
    pools: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    decisions: Sequence[Approval] = ()

    @property
    def granted(self) -> int:
        return sum(one.is_granted for one in self.decisions)


def count_waiting_for(principal: Principal) -> int:
    """How many requests this principal may decide on now."""
    if not principal.may_somewhere("operations.approve"):
        return 0
    return OperationRequest.objects.waiting_for(principal).count()


def waiting_requests(principal: Principal) -> list[WaitingRequest]:
    """All that wait and may be seen, the one that expires first in front. Five queries, however many there are."""
    awaiting = OperationRequest.objects.awaiting(principal).prefetch_related("approvals")
    rows = list(awaiting.order_by("approve_by", "requested_at")[:MOST_SHOWN])
    mine = set(
        OperationRequest.objects.waiting_for(principal)
        .filter(pk__in=[row.pk for row in rows])
        .values_list("pk", flat=True)
    )
    found = {row.pk: WaitingRequest(row, row.pk in mine, decisions=list(row.approvals.all())) for row in rows}
    operations = Operation.objects.visible_to(principal).filter(state=State.AWAITING_APPROVAL, request__in=rows)
    counts = operations.order_by().values("request", "pool_name").annotate(count=Count("pk"))
    for count in counts:
        one = found[count["request"]]
        one.operations += count["count"]
        one.pools.append(count["pool_name"])
    names: dict[uuid.UUID, list[str]] = defaultdict(list)
    first = operations.filter(number__lt=NODES_NAMED).order_by("number")
    for request, name in first.values_list("request", "node_name"):
        names[request].append(name)
    for pk, one in found.items():
        one.nodes, one.pools = names[pk], sorted(one.pools)
    return list(found.values())
