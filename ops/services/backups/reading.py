"""Reads of backup policies: which one, what it covers, and how it stands now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.core.errors import NotFound
from nodes.models import Node
from ops.models import BackupDrill, BackupPolicy, BackupRun


def policy_at(principal: Principal, policy_id: uuid.UUID) -> BackupPolicy:
    """A policy that this principal sees; NotFound otherwise."""
    rows = BackupPolicy.objects.visible_to(principal).select_related(
        "node__pool", "pool", "target", "schedule__pool", "drill_schedule__pool"
    )
    found: BackupPolicy | None = rows.filter(pk=policy_id).first()
    if found is None:
        raise NotFound(_("There is no such backup policy that you may see."), mend=_("Read the list of policies."))
    return found


def covers(policy: BackupPolicy, node: Node | None) -> bool:
    """Whether this node is what the policy backs up: rights on a node alone give no way to its files. FleetUI itself is on none."""
    if node is None:
        return policy.kind == "fleetui"
    return node.pk == policy.node_id or (policy.pool_id is not None and node.pool_id == policy.pool_id)


def overdue_at(policy: BackupPolicy) -> datetime:
    """From when on it is overdue, unless there is a good backup before."""
    since: datetime = policy.last_good_at or policy.created_at
    return since + timedelta(seconds=policy.overdue_after_s)


def unproven_at(policy: BackupPolicy) -> datetime | None:
    """From when on its proof is too old, unless a drill goes well before; None where none is asked for."""
    if policy.prove_within_s is None:
        return None
    since: datetime = policy.last_proven_at or policy.created_at
    return since + timedelta(seconds=policy.prove_within_s)


def newest_proofs(policies: list[BackupPolicy]) -> dict[uuid.UUID, BackupDrill]:
    """The last drill of each that went well: one query."""
    ids, times = [one.pk for one in policies if one.last_proven_at], [one.last_proven_at for one in policies]
    good = BackupDrill.objects.filter(policy__in=ids, state="good", ended_at__in=times)
    return {drill.policy_id: drill for drill in good.order_by("ended_at")}


def newest_good(policies: list[BackupPolicy]) -> dict[uuid.UUID, BackupRun]:
    """The last good backup of each that is still there: one query."""
    found: dict[uuid.UUID, BackupRun] = {}
    ids = [one.pk for one in policies if one.last_good_at]
    good = BackupRun.objects.filter(policy__in=ids, state="good", ended_at__in=[one.last_good_at for one in policies])
    for run in good.order_by("ended_at"):
        found[run.policy_id] = run
    return found


def ledger(policy: BackupPolicy, most: int) -> list[BackupRun]:
    """The newest runs, and as many older ones that are still there: what is kept for years can be compared and restored."""
    runs = BackupRun.objects.filter(policy=policy).order_by("-started_at", "-id")
    newest = list(runs[:most])
    if len(newest) < most:
        return newest
    return [*newest, *runs.there().filter(started_at__lt=newest[-1].started_at)[:most]]


@dataclass(frozen=True)
class Standing:
    """How a policy stands: `level` and a code that is worded where it is shown."""

    level: str
    code: str


def standing(policy: BackupPolicy, now: datetime) -> Standing:
    if overdue_at(policy) <= now:
        return Standing("bad", "overdue" if policy.last_good_at else "never")
    if policy.last_good_at is None:
        return Standing("info", "waits")
    return Standing("ok", "good")
