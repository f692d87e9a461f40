"""How long something lasts, in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

_A_MINUTE = timedelta(minutes=1)
#: Django's own words for these are not there in every language of ours.
_UNITS: dict[str, Any] = {
    "year": ngettext_lazy("%(num)d year", "%(num)d years", "num"),
    "month": ngettext_lazy("%(num)d month", "%(num)d months", "num"),
    "week": ngettext_lazy("%(num)d week", "%(num)d weeks", "num"),
    "day": ngettext_lazy("%(num)d day", "%(num)d days", "num"),
    "hour": ngettext_lazy("%(num)d hour", "%(num)d hours", "num"),
    "minute": ngettext_lazy("%(num)d minute", "%(num)d minutes", "num"),
}


def lasting(since: datetime, now: datetime) -> str:
    """ "3 hours, 5 minutes"; nothing has been running for 0 minutes."""
    return _("less than a minute") if now - since < _A_MINUTE else timesince(since, now, time_strings=_UNITS)
