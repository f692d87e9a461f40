"""The one place that reads the wall clock. Pure code takes `now` as an argument instead."""

from __future__ import annotations

from datetime import UTC, datetime

# Databases and time zones shift a moment by hours: at the ends of the calendar that overflows.
_FIRST_YEAR, _LAST_YEAR = 2, 9998


def now() -> datetime:
    """The present, in UTC, with microseconds."""
    return datetime.now(UTC)


def in_our_time(moment: datetime) -> datetime:
    """The moment in UTC (in which one without a zone is read). Raises OverflowError near the ends of the calendar."""
    found = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise OverflowError(f"{found.year} is no year of our time")
    return found
