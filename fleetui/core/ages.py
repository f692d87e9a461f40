"""How long something lasts, in words."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.timesince import timesince
from django.utils.translation import gettext as _

_A_MINUTE = timedelta(minutes=1)


def lasting(since: datetime, now: datetime) -> str:
    """ "3 hours, 5 minutes"; nothing has been running for 0 minutes."""
    return _("less than a minute") if now - since < _A_MINUTE else timesince(since, now)
