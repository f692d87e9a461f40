"""What the Health page says of the work on operations: how much is due, and whether somebody takes streams."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min
from django.utils.translation import gettext as _

from fleetui.core.ages import lasting
from fleetui.core.vital_signs import start_again
from fleetui.core.vitals import Glance, Line
from nodes.services.backlog import Waiting
from ops.models import BackupPolicy, BackupTarget, Operation
from ops.wording.backups import target_problem


def due(now: datetime) -> Waiting:
    """Operations whose next step is due and that no worker has taken; what waits for a window or a lock is not due."""
    found = Operation.objects.due(now).aggregate(count=Count("pk"), oldest=Min("due_at"))
    return Waiting("operations", found["count"], found["oldest"])


def streams(glance: Glance) -> Iterator[Line]:
    """A worker for streams matters to whoever has backups made."""
    if not BackupPolicy.objects.exclude(kind="reported").exists():
        return
    title = _("Streams")
    if any("stream" in worker.queues for worker in glance.signs.of("worker")):
        yield Line("streams", "processes", "ok", title, _("A worker takes the queue stream."))
        return
    text = _("No worker takes the queue stream: backups wait.")
    yield Line("streams", "processes", "bad", title, text, start_again("worker -Q stream"))


def audit_heads(glance: Glance) -> Iterator[Line]:
    """Targets to which the head of the audit log could not be written; it is tried every hour."""
    for target in BackupTarget.objects.exclude(head_problem={}).order_by("name"):
        title = _("Audit head at %(name)s") % {"name": target.name}
        text, mend = target_problem(**target.head_problem)
        if target.head_at is not None:
            text = f"{text} {_('It was written there %(time)s ago.') % {'time': lasting(target.head_at, glance.now)}}"
        yield Line(f"audit:head:{target.pk}", "trust", "warn", title, text, mend)
