"""What a server sent, counted, and how long it took: the two that every way of fetching is bounded by."""

from __future__ import annotations

import time

from nodes.git.errors import GitProblem
from nodes.git.limits import MIB, GitLimits

#: Names of branches come before anything else; a server that sends more of them than this is not listened to.
_REFS_BYTES = 8 * MIB


class Meter:
    """Counts bytes against the limits. The names of branches have a bound of their own until `past_refs`."""

    def __init__(self, limits: GitLimits) -> None:
        self.limits = limits
        self.received = 0
        self._most = _REFS_BYTES
        self._ends_s = time.monotonic() + limits.seconds

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._ends_s - time.monotonic())

    def past_refs(self) -> None:
        self._most = self.limits.received_bytes

    def count(self, size: int) -> None:
        self.received += size
        if self.received > self._most:
            refs = self._most == _REFS_BYTES
            raise GitProblem("too_large", "refs" if refs else "received", limit=str(self._most // MIB))
        self.check_time()

    def check_time(self) -> None:
        if time.monotonic() > self._ends_s:
            raise GitProblem("unreachable", "slow", seconds=f"{self.limits.seconds:.0f}")
