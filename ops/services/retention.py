"""The logs of operations that ended long ago are removed; the operations, their steps and results stay."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _

from fleetui.core.retention import History, register
from ops.models import LogLine, Operation, ScheduleRun

#: Operations whose lines are looked for at once.
OPERATIONS_AT_ONCE = 50


def _with_log(before: datetime) -> QuerySet[Operation]:
    """Operations that ended before, and still have a log, the oldest first."""
    lines = LogLine.objects.filter(operation=OuterRef("pk"))
    found: QuerySet[Operation] = Operation.objects.filter(Exists(lines), ended_at__lt=before).order_by("created_at")
    return found


def prune_logs(before: datetime, limit: int) -> int:
    ended = list(_with_log(before).values_list("pk", flat=True)[:OPERATIONS_AT_ONCE])
    if not ended:
        return 0
    ids = list(LogLine.objects.filter(operation__in=ended).order_by().values_list("pk", flat=True)[:limit])
    return LogLine.objects.filter(pk__in=ids).delete()[0]


def _count(before: datetime, limit: int) -> int:
    return LogLine.objects.filter(operation__ended_at__lt=before)[:limit].count()


def _oldest() -> datetime | None:
    """Ids grow with time, and there is no index of times."""
    found: datetime | None = LogLine.objects.order_by("pk").values_list("at", flat=True).first()
    return found


def install() -> None:
    register(
        History(
            subject="logs",
            label=_("Logs of operations"),
            about=_("What commands printed. An operation, its steps and its result stay when its log goes."),
            default_days=90,
            least_days=7,
            oldest=_oldest,
            count=_count,
            prune=prune_logs,
            rows_at_once=2000,
        )
    )
    register(
        History(
            subject="schedule-runs",
            label=_("Runs of schedules"),
            about=_("When each schedule was due, and what became of it. The operations stay."),
            default_days=365,
            least_days=7,
            oldest=_oldest_run,
            count=lambda before, limit: _runs(before)[:limit].count(),
            prune=_prune_runs,
        )
    )


def _runs(before: datetime) -> QuerySet[ScheduleRun]:
    found: QuerySet[ScheduleRun] = ScheduleRun.objects.filter(ended_at__lt=before).order_by()
    return found


def _prune_runs(before: datetime, limit: int) -> int:
    return ScheduleRun.objects.filter(pk__in=list(_runs(before).values_list("pk", flat=True)[:limit])).delete()[0]


def _oldest_run() -> datetime | None:
    found: datetime | None = ScheduleRun.objects.order_by("due_at").values_list("due_at", flat=True).first()
    return found
