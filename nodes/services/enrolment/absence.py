"""Enrolled nodes that stay away are retired; what may be FleetUI's own trouble retires nobody.

A node is absent when every contact has failed for as long as its pool says, the last of them after that time: while FleetUI
or its worker stood still nothing was tried, so nothing was missed. And when more than half of a pool fails at once, or nothing
at all answers, it is rather the network that is away: then the pool is held, which every page says, until it answers again or
a person retires the nodes.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from fleetui.core.remembered import remembered
from nodes.models import HostKey, Node, Pool, TimelineEvent
from nodes.services.lifecycle import ABSENT, lifecycle_columns
from nodes.services.polling.due import JITTER, back_off_s

#: One failed contact may be a reboot.
LEAST_FAILURES = 2
NODES_AT_ONCE = 500
#: Something must have answered within this time, or the longest interval of the installation.
ANSWERS_WITHIN_S = 600
HOLDS_FOR_S = 30
_FAILING = Q(lifecycle="active", enrolled_at__isnull=False, failures__gt=0)


@dataclass(frozen=True)
class Hold:
    """A pool whose absent nodes are left alone. `reason` is half or nothing_answers."""

    pool_id: uuid.UUID
    pool: str
    absent: int
    failing: int
    nodes: int
    reason: str


def retire_absent(now: datetime) -> int:
    """Retire the absent nodes of every pool that asks for it; returns how many. Two workers at once do it once."""
    count = 0
    for pool in Pool.objects.filter(retire_absent_after_s__isnull=False).order_by("name"):
        gone, unsure = _absent(pool, now)
        if unsure:
            # Tried again now, until the last contact that failed came after the time was over for certain.
            late = Node.objects.filter(pk__in=unsure, poll_lease=None, poll_due_at__gt=now)
            with transaction.atomic():
                late.held().update(poll_due_at=now)
        if gone and _hold(pool, len(gone), now) is None:
            count += _retire(pool, gone, now)
    return count


def holds(now: datetime) -> list[Hold]:
    """The pools that are held now, looked at no more than every 30 seconds in each process: pages ask at every request."""
    return remembered("enrolment-holds", HOLDS_FOR_S, lambda: _holds_now(now))


def _holds_now(now: datetime) -> list[Hold]:
    held = []
    for pool in Pool.objects.filter(retire_absent_after_s__isnull=False).order_by("name"):
        gone, _unsure = _absent(pool, now)
        if gone and (hold := _hold(pool, len(gone), now)):
            held.append(hold)
    return held


def _absent(pool: Pool, now: datetime) -> tuple[list[Node], list[uuid.UUID]]:
    """The nodes whose absence is proved, and those whose time is over but whose last contact came before that."""
    after = timedelta(seconds=pool.retire_absent_after_s or 0)
    overdue = Node.objects.filter(
        _FAILING,
        pool=pool,
        failing_since__lte=now - after,
        lifecycle_since__lte=now - after,
        failures__gte=LEAST_FAILURES,
        poll_lease=None,
    )
    silent = overdue.exclude(reachability="key_mismatch").filter(poll_requested_at=None, poll_due_at__gt=now)
    gone, unsure = [], []
    interval = pool.poll_interval_s or int(settings.POLL_INTERVAL_S)
    for node in silent.order_by("failing_since")[: NODES_AT_ONCE * 4]:
        waited = timedelta(seconds=back_off_s(interval, node.failures) * (1 + JITTER))
        if node.poll_due_at - waited >= _since(node) + after:
            gone.append(node)
        else:
            unsure.append(node.pk)
    return gone + _replaced(pool, after), unsure


def _since(node: Node) -> datetime:
    """When the absence began: a person who brings a node back gives it the whole time again."""
    return max(node.failing_since or node.lifecycle_since, node.lifecycle_since)


def _replaced(pool: Pool, after: timedelta) -> list[Node]:
    """Nodes at whose address another node of the fleet answers, and has answered since the time was over.

    They are not contacted any more, since the key is another one; but whose key it is, is known.
    """
    waiting = Node.objects.filter(
        _FAILING, pool=pool, reachability="key_mismatch", host_keys__state="offered", failing_since__isnull=False
    ).annotate(seen=F("host_keys__fingerprint"))
    nodes = list(waiting.order_by("failing_since")[:NODES_AT_ONCE])
    keys = HostKey.objects.filter(fingerprint__in=[node.seen for node in nodes], state="pinned")
    answered: dict[str, datetime] = {}
    for key in keys.filter(node__reachability="reachable").select_related("node"):
        if key.node.last_seen_at:
            answered[key.fingerprint] = key.node.last_seen_at
    return [node for node in nodes if (at := answered.get(node.seen)) and at >= _since(node) + after]


def _hold(pool: Pool, gone: int, now: datetime) -> Hold | None:
    """Why the absent nodes of a pool are rather left alone. A node at whose address another answers fails by itself."""
    return doubt(pool, gone, _FAILING, now)


def doubt(pool: Pool, count: int, failing: Q, now: datetime) -> Hold | None:
    """Why what fails in a pool is rather the network: more than half of it fails, or nothing at all answers. None: it is not.

    `count` is of how many nodes something was about to be done; `failing` says which nodes count as such.
    """
    counts = (
        Node.objects.filter(pool=pool)
        .counted()
        .aggregate(nodes=Count("pk"), failing=Count("pk", filter=failing & ~Q(reachability="key_mismatch")))
    )
    reason = ""
    if counts["failing"] * 2 > counts["nodes"]:
        reason = "half"
    elif not something_answers(now):
        reason = "nothing_answers"
    return Hold(pool.pk, pool.name, count, counts["failing"], counts["nodes"], reason) if reason else None


def something_answers(now: datetime) -> bool:
    """Whether some node has answered lately: else it is rather our own network that is away."""
    longest = max(
        [
            int(settings.POLL_INTERVAL_S),
            *Pool.objects.exclude(poll_interval_s=None).values_list("poll_interval_s", flat=True),
        ]
    )
    since = now - timedelta(seconds=max(ANSWERS_WITHIN_S, 2 * longest))
    return Node.objects.filter(last_seen_at__gte=since, failures=0).exists()


def _retire(pool: Pool, nodes: Iterable[Node], now: datetime) -> int:
    count = 0
    slices: dict[int, list[Node]] = defaultdict(list)
    for number, node in enumerate(nodes):
        slices[number // NODES_AT_ONCE].append(node)
    for some in slices.values():
        with transaction.atomic():
            count += _retire_some(pool, some, now)
    return count


def _retire_some(pool: Pool, nodes: list[Node], now: datetime) -> int:
    entries, events = [], []
    for node in sorted(nodes, key=lambda one: one.pk):
        assert node.failing_since is not None  # noqa: S101
        since = node.failing_since.astimezone(timezone.get_default_timezone())
        reason = f"{ABSENT}: no contact since {since:%Y-%m-%d %H:%M %Z}, for more than {pool.retire_absent_after_s} s."
        columns = lifecycle_columns(node, "retired", None, reason, now)
        # A contact that came meanwhile, an edit or a poll under way: the next sweep looks again.
        same = Node.objects.filter(
            _FAILING, pk=node.pk, revision=node.revision, failures=node.failures, poll_lease=None
        )
        if not same.update(**columns, revision=node.revision + 1):
            continue
        params = {"pool": pool.name, "after_s": pool.retire_absent_after_s}
        events.append(
            TimelineEvent(
                node=node, at=now, kind="retired_absent", params=params, actor=str(SYSTEM), generation=node.generation
            )
        )
        before, after = {"lifecycle": node.lifecycle}, {"lifecycle": "retired"}
        entries.append(
            Entry(str(SYSTEM), "nodes.set_lifecycle", f"node:{node.name}", before=before, after=after, reason=reason)
        )
    TimelineEvent.objects.bulk_create(events)
    append(entries)
    return len(entries)
