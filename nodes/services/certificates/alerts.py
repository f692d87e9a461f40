"""Told before it is too late: each certificate once per lead time and pool, and once when it has expired."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.core.heartbeats import mark
from fleetui.notify.outbox import Told, tell
from nodes.certificates import days_left
from nodes.models import Certificate, CertificateNotice, CertificateSource, Pool

#: Days before the end, from the first word to the last.
LEADS: Final = (60, 30, 14, 7, 1)
#: A lead counts only where it is less than so much of the whole life: 60 days are no news for one that lives for 90.
_PART_OF_LIFE: Final = 3
_SEVERITIES: Final = {60: "info", 30: "info", 14: "warning", 7: "warning", 1: "critical", 0: "critical"}
#: The sign of life that says that something has expired: only then pages ask what.
EXPIRED_JOB: Final = "certificates_expired"
_KEPT: Final = timedelta(days=30)


def lead_of(not_before: datetime | None, not_after: datetime, now: datetime) -> int | None:
    """The lead time that a certificate has reached, 0 when it has expired, None while there is time."""
    if not_after <= now:
        return 0
    life = not_after - not_before if not_before else None
    reached = [
        lead
        for lead in LEADS
        if not_after - now <= timedelta(days=lead) and (life is None or timedelta(days=lead * _PART_OF_LIFE) < life)
    ]
    return min(reached, default=None)


@dataclass(frozen=True)
class Ending:
    """A certificate of a pool that ends soon, and in how many places it lies."""

    fingerprint: str
    pool_id: uuid.UUID | None
    not_after: datetime
    places: int
    example: int
    lead: int

    @property
    def pool_key(self) -> str:
        return str(self.pool_id or "")


def watch(now: datetime) -> int:
    """Tell what has reached another lead time; returns how many certificates have expired."""
    endings = list(_endings(now))
    told = {
        (notice.fingerprint, notice.pool_key): notice.lead_days
        for notice in CertificateNotice.objects.filter(fingerprint__in={one.fingerprint for one in endings})
    }
    news = [one for one in endings if told.get((one.fingerprint, one.pool_key), LEADS[0] + 1) > one.lead]
    for start in range(0, len(news), 100):
        _tell(news[start : start + 100], now)
    expired = len({one.fingerprint for one in endings if one.lead == 0})
    if expired:
        mark(EXPIRED_JOB, {"count": expired})
    _forget(now)
    return expired


def _endings(now: datetime) -> Iterator[Ending]:
    sources = CertificateSource.objects.in_use().filter(pk=OuterRef("source_id"))
    rows = (
        Certificate.objects.filter(Exists(sources), not_after__lte=now + timedelta(days=LEADS[0]))
        .order_by()
        .annotate(pool=Coalesce("source__node__pool", "source__pool"))
        .values("fingerprint", "pool")
        .annotate(begins=Max("not_before"), ends=Min("not_after"), places=Count("pk"), example=Min("pk"))
        .order_by("fingerprint", "pool")
    )
    for row in rows:
        lead = lead_of(row["begins"], row["ends"], now)
        if lead is not None:
            yield Ending(row["fingerprint"], row["pool"], row["ends"], row["places"], row["example"], lead)


def _tell(news: list[Ending], now: datetime) -> None:
    with transaction.atomic():
        mine = [one for one in news if _is_first(one, now)]
        rows = Certificate.objects.select_related("source__node").in_bulk([one.example for one in mine])
        pools = dict(Pool.objects.filter(pk__in={one.pool_id for one in mine}).values_list("pk", "name"))
        told = [_told(one, rows[one.example], pools.get(one.pool_id, ""), now) for one in mine if one.example in rows]
        tell(told, now=now)


def _is_first(one: Ending, now: datetime) -> bool:
    """Another worker may have told it just now: each is told by the one whose write counts."""
    mine = CertificateNotice.objects.filter(fingerprint=one.fingerprint, pool_key=one.pool_key)
    if mine.filter(lead_days__gt=one.lead).update(lead_days=one.lead, told_at=now):
        return True
    if mine.exists():
        return False
    fresh = CertificateNotice(fingerprint=one.fingerprint, pool_key=one.pool_key, lead_days=one.lead, told_at=now)
    CertificateNotice.objects.bulk_create([fresh], ignore_conflicts=True)
    return True


def _told(one: Ending, row: Certificate, pool: str, now: datetime) -> Told:
    days = days_left(one.not_after, now)
    words = {
        "subject": row.subject or row.fingerprint[:12],
        "where": row.source.title if row.place == row.source.title else f"{row.source.title} {row.place}",
        "time": f"{one.not_after:%Y-%m-%d %H:%M} UTC",
        "days": days,
    }
    if one.lead == 0:
        text = _("The certificate %(subject)s has expired on %(time)s: %(where)s") % words
    else:
        text = (
            ngettext(
                "The certificate %(subject)s ends in %(days)d day, on %(time)s: %(where)s",
                "The certificate %(subject)s ends in %(days)d days, on %(time)s: %(where)s",
                days,
            )
            % words
        )
    others = one.places - 1
    if others:
        text = f"{text} {ngettext('and %(n)d other place', 'and %(n)d other places', others) % {'n': others}}"
    return Told(
        event="certificate.expired" if one.lead == 0 else "certificate.expiring",
        severity=_SEVERITIES[one.lead],
        text=text,
        path=f"/certificates/?{urlencode({'fingerprint': one.fingerprint})}",
        subject=f"certificate:{one.fingerprint}",
        pool_id=one.pool_id,
        pool=pool,
        details={
            "fingerprint": one.fingerprint,
            "subject": row.subject,
            "not_after": one.not_after.isoformat(),
            "lead_days": one.lead,
            "use": row.use,
            "source": row.source.title,
            "place": row.place,
            "places": one.places,
        },
    )


def _forget(now: datetime) -> None:
    """Notices of what is nowhere any more, after a while: a certificate may be away for one look."""
    there = Certificate.objects.filter(fingerprint=OuterRef("fingerprint"))
    CertificateNotice.objects.filter(~Exists(there), told_at__lt=now - _KEPT).delete()
