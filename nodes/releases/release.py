"""One release of a stream, and how far it has been rolled out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nodes.releases.versions import version_date


@dataclass(frozen=True)
class Rollout:
    """When a release is offered to the hosts of its stream: a share that grows over time."""

    start_at: datetime | None
    start_share: float
    duration_minutes: int = 0

    def share_at(self, now: datetime) -> float:
        """The share of hosts, 0 to 1, that may take the release at `now`."""
        if self.start_at is None:
            return self.start_share
        if now < self.start_at:
            return 0.0
        elapsed = now - self.start_at
        whole = timedelta(minutes=self.duration_minutes)
        if elapsed >= whole:
            return 1.0
        return self.start_share + (1.0 - self.start_share) * (elapsed / whole)


@dataclass(frozen=True)
class Release:
    """A version in a stream. `barrier` and `deadend` hold the reason; None means it is neither.

    `checksums` maps an architecture to the OSTree commit, `images` to the container image by digest. `denied` names of
    `barrier` and `deadend` what a document says it is not, which is more than to be silent about it.
    """

    stream: str
    version: str
    released_at: datetime | None = None
    checksums: Mapping[str, str] = field(default_factory=dict, hash=False)
    barrier: str | None = None
    deadend: str | None = None
    images: Mapping[str, str] = field(default_factory=dict, hash=False)
    rollout: Rollout | None = None
    denied: frozenset[str] = frozenset()

    @property
    def is_barrier(self) -> bool:
        """Whether hosts below this release must pass through it."""
        return self.barrier is not None

    @property
    def is_deadend(self) -> bool:
        """Whether hosts on this release are offered nothing newer."""
        return self.deadend is not None

    @property
    def dated(self) -> datetime | None:
        """When it came out, else the day that its version names."""
        return self.released_at or version_date(self.version)

    def offered(self, now: datetime | None) -> bool:
        """Whether any host is offered it at `now`; without `now` the rollout is not looked at."""
        return now is None or self.rollout is None or self.rollout.share_at(now) > 0.0
