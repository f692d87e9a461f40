"""After a restore: what was under way when the backup was made does not go on as if no time had passed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import SYSTEM
from fleetui.audit.log import Entry, append
from ops.actions.restore import RESTORE
from ops.models import BackupRun, Operation
from ops.services.control import cancel_all
from ops.services.schedule_runs import pass_over
from ops.services.telling import tell_end
from ops.states import State


def end_what_was_under_way(*, made_at: datetime, now: datetime) -> int:
    """Cancel every operation that had not ended; returns how many.

    What they were to do has been done since, or was given up: a host must not restart a second time because of it. What
    their hosts still hold is taken back as after any cancel. What backups had begun stays at its target: by now it may be
    whole, and be the very backup that was restored. Schedules are passed over for the same reason: what was due since may
    have run, and nobody here knows.
    """
    BackupRun.objects.exclude(halves=[]).update(halves=[])
    # The workers that held them are not there any more.
    Operation.objects.exclude(lease_id=None).update(lease_id=None, lease_until=None)
    reason = _("FleetUI was restored from a backup of %(time)s.") % {"time": f"{made_at:%Y-%m-%d %H:%M} UTC"}
    pass_over(why=reason, now=now)
    _stop_restores(made_at, now)
    return cancel_all(operations=list(Operation.objects.open()), actor=SYSTEM, now=now, reason=reason)


def _stop_restores(made_at: datetime, now: datetime) -> None:
    """A restore that has begun to change hosts is not cancelled, and goes on only when a person has looked what became of it."""
    under_way = Operation.objects.filter(kind=RESTORE.kind, state__in=[State.RUNNING, State.WAITING])
    for row in under_way.select_related("request", "node"):
        if not row.memory.get("changed"):
            continue
        told = {"time": f"{made_at:%Y-%m-%d %H:%M} UTC"}
        columns = {"state": State.NEEDS_ATTENTION, "result": "restore_left_alone", "result_params": told}
        not_waiting: dict[str, Any] = {"due_at": None, "wait_reason": "", "wait_params": {}, "wait_since": None}
        with transaction.atomic():
            Operation.objects.filter(pk=row.pk).update(**columns, **not_waiting, state_since=now)
            tell_end(row, State.NEEDS_ATTENTION, "restore_left_alone", now=now)
            after = {"state": State.NEEDS_ATTENTION, "kind": row.kind, "node": row.node_name}
            append([Entry(str(SYSTEM), "operations.ask_person", f"operation:{row.pk}", after=after, outcome="failed")])
