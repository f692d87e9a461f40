"""The Ignition state of nodes: a column that follows from four others, put right where it does not.

What it follows from changes in many places (a poll reads a marker, a node moves, a pool intends another version). So nobody
has to remember the column: `settle` finds what does not fit, in one query over the nodes whose version is known.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from django.db import transaction
from django.db.models import Case, Count, F, Q, QuerySet, Value, When
from django.utils.translation import gettext as _

from fleetui.notify.outbox import Told, tell
from nodes.ignition.effect import Effect, effect
from nodes.ignition.sections import UnreadableDocument
from nodes.models import IgnitionVersion, Node, TimelineEvent
from nodes.models.drift import Verdict
from nodes.models.node import IgnitionState

#: A transaction stays short, also when a pool of 100,000 nodes gets another version.
ROWS_AT_ONCE = 1000
#: So that one run ends while a worker has other work; the next goes on.
MOST_AT_ONCE = 20_000
_PARTS = ("applied_version_id", "pool__intended_version_id", "found", "ignition_state")


@dataclass(frozen=True)
class Standing:
    """What the state of a node follows from. `verdict` is of the version that the node has now, else empty."""

    applied: uuid.UUID | None
    intended: uuid.UUID | None
    verdict: str

    @property
    def is_behind(self) -> bool:
        return self.applied is not None and self.intended is not None and self.applied != self.intended

    @property
    def state(self) -> IgnitionState:
        """What needs most comes first. Never compared is not known, unless the pool intends another version anyway."""
        if self.applied is None:
            return IgnitionState.UNKNOWN
        if self.verdict == Verdict.NEEDS_REPLACEMENT or self._differs_in_disks:
            return IgnitionState.NEEDS_REPLACEMENT
        if self.verdict == Verdict.DRIFTED:
            return IgnitionState.DRIFTED
        if self.is_behind:
            return IgnitionState.BEHIND
        return IgnitionState.IN_STEP if self.verdict == Verdict.CLEAN else IgnitionState.UNKNOWN

    @property
    def _differs_in_disks(self) -> bool:
        if self.applied is None or self.intended is None or not self.is_behind:
            return False
        return needs_another_machine(self.applied, self.intended)


def needs_another_machine(applied: uuid.UUID, intended: uuid.UUID) -> bool:
    """Whether the intended version differs in what only the first boot of a machine does: its disks."""
    return bool(_changes_of_disks(applied, intended))


def changes_of_disks(node: Node) -> tuple[Effect, ...]:
    """What the version that the node's pool intends makes otherwise on its disks; empty where the node has that one."""
    intended = node.pool.intended_version_id if node.pool else None
    if node.applied_version_id is None or intended in (None, node.applied_version_id):
        return ()
    return _changes_of_disks(node.applied_version_id, intended)


@lru_cache(maxsize=512)
def _changes_of_disks(applied: uuid.UUID, intended: uuid.UUID) -> tuple[Effect, ...]:
    """Versions never change."""
    rows = IgnitionVersion.objects.filter(pk__in=[applied, intended])
    rendered = dict(rows.values_list("pk", "rendered"))
    try:
        found = effect(rendered.get(applied, ""), rendered.get(intended, ""))
    except UnreadableDocument:
        return ()
    return tuple(one for one in found if one.section == "disks")


def standings(nodes: QuerySet[Node]) -> QuerySet[Node]:
    """With `found`, the verdict as far as it is about the version and the machine that the node has now."""
    holds = Q(drift__version=F("applied_version"), drift__generation=F("generation"))
    return nodes.annotate(found=Case(When(holds, then=F("drift__verdict")), default=Value("")))


def settle(now: datetime, node_ids: Collection[uuid.UUID] | None = None) -> int:
    """Put the state of nodes right, of these or of all; returns how many changed. Each change is on the timeline."""
    nodes = Node.objects.order_by()
    nodes = nodes if node_ids is None else nodes.filter(pk__in=node_ids)
    others = [state.value for state in IgnitionState if state is not IgnitionState.UNKNOWN]
    changed = _move(nodes.filter(applied_version=None, ignition_state__in=others), IgnitionState.UNKNOWN, now)
    known = standings(nodes.filter(applied_version__isnull=False))
    for applied, intended, verdict, state, _count in list(known.values_list(*_PARTS).annotate(nodes=Count("pk"))):
        wanted = Standing(applied, intended, verdict).state
        if wanted.value != state and changed < MOST_AT_ONCE:
            where = {"applied_version_id": applied, "found": verdict, "ignition_state": state}
            group = known.filter(**where)
            has_pool = Q(pool__intended_version_id=intended)
            changed += _move(group.filter(has_pool), wanted, now)
    return changed


def _move(group: QuerySet[Node], wanted: IgnitionState, now: datetime) -> int:
    changed = 0
    while changed < MOST_AT_ONCE:
        ids = list(group.values_list("pk", flat=True)[:ROWS_AT_ONCE])
        if not ids:
            break
        with transaction.atomic():
            rows = Node.objects.filter(pk__in=ids).exclude(ignition_state=wanted.value)
            # Held, so that two that settle at once tell of it once.
            before = list(rows.select_for_update().order_by("pk").values_list("pk", "ignition_state", "generation"))
            moved = Node.objects.filter(pk__in=[pk for pk, _state, _generation in before])
            moved.update(ignition_state=wanted.value, ignition_state_since=now)
            TimelineEvent.objects.bulk_create(
                [
                    TimelineEvent(
                        node_id=pk,
                        at=now,
                        kind="ignition_state_changed",
                        params={"before": old, "after": wanted.value},
                        generation=generation,
                    )
                    for pk, old, generation in before
                ],
                batch_size=100,
            )
            _tell_of_drift(moved, {pk: old for pk, old, _generation in before}, wanted, now)
        changed += len(ids)
        if len(ids) < ROWS_AT_ONCE:
            break
    return changed


def _tell_of_drift(
    nodes: QuerySet[Node], before: Mapping[uuid.UUID, str], wanted: IgnitionState, now: datetime
) -> None:
    """What was changed on hosts by hand, and what was put back; another version for the pool is no news of the nodes."""
    if wanted is not IgnitionState.DRIFTED and IgnitionState.DRIFTED not in before.values():
        return
    told = []
    for node in nodes.filter(lifecycle="active").select_related("pool").only("name", "pool__name"):
        if wanted is IgnitionState.DRIFTED:
            event, severity, text = "node.drifted", "warning", _("%(node)s is no longer as its Ignition version says")
        elif wanted is IgnitionState.IN_STEP and before[node.pk] == IgnitionState.DRIFTED:
            event, severity, text = "node.in_step", "info", _("%(node)s is as its Ignition version says again")
        else:
            continue
        told.append(
            Told(
                event=event,
                severity=severity,
                text=text % {"node": node.name},
                path=f"/nodes/{quote(node.name)}/ignition/",
                subject=f"node:{node.name}",
                pool_id=node.pool_id,
                pool=node.pool.name if node.pool else "",
            )
        )
    tell(told, now=now)
