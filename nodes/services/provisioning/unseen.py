"""Nodes that a fetch made and whose machine never came are retired, so that counts and limits are about what exists.

The rules are those of absence: the last contact failed after the time was over, at least twice, and something else answers.
While FleetUI or its worker stood still nothing was tried, so nothing was missed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from nodes.models import Node, Provisioning, TimelineEvent
from nodes.services.enrolment.absence import LEAST_FAILURES, something_answers
from nodes.services.lifecycle import ABSENT, lifecycle_columns
from nodes.services.polling.due import JITTER, back_off_s

AT_ONCE = 500


def retire_unseen(now: datetime) -> int:
    """Retire the nodes whose machine had its time; returns how many. Two workers at once do it once."""
    late = Provisioning.objects.filter(
        holds_instance=True, ended_at=None, deadline__lte=now, node__last_seen_at=None, node__lifecycle="active"
    )
    rows = list(late.select_related("node__pool").defer("sealed_config").order_by("node_id")[:AT_ONCE])
    if not rows or not something_answers(now):
        return 0
    count = 0
    for row in rows:
        if _was_tried(row):
            count += _retire(row, now)
        else:
            # Tried again now, until a contact that began after the deadline has failed.
            Node.objects.filter(pk=row.node_id, poll_lease=None, poll_due_at__gt=now).update(poll_due_at=now)
    return count


def _was_tried(row: Provisioning) -> bool:
    node = row.node
    interval = (node.pool.poll_interval_s if node.pool else None) or int(settings.POLL_INTERVAL_S)
    waited = timedelta(seconds=back_off_s(interval, node.failures) * (1 + JITTER))
    return node.failures >= LEAST_FAILURES and node.poll_lease is None and node.poll_due_at - waited >= row.deadline


def _retire(row: Provisioning, now: datetime) -> int:
    node = row.node
    reason = f"{ABSENT}: its machine fetched its config and did not come within the time of the token."
    with transaction.atomic():
        # A contact that came meanwhile, an edit or a poll under way: the next sweep looks again.
        same = Node.objects.filter(
            pk=node.pk, revision=node.revision, failures=node.failures, last_seen_at=None, poll_lease=None
        )
        columns = lifecycle_columns(node, "retired", None, reason, now)
        if not same.update(**columns, revision=node.revision + 1):
            return 0
        ended = {"ended_at": now, "ending": "absent", "sealed_config": "", "holds_instance": False}
        Provisioning.objects.filter(pk=row.pk, ended_at=None).update(**ended)
        TimelineEvent.objects.create(
            node=node, at=now, kind="retired_unseen", actor=str(SYSTEM), generation=node.generation
        )
        before, after = {"lifecycle": node.lifecycle}, {"lifecycle": "retired"}
        append([Entry(str(SYSTEM), "nodes.set_lifecycle", f"node:{node.name}", before, after, reason)])
    return 1
