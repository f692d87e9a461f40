"""A pool or cluster got another name: its limit, its approval rules and what runs there follow, in the same transaction."""

from __future__ import annotations

from ops.models import ApprovalRule, Limit, Operation


def follow_rename(kind: str, before: str, after: str) -> None:
    """Otherwise a renamed pool would lose its approval rules, and what is left of a former pool of that name would hold."""
    if kind not in ("pool", "cluster"):
        return
    Limit.objects.filter(scope=kind, name=after).delete()
    Limit.objects.filter(scope=kind, name=before).update(name=after)
    active = Operation.objects.active()
    if kind == "pool":
        ApprovalRule.objects.filter(pool=after).delete()
        ApprovalRule.objects.filter(pool=before).update(pool=after)
        active.filter(pool_name=before).held().update(pool_name=after)
    else:
        active.filter(cluster_name=before).held().update(cluster_name=after)
