"""Restore drills that are asked for."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.core.errors import Conflict
from ops.models import BackupDrill, BackupPolicy, BackupRun
from ops.services.backups.runs import asker_of, require_made
from ops.services.backups.watching import settle
from ops.services.request import Answer


def request_drill(
    *, policy: BackupPolicy, actor: Principal, now: datetime, reason: str = "", idempotency_key: str = ""
) -> Answer:
    """Try the newest good backup now. One at a time; it is an operation on what the policy backs up, which it does not touch."""
    require(actor, "backups.run", policy.subject)
    if policy.kind == "reported":
        raise Conflict(
            _("This backup is made by another job: FleetUI cannot read it."),
            mend=_("Let that job prove it, and report the backup as good only then."),
        )
    settle(now, policy=policy)
    if not BackupRun.objects.filter(policy=policy).there().exists():
        raise Conflict(
            _("%(name)s has no good backup that could be tried.") % {"name": policy.name}, mend=_("Back up first.")
        )
    ask = asker_of("restore_drill", policy)
    try:
        with transaction.atomic():
            answer = ask(reason=reason, idempotency_key=idempotency_key, actor=actor, now=now)
            for operation in () if answer.is_repeat else answer.operations:
                BackupDrill.objects.create(policy=policy, operation=operation, asked_by=str(actor), started_at=now)
    except IntegrityError as error:
        raise Conflict(
            _("A restore drill of %(name)s is under way.") % {"name": policy.name}, mend=_("Wait for it, or cancel it.")
        ) from error
    require_made(answer)
    return answer
