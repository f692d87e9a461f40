"""Work that waits: for each kind, how many rows are due and since when the oldest has been. One indexed query each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce

from nodes.models import CredentialTrial, ImportPlan, Node
from nodes.services.certificates.looks import wanted as certificates_wanted
from nodes.services.drift.checks import wanted as drift_wanted


@dataclass(frozen=True)
class Waiting:
    """Rows of one kind whose time has come and that nobody works on. `oldest_due_at` is None when there are none."""

    kind: str
    count: int
    oldest_due_at: datetime | None

    def age_s(self, now: datetime) -> float:
        return max((now - self.oldest_due_at).total_seconds(), 0.0) if self.oldest_due_at else 0.0


_OTHERS: list[Callable[[datetime], Waiting]] = []


def add_backlog(source: Callable[[datetime], Waiting]) -> None:
    """Work of those above us. Called from an AppConfig.ready."""
    if source not in _OTHERS:
        _OTHERS.append(source)


def backlog(now: datetime) -> list[Waiting]:
    """All kinds of work, whoever may see it: it is about the workers."""
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    polls = Node.objects.due(now).aggregate(count=Count("pk"), oldest=Min("poll_due_at"))
    imports = ImportPlan.objects.filter(free, state="applying").aggregate(
        count=Count("pk"), oldest=Min(Coalesce("lease_until", "created_at"))
    )
    trials = CredentialTrial.objects.filter(free, state="waiting", due_at__lte=now).aggregate(
        count=Count("pk"), oldest=Min("due_at")
    )
    drift = drift_wanted(now).aggregate(count=Count("pk"), oldest=Min("due_at"))
    certificates = certificates_wanted(now).aggregate(count=Count("pk"), oldest=Min("due_at"))
    found = {"polls": polls, "imports": imports, "trials": trials, "drift": drift, "certificates": certificates}
    ours = [Waiting(kind, row["count"], row["oldest"]) for kind, row in found.items()]
    return [*ours, *(source(now) for source in _OTHERS)]
