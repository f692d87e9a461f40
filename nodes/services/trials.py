"""The trials of next credentials: rows with a due time and a lease, worked a few at a time, never more than polls may.

A worker that dies leaves leases that end by themselves. A result counts only while its lease and what was tried still hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from fleetui.core.text import clean
from nodes.hosts import ssh
from nodes.hosts.errors import HostError
from nodes.models import CredentialTrial, HostKey, Pool
from nodes.services.polling.contact import CONTACT_TIMEOUT_S, Target, signed_in
from nodes.services.polling.targets import target_of
from nodes.services.rotation import concerned, live_trials, tried_as
from nodes.services.routes import Routes

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=90)
#: Where it fails it is tried again by itself: keys reach hosts one after another.
AGAIN_AFTER = timedelta(minutes=10)
#: Nodes that do not answer come after those that do.
DEAD_LATER = timedelta(seconds=20)
ROWS_AT_ONCE = 2000


@dataclass(frozen=True)
class Trial:
    """One sign-in to try: the row, and what was true of it when it was claimed."""

    pk: int
    fingerprint: str
    target: Target


@dataclass(frozen=True)
class Result:
    """What came of a trial; `error` None means that it works."""

    pk: int
    fingerprint: str
    error: HostError | None


def is_rotating() -> bool:
    """Whether any pool has a next credential at all."""
    return Pool.objects.filter(next_credential__isnull=False).exists()


def is_due(now: datetime) -> bool:
    """Whether a trial waits for a worker."""
    return is_rotating() and _due(now).exists()


def _due(now: datetime) -> QuerySet[Any]:
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    return live_trials().filter(free, state__in=("waiting", "fails"), due_at__lte=now)


def prepare(now: datetime) -> int:
    """Give every node that a next credential concerns its trial, and begin anew where the credential was edited."""
    made = 0
    for pool in Pool.objects.filter(next_credential__isnull=False).select_related("next_credential"):
        credential = pool.next_credential
        if credential is None:
            continue
        fingerprint = tried_as(credential)
        outdated = CredentialTrial.objects.filter(node__pool=pool, credential=credential)
        ids = list(outdated.exclude(fingerprint=fingerprint).values_list("pk", flat=True)[:ROWS_AT_ONCE])
        if ids:
            CredentialTrial.objects.filter(pk__in=ids).update(
                fingerprint=fingerprint, state="waiting", due_at=now, lease_until=None, error_kind="", error_params={}
            )
        known = CredentialTrial.objects.filter(node=OuterRef("pk"), credential=credential)
        while True:
            missing = concerned(pool).filter(~Exists(known)).order_by("pk").values_list("pk", "failures")
            some = list(missing[:ROWS_AT_ONCE])
            CredentialTrial.objects.bulk_create(
                [
                    CredentialTrial(
                        node_id=pk,
                        credential=credential,
                        fingerprint=fingerprint,
                        due_at=now + DEAD_LATER if failures else now,
                    )
                    for pk, failures in some
                ],
                batch_size=500,
                ignore_conflicts=True,
            )
            made += len(some)
            if len(some) < ROWS_AT_ONCE:
                break
    return made


def forget_orphans() -> int:
    """Trials of nodes that left the pool, got a credential of their own, or are retired."""
    gone = CredentialTrial.objects.exclude(pk__in=live_trials().order_by().values("pk"))
    return gone.delete()[0]


def claim(now: datetime) -> tuple[datetime, list[Trial]]:
    """Lease due trials, so many that no more are under way at once than polls may; returns the end of the lease."""
    lease = now + LEASE
    with transaction.atomic():
        # Held so that two workers do not count the same free places.
        list(Pool.objects.select_for_update().filter(next_credential__isnull=False).order_by("pk").values_list("pk"))
        room = settings.POLL_THREADS - CredentialTrial.objects.filter(lease_until__gt=now).count()
        if room <= 0:
            return lease, []
        ids = list(_due(now).order_by("due_at", "pk").values_list("pk", flat=True)[:room])
        CredentialTrial.objects.filter(pk__in=ids).update(lease_until=lease)
    return lease, _trials(ids)


def _trials(ids: Sequence[int]) -> list[Trial]:
    rows = CredentialTrial.objects.filter(pk__in=ids).select_related("credential", "node__pool__credential")
    found = list(rows.order_by("due_at", "pk"))
    nodes = [row.node for row in found]
    pinned = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
    routes = Routes.of(nodes)
    return [
        Trial(row.pk, row.fingerprint, target_of(row.node, pinned.get(row.node_id), routes, row.credential))
        for row in found
        if row.fingerprint == tried_as(row.credential)
    ]


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="ssh-trial")


def run(trials: Sequence[Trial]) -> list[Result]:
    """Try each; all end by their own deadline. Network only, on threads."""
    shared = ssh.SharedJumps()
    try:
        return list(_threads(settings.POLL_THREADS).map(lambda trial: _try(trial, shared), trials))
    finally:
        shared.close()


def _try(trial: Trial, shared: ssh.SharedJumps) -> Result:
    try:
        attempt(trial.target, shared)
    except HostError as error:
        return Result(trial.pk, trial.fingerprint, error)
    except Exception as error:  # a fault of ours on one host must not take the others with it
        log.exception("trial_failed", node=str(trial.target.node_id))
        problem = HostError(
            f"FleetUI failed while it tried the key: {type(error).__name__}.", "Report this with the log of the worker."
        )
        return Result(trial.pk, trial.fingerprint, problem)
    return Result(trial.pk, trial.fingerprint, None)


def attempt(target: Target, shared: ssh.SharedJumps | None = None) -> None:
    """Sign in and run a command that does nothing: a key that is let in but may run nothing is of no use."""
    deadline = ssh.Deadline.after(CONTACT_TIMEOUT_S)
    signed_in(
        target,
        lambda connection: connection.run(["true"], deadline=deadline, check=True),
        deadline=deadline,
        shared=shared,
    )


def store(results: Iterable[Result], *, lease: datetime, now: datetime) -> int:
    """Write what was found; what was stopped, edited or taken over meanwhile is left alone."""
    stored = 0
    with transaction.atomic():
        for result in sorted(results, key=lambda one: one.pk):
            columns: dict[str, Any] = {"state": "works", "error_kind": "", "error_params": {}}
            if (error := result.error) is not None:
                params = {
                    name: clean(value) if isinstance(value, str) else value for name, value in error.params.items()
                }
                columns = {"state": "fails", "error_kind": error.kind, "error_params": params}
                columns["due_at"] = now + AGAIN_AFTER
            mine = CredentialTrial.objects.filter(pk=result.pk, lease_until=lease, fingerprint=result.fingerprint)
            stored += mine.update(**columns, tried_at=now, lease_until=None)
    return stored


def give_back(trials: Iterable[Trial], *, lease: datetime) -> None:
    """Free trials that were claimed and not begun."""
    CredentialTrial.objects.filter(pk__in=[trial.pk for trial in trials], lease_until=lease).update(lease_until=None)
