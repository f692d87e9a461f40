"""Sends what is in the outbox: at least once, with pauses that grow, until it is given up.

A delivery is leased before it is sent, so that two workers do not send it twice; a worker that dies in between lets the
lease end, and the message goes out again with the same id.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from fleetui.core import clock
from fleetui.core.errors import SealBroken
from fleetui.core.heartbeats import mark
from fleetui.core.posting import NotSent
from fleetui.core.text import clean
from fleetui.notify.channels import secrets_of
from fleetui.notify.events import GATHERED
from fleetui.notify.formats import Item, Message
from fleetui.notify.models import Channel, Delivery
from fleetui.notify.receivers import send

LEASE = timedelta(seconds=90)
LONGEST_RUN_S = 20.0
MOST_ITEMS = 500
FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 3600.0
#: With these pauses about half a day.
MOST_ATTEMPTS = 18
#: The sign that this was last done at all (fleetui.core.heartbeats).
GAVE_UP = "notification given up"
log = structlog.get_logger(__name__)


def send_due(now: datetime, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Send messages that are due, for some seconds at most; one slow channel takes one place of each round."""
    until_s, sent = monotonic() + LONGEST_RUN_S, 0
    busy = True
    while busy and monotonic() < until_s and not stop():
        busy = False
        # A channel that another worker waits for is left alone: a slow one does not take every thread.
        at_work = Delivery.objects.filter(state="waiting", lease_until__gt=now).values("channel")
        free = _free(now).filter(channel__is_on=True, due_at__lte=now).exclude(channel__in=at_work)
        for channel_id in free.order_by().values_list("channel", flat=True).distinct():
            rows = _claim(channel_id, now)
            if rows:
                busy = True
                sent += _send(rows)
    return sent


def _free(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(Q(lease_until=None) | Q(lease_until__lte=now), state="waiting")


def _claim(channel_id: uuid.UUID, now: datetime) -> list[Delivery]:
    """The oldest that is due with what is told of together, in one lease. What was sent together before stays together."""
    first = _free(now).filter(channel=channel_id, due_at__lte=now).order_by("due_at", "pk").first()
    if first is None:
        return []
    lease, mine = uuid.uuid4(), _free(now).filter(channel=channel_id, event=first.event)
    if first.message_id is not None:
        mine = mine.filter(message_id=first.message_id)
    elif first.event in GATHERED:
        ids = mine.filter(message_id=None).order_by("pk").values_list("pk", flat=True)[:MOST_ITEMS]
        mine = _free(now).filter(pk__in=list(ids))
    else:
        mine = mine.filter(pk=first.pk)
    mine.update(lease_id=lease, lease_until=now + LEASE, message_id=first.message_id or uuid.uuid4())
    return list(Delivery.objects.filter(lease_id=lease, state="waiting").select_related("channel").order_by("pk"))


def message_of(rows: list[Delivery]) -> Message:
    items = [
        Item(
            text=row.document["text"],
            path=row.document["path"],
            subject=row.document["subject"],
            pool=row.document["pool"],
            details=row.document["details"],
            severity=row.severity,
            at=row.happened_at,
        )
        for row in rows
    ]
    return Message(rows[0].message_id or uuid.uuid4(), rows[0].event, items, our_address())


def our_address() -> str:
    """Where our pages are, as the first trusted origin says."""
    origins = settings.CSRF_TRUSTED_ORIGINS
    return str(origins[0]).rstrip("/") if origins and "*" not in origins[0] else ""


def _send(rows: list[Delivery]) -> int:
    channel, lease = rows[0].channel, rows[0].lease_id
    mine = Delivery.objects.filter(lease_id=lease, state="waiting")
    free = {"lease_id": None, "lease_until": None}
    attempts = max(row.attempts for row in rows) + 1
    try:
        said = send(channel.kind, channel.settings, secrets_of(channel), message_of(rows))
    except (NotSent, SealBroken) as error:
        now, why = clock.now(), clean(str(error))[:300]
        log.warning("notification_failed", channel=channel.name, attempts=attempts, error=why)
        if attempts >= MOST_ATTEMPTS:
            with transaction.atomic():
                mine.update(**free, state="dead", ended_at=now, attempts=attempts, said=why)
                mark(GAVE_UP, {})
        else:
            pause_s = min(FIRST_PAUSE_S * 2 ** (attempts - 1), LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)  # noqa: S311
            mine.update(**free, attempts=attempts, said=why, due_at=now + timedelta(seconds=pause_s))
        return 0
    return mine.update(**free, state="sent", ended_at=clock.now(), attempts=attempts, said=clean(said)[:300])


def try_channel(channel: Channel, *, by: str, now: datetime) -> tuple[bool, str]:
    """Send a message at once and say what the receiver answered; it is in no outbox."""
    text = f"This is a test of the channel {channel.name}, asked for by {by}."
    item = Item(text, "/", f"channel:{channel.name}", None, {"by": by}, "info", now)
    try:
        said = send(
            channel.kind, channel.settings, secrets_of(channel), Message(uuid.uuid4(), "test", [item], our_address())
        )
    except (NotSent, SealBroken) as error:
        return False, clean(str(error))
    return True, clean(said)
