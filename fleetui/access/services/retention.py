"""How long histories are kept, as an admin sets it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.access.principals import Principal, require
from fleetui.audit.log import Entry, append
from fleetui.core import retention
from fleetui.core.errors import InvalidInput, NotFound, StaleEdit
from fleetui.core.models import Retention

MOST_DAYS = 36_500


@dataclass(frozen=True)
class Preview:
    """What a retention would delete now. `is_more` means that there are more than were counted."""

    rows: int
    is_more: bool
    before: datetime | None


def history_of(subject: str) -> retention.History:
    found = retention.history(subject)
    if found is None:
        known = ", ".join(one.subject for one in retention.histories())
        raise NotFound(
            _("There is no history %(name)s.") % {"name": subject}, mend=_("Use %(known)s.") % {"known": known}
        )
    return found


def checked_days(history: retention.History, keep_days: int | None) -> int | None:
    """None, or a number of days that this history can be kept."""
    if keep_days is None or history.least_days <= keep_days <= MOST_DAYS:
        return keep_days
    raise InvalidInput(
        ngettext(
            "%(days)s day cannot be used for this history.", "%(days)s days cannot be used for this history.", keep_days
        )
        % {"days": keep_days},
        field="keep_days",
        value=keep_days,
        mend=_("Give %(least)s to %(most)s days, or nothing to keep it for ever.")
        % {"least": history.least_days, "most": f"{MOST_DAYS:,}"},
    )


def preview_retention(*, subject: str, keep_days: int | None, now: datetime) -> Preview:
    """Count what would go, up to a limit, so that nobody deletes without knowing."""
    history = history_of(subject)
    before = retention.cutoff(checked_days(history, keep_days), now)
    if before is None:
        return Preview(0, is_more=False, before=None)
    rows = history.count(before, retention.COUNT_LIMIT + 1)
    return Preview(min(rows, retention.COUNT_LIMIT), rows > retention.COUNT_LIMIT, before)


def set_retention(*, subject: str, keep_days: int | None, actor: Principal, now: datetime) -> int | None:
    """Keep a history for so many days from the next run on (within ten minutes); None: for ever."""
    require(actor, "settings.write")
    history = history_of(subject)
    keep_days = checked_days(history, keep_days)
    before = retention.keep_days()[subject]
    if before == keep_days:
        return keep_days
    try:
        with transaction.atomic():
            if Retention.objects.filter(subject=subject).exists():
                if not Retention.objects.filter(subject=subject, keep_days=before).update(keep_days=keep_days):
                    raise _stale(history)
            else:
                Retention.objects.create(subject=subject, keep_days=keep_days)
            append(
                [
                    Entry(
                        actor=str(actor),
                        action="settings.retention",
                        subject=f"retention:{subject}",
                        before={"keep_days": before},
                        after={"keep_days": keep_days},
                    )
                ]
            )
    except IntegrityError as error:
        raise _stale(history) from error
    return keep_days


def _stale(history: retention.History) -> StaleEdit:
    said = _("How long %(name)s is kept was changed by someone else since you read it.")
    return StaleEdit(said % {"name": history.label}, mend=_("Read it again and repeat your change."))
