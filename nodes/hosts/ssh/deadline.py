"""The one point in time at which a whole contact with a host must be over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.hosts.errors import TimedOut


class Interrupted(Exception):
    """Whoever asked the host does not want the answer any more. No fault of the host."""


@dataclass(frozen=True)
class Deadline:
    """A point on the monotonic clock. It is handed down through every step of a contact."""

    at_s: float
    span_s: float
    #: Asked about once a second while a command goes on: whether nobody wants its answer any more.
    is_unwanted: Callable[[], bool] | None = field(default=None, compare=False)

    @classmethod
    def after(cls, seconds: float, is_unwanted: Callable[[], bool] | None = None) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds, seconds, is_unwanted)

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at_s - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.at_s

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and the one that many seconds from now."""
        other = Deadline.after(seconds)
        return other if other.at_s < self.at_s else self

    def check(self, phase: str, address: str = "") -> None:
        """Raise TimedOut for this phase when the time is over, and Interrupted when its answer is not wanted any more."""
        if self.expired:
            raise TimedOut(phase, address, self.span_s)
        if self.is_unwanted is not None and self.is_unwanted():
            raise Interrupted
