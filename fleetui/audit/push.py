"""Sending the audit log on, at least once and in order. The log is its own outbox: a row keeps how far each receiver is.

A receiver may see an event twice after a crash or a lost answer, and drops what has a `seq` that it knows.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q

from fleetui.audit.chain import TEXT_FIELDS, iso
from fleetui.audit.models import AuditEvent, AuditHead, AuditPush
from fleetui.audit.sinks import Event, Sink
from fleetui.core import clock
from fleetui.core.posting import NotSent

AT_ONCE = 200
LONGEST_RUN_S = 20.0
LEASE = timedelta(seconds=90)
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 600.0
log = structlog.get_logger(__name__)


def event_json(event: AuditEvent) -> Event:
    """An event as receivers get it: the fields that are hashed, and the hash."""
    found: dict[str, Any] = {name: getattr(event, name) for name in TEXT_FIELDS}
    for name in ("before", "after"):
        found[name] = json.loads(found[name]) if found[name] else None
    return {**found, "at": iso(event.at), "hash": event.hash}


def push(sink: Sink, now: datetime, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Send what the receiver does not have yet, for some seconds at most; returns how many events it took.

    One process at a time by a lease. No transaction is open while it sends.
    """
    lease = _claim(sink.name, now)
    if lease is None:
        return 0
    mine = AuditPush.objects.filter(sink=sink.name, lease_id=lease)
    sent, until_s = 0, monotonic() + LONGEST_RUN_S
    try:
        while monotonic() < until_s and not stop():
            seq = mine.values_list("seq", flat=True).first()
            events = list(AuditEvent.objects.filter(seq__gt=seq).order_by("seq")[:AT_ONCE]) if seq is not None else []
            if not events:
                break
            if seq and events[0].seq != seq + 1:
                log.warning("audit_push_gap", sink=sink.name, after=seq, next=events[0].seq)
            sink.send([event_json(event) for event in events])
            taken = {
                "seq": events[-1].seq,
                "sent_at": clock.now(),
                "failures": 0,
                "failing_since": None,
                "last_error": "",
            }
            if not mine.update(**taken, lease_until=clock.now() + LEASE):
                break
            sent += len(events)
    except NotSent as error:
        _put_off(sink.name, lease, str(error))
    mine.update(lease_id=None, lease_until=None)
    return sent


def _claim(name: str, now: datetime) -> uuid.UUID | None:
    lease = uuid.uuid4()
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    due = AuditPush.objects.filter(free, sink=name, due_at__lte=now)
    if due.update(lease_id=lease, lease_until=now + LEASE):
        return lease
    if AuditPush.objects.filter(sink=name).exists():
        return None
    # A new receiver gets what happens from now on; `manage.py audit resend` sends what was before.
    head = 0 if settings.AUDIT_SEND_ALL else AuditHead.objects.filter(id=1).values_list("seq", flat=True).first() or 0
    try:
        AuditPush.objects.create(sink=name, seq=head, due_at=now, lease_id=lease, lease_until=now + LEASE)
    except IntegrityError:
        return None  # another process was first
    return lease


def _put_off(name: str, lease: uuid.UUID, why: str) -> None:
    row = AuditPush.objects.filter(sink=name, lease_id=lease).first()
    if row is None:
        return
    failures, now = row.failures + 1, clock.now()
    pause_s = min(FIRST_PAUSE_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)  # noqa: S311
    AuditPush.objects.filter(sink=name, lease_id=lease).update(
        failures=failures,
        failing_since=row.failing_since or now,
        last_error=why[:300],
        due_at=now + timedelta(seconds=pause_s),
    )
    log.warning("audit_push_failed", sink=name, failures=failures, error=why)
