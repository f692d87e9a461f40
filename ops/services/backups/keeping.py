"""What is kept of a policy's backups, what goes next, and under which names they lie."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from ops.backups.retention import PERIODS, Kept, plan
from ops.models import BackupPolicy, BackupRun

MOST_KEPT = 1000
DEFAULT_KEEP: Mapping[str, int] = {"daily": 7, "weekly": 4, "monthly": 12}


def key_of(policy: BackupPolicy, now: datetime, suffix: str) -> str:
    """Readable, sorted by time, and never the same twice: a writer that wakes up late writes over nothing."""
    folder = f"{slugify(policy.name)[:60] or 'backup'}-{policy.pk.hex[:8]}"
    return f"{folder}/{now:%Y-%m-%dT%H%M%SZ}-{secrets.token_hex(4)}{suffix}"


def planned(policy: BackupPolicy, keep: Mapping[str, int] | None = None) -> list[Kept[BackupRun]]:
    """Every backup that is there, newest first, with why it stays or that it goes at the end of the next run.

    With `keep`: as it would be with other rules.
    """
    rows = [run for run in BackupRun.objects.filter(policy=policy).there().order_by("-started_at")]
    return plan([(run, run.started_at) for run in rows], policy.keep if keep is None else keep)


def going(policy: BackupPolicy) -> Sequence[BackupRun]:
    """The oldest first: what is cut off in the middle leaves the newer ones."""
    return [one.key for one in reversed(planned(policy)) if one.goes]


def checked_keep(given: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, value in given.items():
        is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_KEPT
        if name not in PERIODS or not is_count:
            raise InvalidInput(
                _("%(field)s=%(value)s says not how long backups are kept.") % {"field": name, "value": value},
                field="keep",
                value=value,
                mend=_("Give %(known)s, each 0 to %(most)s.") % {"known": ", ".join(PERIODS), "most": MOST_KEPT},
            )
        if value:
            found[name] = value
    return found
