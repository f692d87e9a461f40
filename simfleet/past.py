"""The last month of the demo, made up: who ran what since when, so that charts have something to tell on the first start.

Each host took the releases of its stream one after another, days after they came out, until it ran what it runs now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simfleet import seeds
from simfleet.model import Fault, HostPlan
from simfleet.releases import Catalog, Release

DAYS = 31
#: How long hosts of a strategy wait with a release, in days: the first of them and the last.
WAITS = {"immediate": (0.1, 2.0), "periodic": (1.0, 6.0), "fleet_lock": (0.5, 5.0), "etcd-lock": (0.5, 4.0)}
STAGED_BEFORE = timedelta(hours=9)
#: Site, days ago and hours of a network failure.
CUT_OFF = (("sin", 9.3, 3.5), ("iad", 21.6, 1.5))
#: Share of the hosts, days ago and hours of a time in which units failed.
TROUBLE = ((0.12, 16.2, 30.0), (0.05, 5.4, 8.0))
State = tuple[str, str, str, str]


@dataclass(frozen=True)
class _Host:
    plan: HostPlan
    seed: int
    now: datetime
    stream: list[Release]
    taken: list[tuple[datetime, Release]]

    def state(self, at: datetime) -> State:
        """Version, reachability, health and update state."""
        release = next((one for since, one in reversed(self.taken) if since <= at), self.taken[0][1])
        return release.version, self._reachability(at), self._health(at), self._update_state(at, release)

    def moments(self) -> Iterable[datetime]:
        """When anything of it may have changed."""
        yield self.now - timedelta(days=DAYS)
        for since, release in self.taken:
            yield from (since, since - STAGED_BEFORE, release.released_at)
        yield from (release.released_at for release in self.stream)
        for _, days, hours in (*CUT_OFF, *TROUBLE):
            yield from (self._ago(days), self._ago(days) + timedelta(hours=hours))
        yield from (self._ago(self._trouble_days()), self._ago(self.plan.uptime_days or 0))

    def _ago(self, days: float) -> datetime:
        return self.now - timedelta(days=days)

    def _trouble_days(self) -> float:
        """Since when its fault of today lasts."""
        return 0.3 + 3 * seeds.fraction(self.seed, self.plan.name, "trouble")

    def _fails(self, *faults: Fault) -> bool:
        return any(fault.value in self.plan.faults for fault in faults)

    def _reachability(self, at: datetime) -> str:
        if at >= self._ago(self._trouble_days()):
            if self._fails(Fault.WRONG_KEY):
                return "key_mismatch"
            if self._fails(Fault.UNREACHABLE, Fault.AUTH_REFUSED):
                return "unreachable"
        for site, days, hours in CUT_OFF:
            if self.plan.labels.get("site") == site and _lasts(at, self._ago(days), hours):
                return "unreachable"
        return "reachable"

    def _health(self, at: datetime) -> str:
        if self._fails(Fault.FULL_DISK, Fault.FAILED_UNIT) and at >= self._ago(self._trouble_days()):
            return "degraded"
        for share, days, hours in TROUBLE:
            is_hit = seeds.fraction(self.seed, self.plan.name, days) < share
            if is_hit and _lasts(at, self._ago(days), hours):
                return "degraded"
        return "healthy"

    def _update_state(self, at: datetime, release: Release) -> str:
        if (self.plan.rolled_back or self.plan.fell_back) and at >= self._ago(self.plan.uptime_days or 1):
            return "rolled_back"
        newest = [one for one in self.stream if one.released_at <= at]
        if not newest or release.released_at >= newest[-1].released_at:
            return "up_to_date"
        if any(_lasts(at, since - STAGED_BEFORE, STAGED_BEFORE.total_seconds() / 3600) for since, _ in self.taken):
            return "staged"
        return "deferred" if self.plan.staged and at >= newest[-1].released_at + STAGED_BEFORE else "update_available"


def _lasts(at: datetime, since: datetime, hours: float) -> bool:
    return since <= at < since + timedelta(hours=hours)


def past(plans: Iterable[HostPlan], catalog: Catalog, seed: int, now_s: float) -> dict[str, list[list[object]]]:
    """By host: [time, version, reachability, health, update state] at each change, oldest first."""
    now = datetime.fromtimestamp(int(now_s), UTC)
    return {plan.name: _changes(_host(plan, catalog, seed, now)) for plan in plans}


def _host(plan: HostPlan, catalog: Catalog, seed: int, now: datetime) -> _Host:
    stream = catalog.by_stream[plan.stream]
    last = max(0, len(stream) - 1 - plan.versions_behind)
    first_wait, last_wait = (0.05, 0.6) if plan.labels.get("canary") else WAITS.get(plan.strategy, (1.0, 6.0))
    taken = [(stream[max(0, last - 4)].released_at, stream[max(0, last - 4)])]
    for release in stream[max(0, last - 3) : last + 1]:
        share = seeds.fraction(seed, plan.name, release.version, "wait")
        since = release.released_at + timedelta(days=first_wait + (last_wait - first_wait) * share)
        taken.append((min(since, now - timedelta(minutes=30 + 90 * share)), release))
    return _Host(plan, seed, now, stream, taken)


def _changes(host: _Host) -> list[list[object]]:
    oldest = host.now - timedelta(days=DAYS)
    found: list[list[object]] = []
    for at in sorted({moment for moment in host.moments() if oldest <= moment <= host.now}):
        state = host.state(at)
        if not found or found[-1][1:] != list(state):
            found.append([at.isoformat(), *state])
    return found
