"""How long contacts take, kept as a histogram by result; /metrics shows it."""

from __future__ import annotations

from collections.abc import Iterable

from fleetui.core import tallies
from nodes.services.polling.contact import Outcome

NAME = "poll_duration"
#: Seconds. A contact has a deadline of 25 s.
LIMITS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 25.0)


def count_durations(outcomes: Iterable[Outcome]) -> None:
    """Add the contacts of a batch; call it last in its transaction."""
    durations: dict[str, list[float]] = {"ok": [], "failed": []}
    for outcome in outcomes:
        durations["failed" if outcome.error else "ok"].append(outcome.duration_s)
    tallies.add(NAME, durations, LIMITS_S)


def poll_durations() -> dict[str, tallies.Histogram]:
    return tallies.read(NAME, LIMITS_S)
