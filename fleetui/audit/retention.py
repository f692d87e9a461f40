"""Old audit events are removed from the front of the chain only, after they were proved, with a checkpoint that the rest begins at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleetui.audit.chain import TEXT_FIELDS, event_hash, iso
from fleetui.audit.log import Entry, append
from fleetui.audit.models import AuditEvent, AuditHead
from fleetui.audit.triggers import deletion_allowed
from fleetui.core.errors import Conflict
from fleetui.core.retention import History, register

ACTION = "audit.prune"
ACTOR = "system:fleetui"
LEAST_DAYS = 90
#: Checkpoints are events too: a day's worth goes at once, or the log would fill with them.
AT_LEAST_OVERDUE = timedelta(days=1)
#: Newest checkpoints that are looked at: while one proof runs, another may be written.
CHECKPOINTS_READ = 20


@dataclass(frozen=True)
class Checkpoint:
    """Event `seq` says that everything up to event `last` was removed, and what the hash of that one was."""

    seq: int
    last: int
    last_hash: str


def checkpoint_before(first: int) -> Checkpoint | None:
    """The checkpoint after which the log begins with this event. Its own hash is proved with the rest of the chain."""
    for event in AuditEvent.objects.filter(action=ACTION).order_by("-seq")[:CHECKPOINTS_READ]:
        try:
            told = json.loads(event.after)
            found = Checkpoint(event.seq, int(told["last"]), str(told["last_hash"]))
        except (ValueError, KeyError, TypeError):
            continue  # not ours: the walk over the chain judges it
        if found.last == first - 1:
            return found
    return None


def prune_audit(before: datetime, limit: int) -> int:
    """Remove at most `limit` events from the front, and write the checkpoint, in one transaction. Never the last event.

    Raises Conflict, and removes nothing, when these events do not match their hashes: that is evidence.
    """
    with transaction.atomic():
        head = AuditHead.objects.select_for_update().filter(id=1).first()
        oldest = AuditEvent.objects.order_by("seq").first()
        if head is None or oldest is None or oldest.at >= before - AT_LEAST_OVERDUE:
            return 0
        # The number counts, not the time alone: a clock that was set back leaves no hole.
        kept = AuditEvent.objects.filter(at__gte=before).order_by("seq").values_list("seq", flat=True).first()
        end = min(head.seq if kept is None else kept, head.seq)
        events = list(AuditEvent.objects.filter(seq__lt=end).order_by("seq")[:limit])
        if not events:
            return 0
        _prove(events)
        last = events[-1]
        with deletion_allowed(last.seq):
            AuditEvent.objects.filter(seq__lte=last.seq).delete()
        after = {
            "first": events[0].seq,
            "last": last.seq,
            "last_hash": last.hash,
            "events": len(events),
            "older_than": iso(before),
        }
        append([Entry(actor=ACTOR, action=ACTION, subject="audit", after=after)])
    return len(events)


def _prove(events: Sequence[AuditEvent]) -> None:
    first = events[0].seq
    checkpoint = checkpoint_before(first) if first > 1 else Checkpoint(0, 0, "")
    previous, expected = (checkpoint.last_hash, first) if checkpoint else ("", 1)
    for event in events:
        row = {name: getattr(event, name) for name in ("at", *TEXT_FIELDS)}
        if event.seq != expected or event_hash(previous, row) != event.hash:
            raise Conflict(
                _("Audit event %(seq)s does not follow from the one before it: old events are not removed.")
                % {"seq": event.seq},
                mend=_("Look at `manage.py audit verify`, and keep a copy of the database."),
            )
        previous, expected = event.hash, expected + 1


def install() -> None:
    register(
        History(
            subject="audit",
            label=gettext_lazy("Audit log"),
            about=gettext_lazy(
                "Who did what. What is left stays provable: a checkpoint in the chain says what was removed."
            ),
            default_days=None,
            least_days=LEAST_DAYS,
            oldest=lambda: AuditEvent.objects.order_by("seq").values_list("at", flat=True).first(),
            count=lambda before, limit: AuditEvent.objects.filter(at__lt=before)[:limit].count(),
            prune=prune_audit,
            rows_at_once=2000,
        )
    )
