"""Schedules: set them, pause them, delete them, run one now. Whoever saves one owns it: it runs with their rights."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core.errors import Conflict, InvalidInput, NotFound, StaleEdit
from nodes.models import Pool
from ops.models import Schedule, ScheduleRun
from ops.schedules.cron import Cron, CronRefused, next_after, next_runs, parse
from ops.services.schedule_jobs import job_of
from ops.wording.cron import cron_problem

PERMISSION = "operations.request"
#: What is due is looked for every few seconds, and by a worker that may be busy.
LEAST_LATE_S, MOST_LATE_S = 60, 7 * 86_400
LONGEST_NAME = 100


def checked_cron(text: str, field: str = "cron", *, is_stored: bool = False) -> Cron:
    try:
        return parse(text, is_stored=is_stored)
    except CronRefused as error:
        message, mend = cron_problem(error)
        raise InvalidInput(message, field=field, value=text, mend=mend) from error


def checked_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            _("%(name)s is no time zone.") % {"name": name[:60] or "-"},
            field="zone",
            value=name,
            mend=_("Name one such as Europe/Berlin, or UTC."),
        ) from error


def upcoming(cron: str, zone: str, now: datetime, *, is_stored: bool = False) -> list[datetime]:
    """The next five times at which this would be due, in its zone; raises InvalidInput where saving it would."""
    place = checked_zone(zone)
    return [one.astimezone(place) for one in next_runs(checked_cron(cron, is_stored=is_stored), place, now)]


def upcoming_of(schedule: Schedule, now: datetime) -> list[datetime]:
    """The next times of one that is stored: none while it is paused, nor in a zone that this machine does not know any more."""
    try:
        return [] if schedule.paused_at else upcoming(schedule.cron, schedule.zone, now, is_stored=True)
    except InvalidInput:
        return []


def schedule_at(principal: Principal, schedule_id: uuid.UUID) -> Schedule:
    """A schedule that this principal sees; NotFound otherwise."""
    found: Schedule | None = (
        Schedule.objects.visible_to(principal).select_related("pool").filter(pk=schedule_id).first()
    )
    if found is None:
        raise NotFound(_("There is no such schedule that you may see."), mend=_("Read the list of schedules."))
    return found


def set_schedule(
    *,
    name: str,
    cron: str,
    zone: str,
    task: Mapping[str, Any],
    pool: Pool | None,
    job: str = "operation",
    is_late_run: bool = False,
    lateness_s: int = 600,
    schedule: Schedule | None = None,
    expected_revision: int | None = None,
    actor: Principal,
    now: datetime,
) -> Schedule:
    """Add a schedule, or (with `schedule`) change it. Whoever does owns it from then on, and it is due anew from now."""
    kind = job_of(job)
    require(actor, kind.permission, Schedule(pool=pool) if pool else None)
    if schedule is not None:
        _require(actor, schedule)
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        mend = _("Give 1 to %(most)s characters.") % {"most": LONGEST_NAME}
        raise InvalidInput(_("A schedule needs a name."), field="name", value=name, mend=mend)
    if not LEAST_LATE_S <= lateness_s <= MOST_LATE_S:
        mend = _("Give %(least)s to %(most)s seconds.") % {"least": LEAST_LATE_S, "most": MOST_LATE_S}
        message = _("A time cannot count as missed after %(value)s seconds.") % {"value": lateness_s}
        raise InvalidInput(message, field="lateness_s", value=lateness_s, mend=mend)
    place, times = checked_zone(zone), checked_cron(cron)
    columns: dict[str, Any] = {
        "name": name,
        "job": job,
        "task": kind.checked(task, actor=actor),
        "pool": pool,
        "pool_name": pool.name if pool else "",
        "cron": " ".join(cron.split()),
        "zone": zone,
        "is_late_run": is_late_run,
        "lateness_s": lateness_s,
        "owner": str(actor),
        "user_id": actor.user_id,
        "token_id": actor.token_id,
    }
    following = next_after(times, place, now)
    before = _told(schedule) if schedule else None
    try:
        with transaction.atomic():
            if schedule is None:
                found = Schedule.objects.create(**columns, next_run_at=following, created_at=now)
            else:
                revision = schedule.revision if expected_revision is None else expected_revision
                mine = Schedule.objects.filter(pk=schedule.pk, revision=revision)
                runs = {} if schedule.paused_at else {"next_run_at": following}
                if not mine.update(**columns, **runs, revision=F("revision") + 1):
                    raise StaleEdit(_("Someone else changed this schedule meanwhile."), mend=_("Read it again."))
                found = Schedule.objects.select_related("pool").get(pk=schedule.pk)
            action = "schedules.edit" if schedule else "schedules.add"
            append([_entry(action, found, actor, before=before, after=_told(found))])
    except IntegrityError as error:
        raise Conflict(
            _("There is a schedule %(name)s already.") % {"name": name},
            field="name",
            value=name,
            mend=_("Choose another name."),
        ) from error
    return found


def _require(actor: Principal, schedule: Schedule) -> None:
    """The right of its job where it works; `require` asks for everywhere where there is no pool."""
    require(actor, job_of(schedule.job).permission, schedule)


def pause(*, schedule: Schedule, reason: str = "", actor: Principal, now: datetime) -> None:
    """It is not due any more until it is resumed."""
    _require(actor, schedule)
    columns = {"paused_at": now, "paused_by": str(actor), "paused_why": reason.strip()[:300], "next_run_at": None}
    with transaction.atomic():
        mine = Schedule.objects.filter(pk=schedule.pk, paused_at=None)
        if mine.update(**columns, revision=F("revision") + 1):
            append([_entry("schedules.pause", schedule, actor, reason=reason)])


def resume(*, schedule: Schedule, actor: Principal, now: datetime) -> None:
    """It is due from the next time on, still with its owner's rights."""
    _require(actor, schedule)
    following = next_after(checked_cron(schedule.cron, is_stored=True), checked_zone(schedule.zone), now)
    columns = {"paused_at": None, "paused_by": "", "paused_why": "", "next_run_at": following}
    with transaction.atomic():
        mine = Schedule.objects.filter(pk=schedule.pk, paused_at__isnull=False)
        if mine.update(**columns, revision=F("revision") + 1):
            append([_entry("schedules.resume", schedule, actor)])


def delete_schedule(*, schedule: Schedule, reason: str = "", actor: Principal) -> None:
    """With its history. What it started goes on."""
    _require(actor, schedule)
    with transaction.atomic():
        if Schedule.objects.filter(pk=schedule.pk).delete()[0]:
            append([_entry("schedules.delete", schedule, actor, before=_told(schedule), reason=reason)])


def run_now(*, schedule: Schedule, actor: Principal, now: datetime) -> ScheduleRun:
    """Start the work at once, with the rights of whoever asks: otherwise one could approve what one had run by another."""
    job = job_of(schedule.job)
    _require(actor, schedule)
    if schedule.pool_name and schedule.pool is None:
        raise Conflict(_("The pool of the schedule is gone."), mend=_("Choose another pool for it."))
    run = ScheduleRun(
        schedule=schedule, due_at=now, is_manual=True, asked_by=str(actor), task=schedule.task, ended_at=now
    )
    started = job.start(schedule, schedule.task, key=f"schedule:{run.pk}", actor=actor, now=now)
    run.request, run.made, run.refused, run.why = started.request, started.made, started.refused, started.why
    run.state = "started" if started.made else "empty"
    with transaction.atomic():
        run.save(force_insert=True)
        append([_entry("schedules.run", schedule, actor, after={"made": run.made, "refused": run.refused})])
    return run


def _told(schedule: Schedule) -> dict[str, Any]:
    names = ("name", "job", "task", "pool_name", "cron", "zone", "is_late_run", "lateness_s", "owner")
    return {name: getattr(schedule, name) for name in names}


def _entry(
    action: str,
    schedule: Schedule,
    actor: Principal,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Entry:
    return Entry(
        actor=str(actor),
        action=action,
        subject=f"schedule:{schedule.name}",
        before=before,
        after=after,
        reason=reason.strip(),
    )
