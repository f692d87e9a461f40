"""What is removed of the nodes' histories: the timeline, facts that were replaced, and samples."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from fleetui.core.clock import now
from fleetui.core.retention import History, register
from nodes.models import Facts, Node, Sample, TimelineEvent
from nodes.models.history import RESOLUTIONS_S

#: Fine samples live only as long as the charts that draw them; the setting is about the coarsest.
SAMPLES_KEPT = {60: timedelta(hours=6), 600: timedelta(days=4)}


def _old_events(before: datetime) -> QuerySet[TimelineEvent]:
    return TimelineEvent.objects.filter(at__lt=before).order_by("at")


def prune_timeline(before: datetime, limit: int) -> int:
    ids = list(_old_events(before).values_list("pk", flat=True)[:limit])
    return TimelineEvent.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _replaced_facts(before: datetime) -> QuerySet[Facts]:
    """Facts that newer ones had replaced by then. So the newest facts of a node stay, however old they are."""
    newer = Facts.objects.filter(node=OuterRef("node"), pk__gt=OuterRef("pk"), read_at__lt=before)
    present = Node.objects.filter(facts=OuterRef("pk"))
    return Facts.objects.filter(Exists(newer), ~Exists(present), read_at__lt=before).order_by("pk")


def prune_facts(before: datetime, limit: int) -> int:
    """Documents are large and Django would read them to look for what points at them: only a node does, and to its newest."""
    ids = list(_replaced_facts(before).values_list("pk", flat=True)[:limit])
    if not ids:
        return 0
    rows = Facts.objects.filter(pk__in=ids).exclude(pk__in=Node.objects.filter(facts__in=ids).values("facts"))
    return rows._raw_delete(connection.alias)


def _old_samples(before: datetime) -> QuerySet[Sample]:
    coarsest = RESOLUTIONS_S[-1]
    old = Q(resolution_s=coarsest, at__lt=before)
    for resolution_s, kept in SAMPLES_KEPT.items():
        old |= Q(resolution_s=resolution_s, at__lt=max(now() - kept, before))
    return Sample.objects.filter(old)


def prune_samples(before: datetime, limit: int) -> int:
    ids = list(_old_samples(before).order_by().values_list("pk", flat=True)[:limit])
    return Sample.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _oldest_of(rows: QuerySet[TimelineEvent] | QuerySet[Facts] | QuerySet[Sample], column: str) -> datetime | None:
    found: datetime | None = rows.order_by(column).values_list(column, flat=True).first()
    return found


def _oldest_facts() -> datetime | None:
    """Ids grow with time, and there is no index of times."""
    return Facts.objects.order_by("pk").values_list("read_at", flat=True).first()


def install() -> None:
    """Make them known to the settings and to the task that prunes."""
    register(
        History(
            subject="timeline",
            label=_("Timeline"),
            about=_("What happened to nodes: upgrades, reboots, lost contact, changes by people."),
            default_days=365,
            least_days=7,
            oldest=lambda: _oldest_of(TimelineEvent.objects.all(), "at"),
            count=lambda before, limit: _old_events(before)[:limit].count(),
            prune=prune_timeline,
        )
    )
    register(
        History(
            subject="facts",
            label=_("Facts history"),
            about=_("What polls read earlier. The newest facts of a node are never deleted."),
            default_days=90,
            least_days=1,
            oldest=_oldest_facts,
            count=lambda before, limit: _replaced_facts(before)[:limit].count(),
            prune=prune_facts,
            rows_at_once=200,
        )
    )
    register(
        History(
            subject="samples",
            label=_("Samples"),
            about=_(
                "Counts of the fleet for the charts. Minutes are kept for 6 hours and ten minutes for 4 days anyway."
            ),
            default_days=90,
            least_days=30,
            oldest=lambda: _oldest_of(Sample.objects.filter(resolution_s=RESOLUTIONS_S[-1]), "at"),
            count=lambda before, limit: Sample.objects.filter(resolution_s=RESOLUTIONS_S[-1], at__lt=before)[
                :limit
            ].count(),
            prune=prune_samples,
            rows_at_once=3000,
            has_short_lived=True,
        )
    )
