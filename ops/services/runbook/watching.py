"""What is looked at again and again: tasks that have become overdue, or are not any more. Each is told once."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from nodes.models import Pool
from ops.models import RunbookEntry
from ops.runbook import Stand
from ops.services.runbook.standing import stands
from ops.services.telling import tell_task


def watch(now: datetime) -> int:
    """Returns how many are overdue. Backups that go by their policies are told of by those, and not twice."""
    told = set(RunbookEntry.objects.filter(overdue_since__isnull=False).values_list("pool", "task"))
    overdue = {
        (pool, one.task.name): one
        for pool, found in stands(Pool.objects.all(), now).items()
        for one in found
        if one.is_overdue and not one.by_policies
    }
    for key in overdue.keys() - told:
        _turned(*key, stand=overdue[key], now=now)
    for key in told - overdue.keys():
        _turned(*key, stand=None, now=now)
    return len(overdue)


def _turned(pool_id: uuid.UUID, task: str, *, stand: Stand | None, now: datetime) -> None:
    with transaction.atomic():
        # A pool that is deleted meanwhile takes its entries with it.
        pool = Pool.objects.select_for_update().filter(pk=pool_id).first()
        if pool is None:
            return
        if stand is not None:
            RunbookEntry.objects.get_or_create(pool=pool, task=task)
        mine = RunbookEntry.objects.filter(pool=pool, task=task, overdue_since__isnull=stand is not None)
        if mine.update(overdue_since=now if stand is not None else None):
            tell_task(pool, task, stand, now=now)
