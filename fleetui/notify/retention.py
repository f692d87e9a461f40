"""Messages that were sent or given up long ago are removed."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from fleetui.core.retention import History, register
from fleetui.notify.models import Delivery


def _ended(before: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(ended_at__lt=before).order_by()


def _prune(before: datetime, limit: int) -> int:
    return Delivery.objects.filter(pk__in=list(_ended(before).values_list("pk", flat=True)[:limit])).delete()[0]


def _oldest() -> datetime | None:
    return Delivery.objects.order_by("pk").values_list("happened_at", flat=True).first()


def install() -> None:
    register(
        History(
            subject="messages",
            label=_("Messages of notifications"),
            about=_("What was sent to channels, and what was given up. What waits stays."),
            default_days=90,
            least_days=7,
            oldest=_oldest,
            count=lambda before, limit: _ended(before)[:limit].count(),
            prune=_prune,
        )
    )
