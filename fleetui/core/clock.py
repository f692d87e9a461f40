"""The one place that reads the wall clock. Pure code takes `now` as an argument instead."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present, in UTC, with microseconds."""
    return datetime.now(UTC)
