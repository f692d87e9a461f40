"""What is due by schedule: claimed by compare-and-swap and written down as a run, then started once by the run's id.

A run that was written and not started, since the worker died, is started by the next tick; the key of its request makes a
second start the same as the first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from fleetui.access.services.resolve import principal_again
from fleetui.audit.log import Entry, append
from fleetui.core.errors import FleetError, NotAllowed
from ops.models import OperationRequest, Schedule, ScheduleRun
from ops.schedules.cron import next_after
from ops.services.schedule_jobs import Started, came_of, job_of
from ops.services.schedules import checked_cron, checked_zone
from ops.services.telling import tell_run

AT_ONCE = 100
_BY = "system:fleetui"
log = structlog.get_logger(__name__)


class OwnerGone(NotAllowed):
    """Whoever set the schedule up may not do this any more."""


def run_due(now: datetime) -> int:
    """Write down what is due and start it; returns how many runs were started. One that fails by our fault keeps no other back."""
    started, failed = 0, []
    for schedule in Schedule.objects.due(now).select_related("pool")[:AT_ONCE]:
        try:
            _claim(schedule, now)
        except Exception as error:
            log.exception("schedule_not_claimed", schedule=str(schedule.pk))
            failed.append(error)
    due = ScheduleRun.objects.filter(state="due", due_at__lte=now).select_related("schedule__pool")
    for run in due.order_by("due_at")[:AT_ONCE]:
        try:
            started += _start(run, now)
        except Exception as error:
            log.exception("schedule_run_failed", schedule=str(run.schedule_id), run=str(run.pk))
            failed.append(error)
    if failed:
        raise failed[0]
    return started


def _claim(schedule: Schedule, now: datetime) -> bool:
    """Move the schedule on to its next time, and write what becomes of the one that is due; False: another did."""
    due = schedule.next_run_at
    if due is None:
        return False
    try:
        cron, zone = checked_cron(schedule.cron, is_stored=True), checked_zone(schedule.zone)
    except FleetError as error:
        return _stopped(schedule, now, error.message)
    following = next_after(cron, zone, now)
    earliest = now - timedelta(seconds=schedule.lateness_s)
    # By whom, too: what somebody was to have done is not done with the rights of who saves it a second later.
    of = {"schedule": schedule, "task": schedule.task, "asked_by": schedule.owner}
    runs = [ScheduleRun(due_at=due, **of)]
    if due < earliest and not schedule.is_late_run:
        runs[0].state, runs[0].ended_at = "missed", now
        runs[0].why = _missed_words(due, now)
        # Of those that were missed since, one may be young enough.
        young = next_after(cron, zone, max(earliest - timedelta(seconds=1), due))
        if young is not None and young <= now:
            runs.append(ScheduleRun(due_at=young, **of))
    with transaction.atomic():
        mine = Schedule.objects.filter(pk=schedule.pk, next_run_at=due, revision=schedule.revision)
        if not mine.update(next_run_at=following):
            return False
        ScheduleRun.objects.bulk_create(runs)
        missed = [run for run in runs if run.state == "missed"]
        for run in missed:
            tell_run(run, now=now)
        append([_entry(run, _BY) for run in missed])
    return True


def pass_over(*, why: str, now: datetime) -> int:
    """Start nothing of what is due by now and works on hosts: each is noted as missed; returns how many.

    Backups and drills stay due: one too many harms nobody.
    """
    passed = 0
    for schedule in Schedule.objects.due(now).filter(job="operation"):
        due = schedule.next_run_at
        try:
            following = next_after(checked_cron(schedule.cron, is_stored=True), checked_zone(schedule.zone), now)
        except FleetError:
            # It is stopped for that as soon as somebody wants to start it.
            continue
        with transaction.atomic():
            Schedule.objects.filter(pk=schedule.pk).update(next_run_at=following)
            ScheduleRun.objects.create(
                schedule=schedule, task=schedule.task, asked_by=schedule.owner, due_at=due or now
            )
    for run in ScheduleRun.objects.filter(state="due", schedule__job="operation").select_related("schedule"):
        if not OperationRequest.objects.filter(idempotency_key=f"schedule:{run.pk}").exists():
            _missed(run, why, now)
            passed += 1
    return passed


def _missed_words(due: datetime, now: datetime) -> str:
    minutes = max(round((now - due).total_seconds() / 60), 1)
    return _("Nobody started it in time; it was %(minutes)s min late.") % {"minutes": minutes}


def _start(run: ScheduleRun, now: datetime) -> bool:
    """Start what a run stands for. What a person can mend ends it as failed; the rest is raised, and it stays due."""
    schedule, key = run.schedule, f"schedule:{run.pk}"
    earlier = OperationRequest.objects.filter(requester=run.asked_by, idempotency_key=key).first()
    if earlier is not None:
        # Started before, and then the worker died.
        return _ended(run, came_of(earlier, earlier.operations.count(), earlier.answer.get("refused", ())), now)
    if run.asked_by != schedule.owner:
        told = {"name": schedule.owner.partition(":")[2]}
        return _failed(run, _("%(name)s saved the schedule before it was started.") % told, now, pauses=False)
    # Whoever wrote it down died, and much may have happened since.
    if schedule.paused_at is not None:
        return _missed(run, _("The schedule was paused before it was started."), now)
    if not schedule.is_late_run and run.due_at < now - timedelta(seconds=schedule.lateness_s):
        return _missed(run, _missed_words(run.due_at, now), now)
    try:
        actor = _owner(schedule, now)
        return _ended(run, job_of(schedule.job).start(schedule, run.task, key=key, actor=actor, now=now), now)
    except OwnerGone as error:
        return _failed(run, error.message, now, pauses=True)
    except FleetError as error:
        return _failed(run, f"{error.message} {error.mend}".strip(), now, pauses=isinstance(error, NotAllowed))


def _owner(schedule: Schedule, now: datetime) -> Principal:
    by_token = schedule.owner.startswith("token:")
    actor = principal_again(user_id=schedule.user_id, token_id=schedule.token_id, by_token=by_token, now=now)
    name = schedule.owner.partition(":")[2]
    if actor is None:
        what = _("the token was revoked, or has expired") if by_token else _("the account is not active any more")
        raise OwnerGone(_("It runs with the rights of %(name)s, and %(what)s.") % {"name": name, "what": what})
    if schedule.pool_name and schedule.pool is None:
        raise OwnerGone(_("The pool %(pool)s is gone.") % {"pool": schedule.pool_name})
    permission = job_of(schedule.job).permission
    if not actor.may(permission, schedule if schedule.pool else None):
        told = {"name": name, "permission": permission}
        raise OwnerGone(_("It runs with the rights of %(name)s, who lost the permission %(permission)s.") % told)
    return actor


def _ended(run: ScheduleRun, started: Started, now: datetime) -> bool:
    columns: dict[str, Any] = {"request": started.request, "made": started.made, "refused": started.refused}
    columns["why"] = started.why
    state = "started" if started.made else "empty"
    with transaction.atomic():
        if not ScheduleRun.objects.filter(pk=run.pk, state="due").update(**columns, state=state, ended_at=now):
            return False
        run.state, run.made, run.refused, run.why = state, started.made, started.refused, started.why
        append([_entry(run, run.asked_by)])
    return True


def _failed(run: ScheduleRun, why: str, now: datetime, *, pauses: bool) -> bool:
    with transaction.atomic():
        mine = ScheduleRun.objects.filter(pk=run.pk, state="due")
        if not mine.update(state="failed", ended_at=now, why=why[:500]):
            return False
        run.state, run.why = "failed", why[:500]
        if pauses:
            _pause(run.schedule, why, now)
            run.schedule.paused_at = now
        tell_run(run, now=now)
        append([_entry(run, run.asked_by)])
    return False


def _missed(run: ScheduleRun, why: str, now: datetime) -> bool:
    with transaction.atomic():
        if ScheduleRun.objects.filter(pk=run.pk, state="due").update(state="missed", ended_at=now, why=why):
            run.state, run.why = "missed", why
            tell_run(run, now=now)
            append([_entry(run, _BY)])
    return False


def _stopped(schedule: Schedule, now: datetime, why: str) -> bool:
    """A zone that this machine does not know any more."""
    with transaction.atomic():
        if not _pause(schedule, why, now):
            return False
        due = schedule.next_run_at or now
        of = {"schedule": schedule, "task": schedule.task, "asked_by": schedule.owner}
        run = ScheduleRun(**of, due_at=due, state="failed", ended_at=now, why=why[:500])
        run.save(force_insert=True)
        schedule.paused_at = now
        tell_run(run, now=now)
        append([_entry(run, run.asked_by)])
    return True


def _pause(schedule: Schedule, why: str, now: datetime) -> int:
    mine = Schedule.objects.filter(pk=schedule.pk, paused_at=None)
    return mine.update(paused_at=now, paused_by=_BY, paused_why=why[:500], next_run_at=None)


def _entry(run: ScheduleRun, actor: str) -> Entry:
    after = {"due_at": run.due_at.isoformat(), "state": run.state, "made": run.made, "refused": run.refused}
    return Entry(
        actor=actor,
        action="schedules.run",
        subject=f"schedule:{run.schedule.name}",
        after=after,
        reason=run.why,
        outcome="failed" if run.state in ("failed", "missed") else "done",
    )
