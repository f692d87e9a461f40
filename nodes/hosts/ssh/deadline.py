"""The one point in time at which a whole contact with a host must be over."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nodes.hosts.errors import TimedOut


@dataclass(frozen=True)
class Deadline:
    """A point on the monotonic clock. It is handed down through every step of a contact."""

    at_s: float
    span_s: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(at_s=time.monotonic() + seconds, span_s=seconds)

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
        """Raise TimedOut for this phase when the time is over."""
        if self.expired:
            raise TimedOut(phase, address, self.span_s)
