"""A plan as a whole: the approvals that it needs, and how long it will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ops import actions
from ops.services.approve import Needed, needed_for
from ops.services.durations import Expected, whole_time_s
from ops.services.plan import NodePlan


@dataclass(frozen=True)
class Outlook:
    """`seconds` is None where no past run says it."""

    needed: Needed
    seconds: int | None


def outlook(plans: Sequence[NodePlan], *, kind: str, now: datetime) -> Outlook:
    """Two more queries. What is refused counts for nothing."""
    chosen = [plan for plan in plans if not plan.refused]
    counts = Counter(plan.node.pool.name if plan.node.pool else "" for plan in chosen)
    by_pool: dict[str, Expected] = {
        plan.node.pool.name: plan.expected for plan in chosen if plan.node.pool and plan.expected
    }
    needed = needed_for(kind=kind, pools=counts, now=now)
    if not actions.get(kind).is_disruptive:
        # No limit of a pool holds it back.
        return Outlook(needed, max((one.seconds for one in by_pool.values()), default=None))
    return Outlook(needed, whole_time_s(counts, by_pool))
