"""How long contacts take, kept as a histogram by result; /metrics shows it."""

from __future__ import annotations

from collections.abc import Iterable

from fleetui.core import durations
from nodes.services.polling.contact import Outcome

NAME = "poll_duration"
#: Seconds. A contact has a deadline of 25 s.
LIMITS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 25.0)


def count_durations(outcomes: Iterable[Outcome]) -> None:
    """Add the contacts of a batch; call it last in its transaction."""
    took: dict[str, list[float]] = {"ok": [], "failed": []}
    for outcome in outcomes:
        took["failed" if outcome.error else "ok"].append(outcome.duration_s)
    durations.add(NAME, took, LIMITS_S)


def poll_durations() -> dict[str, durations.Histogram]:
    return durations.read(NAME, LIMITS_S)
