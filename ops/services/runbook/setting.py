"""How often the tasks of a pool should happen: admins of the pool say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import InvalidInput
from fleetui.core.words import any_of
from nodes.models import Pool
from ops.models import RunbookEntry
from ops.runbook import MOST_DAYS, TASKS

PERMISSION = "pools.write"


def days_of(pool: Pool) -> dict[str, int | None]:
    """What is set for each task of the table: None as usual, 0 never."""
    found = dict(RunbookEntry.objects.filter(pool=pool).values_list("task", "every_days"))
    return {name: found.get(name) for name in TASKS}


def set_days(
    *, pool: Pool, days: Mapping[str, int | None], reason: str = "", actor: Principal, now: datetime
) -> dict[str, int | None]:
    """Set some of the tasks; those that are not named stay as they are. Returns what is set now."""
    require(actor, PERMISSION, pool)
    for name, value in days.items():
        if name not in TASKS:
            raise InvalidInput(
                _("%(value)s is no task of a runbook.") % {"value": name[:40] or "–"},
                field="every_days",
                value=name[:100],
                mend=_("Use %(known)s.") % {"known": any_of(TASKS)},
            )
        if value is not None and not 0 <= value <= MOST_DAYS:
            raise InvalidInput(
                _("%(name)s cannot be asked for every %(value)s days.") % {"name": name, "value": value},
                field=f"every_days.{name}",
                value=value,
                mend=_("Give 1 to %(most)s days, 0 for never, or nothing for the usual.") % {"most": MOST_DAYS},
            )
    with transaction.atomic():
        # Whoever writes entries of a pool takes turns on the pool: the log says what each found.
        Pool.objects.select_for_update().only("pk").get(pk=pool.pk)
        before = days_of(pool)
        changed = {name: value for name, value in days.items() if before[name] != value}
        for name, value in changed.items():
            told = {"every_days": value, "set_by": str(actor), "set_at": now}
            RunbookEntry.objects.update_or_create(pool=pool, task=name, defaults=told)
        if changed:
            entry = Entry(
                actor=str(actor),
                action="pools.set_runbook",
                subject=f"pool:{pool.name}",
                before={name: before[name] for name in changed},
                after=changed,
                reason=reason.strip()[:300],
            )
            append([entry])
    return {**before, **changed}
