"""beat's schedule: kept in memory, since what is due stands in the database, and honest about whether it goes round.

Celery loads this before Django is set up: it must not import models.
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

from celery.beat import Scheduler as CeleryScheduler
from celery.beat import Service

#: A schedule that has not gone round for this long is stuck.
STUCK_AFTER_S = 30.0


class Round:
    """When the schedule went round last, as its own loop says."""

    def __init__(self) -> None:
        self._at_s = time.monotonic()

    def went_round(self) -> None:
        self._at_s = time.monotonic()

    def is_going(self) -> bool:
        return time.monotonic() - self._at_s < STUCK_AFTER_S


ROUND = Round()


class Scheduler(CeleryScheduler):  # type: ignore[misc]
    def tick(self, *args: Any, **kwargs: Any) -> float:
        wait_s: float = super().tick(*args, **kwargs)
        ROUND.went_round()
        return wait_s


def end_by_signals(service: Service) -> None:
    """Celery ends beat by SystemExit alone, which its broker's client swallows while it sends: beat then went on for good."""

    def end(number: int, frame: FrameType | None) -> None:
        service.stop()
        before = celerys[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    celerys = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
