"""tell(): the only way to notify. Called in the transaction of the event, so that both are there or neither is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from fleetui.core.text import clean
from fleetui.notify.events import EVENTS, GATHER_S, GATHERED, at_least
from fleetui.notify.models import Channel, Delivery, Rule


@dataclass(frozen=True)
class Told:
    """What happened: a line for people, where it stands on our pages (a path), and what it is about."""

    event: str
    severity: str
    text: str
    path: str = ""
    subject: str = ""
    pool_id: uuid.UUID | None = None
    pool: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def tell(events: Sequence[Told], *, now: datetime) -> int:
    """Put what rules ask for into the outbox; returns how many deliveries. Three queries at most, none without events."""
    if not events:
        return 0
    if not connection.in_atomic_block:
        raise RuntimeError("notify.tell belongs into the transaction of the event that it tells of")
    rules = list(Rule.objects.filter(channel__is_on=True))
    rows = []
    for one in events:
        if one.event not in EVENTS:
            raise KeyError(one.event)
        wait = timedelta(seconds=GATHER_S if one.event in GATHERED else 0)
        for channel in sorted({rule.channel_id for rule in rules if _asks(rule, one)}):
            rows.append(
                Delivery(
                    channel_id=channel,
                    event=one.event,
                    severity=one.severity,
                    document=_document(one),
                    happened_at=now,
                    due_at=now + wait,
                )
            )
    if rows:
        kept = _kept({row.channel_id for row in rows})
        rows = [row for row in rows if row.channel_id in kept]
    Delivery.objects.bulk_create(rows, batch_size=100)
    return len(rows)


def _kept(channels: Set[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the channels that are there until the end of the transaction.

    One that is deleted meanwhile would fail the transaction of the event, and with it every other channel. Tellers do not
    wait for each other: PostgreSQL's FOR KEY SHARE keeps a deletion waiting and nothing else. On SQLite nobody else writes.
    """
    found = Channel.objects.filter(pk__in=channels).order_by("pk").values_list("pk")
    sql, params = found.query.sql_with_params()
    if connection.vendor != "postgresql":
        return {pk for (pk,) in found}
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} FOR KEY SHARE", params)
        return {pk for (pk,) in cursor.fetchall()}


def _asks(rule: Rule, one: Told) -> bool:
    if rule.events and one.event not in rule.events:
        return False
    if rule.pool_id is not None and rule.pool_id != one.pool_id:
        return False
    return one.severity in at_least(rule.severity)


def _document(one: Told) -> dict[str, Any]:
    return {
        "text": clean(one.text)[:500],
        "path": one.path,
        "subject": clean(one.subject)[:300],
        "pool": one.pool or None,
        "details": dict(one.details),
    }
