"""Background work on nodes: a tick claims what is due, a batch polls it. Messages carry a lease and nothing else."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from time import monotonic
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_shutdown, worker_shutting_down
from django.conf import settings
from django.db import DataError, IntegrityError
from kombu.exceptions import OperationalError as BrokerError

from fleetui.core import clock, memory
from fleetui.core.again import again
from fleetui.core.ticks import one_at_a_time
from nodes.hosts.errors import HostError
from nodes.models import HostKey, Node
from nodes.services import enrolment, importing, tally, trials
from nodes.services.bulk import end_maintenance
from nodes.services.certificates import alerts, looks
from nodes.services.certificates import reading as certificates
from nodes.services.drift import checks, compare, states
from nodes.services.git import status, syncing
from nodes.services.polling import Outcome, begin, claim_due, hold, release, store
from nodes.services.polling.batch import Contacts
from nodes.services.polling.claim import Lane
from nodes.services.polling.kept import KEEPER
from nodes.services.polling.targets import target_of
from nodes.services.provisioning.offer import forget_expired
from nodes.services.provisioning.unseen import retire_unseen
from nodes.services.routes import Routes
from nodes.services.samples import take_samples

log = structlog.get_logger(__name__)
STORE_EVERY_S = 1.0
#: A message about trials holds a worker's thread for so long; the next tick sends another.
TRIALS_FOR_S = 25.0
#: Transactions stay short, so that pages which write are not kept waiting on SQLite.
STORE_AT_ONCE = 50
#: SQLite lets waiting writers in by chance; the batches of one process take turns instead.
_one_writer = threading.Lock()
_stopping = threading.Event()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopping.set()


@worker_shutdown.connect
def _close_kept(**_: Any) -> None:
    KEEPER.close()


@shared_task(name="nodes.tasks.tick", ignore_result=True)
@one_at_a_time
def tick() -> None:
    """Claim due nodes and send a batch per lease; imports that nobody works on and trials that are due go on.

    A lost message costs one lease time, a repeated one nothing.
    """
    for lane, task in (("live", poll_batch), ("slow", poll_slow_batch)):
        lane_name: Lane = "live" if lane == "live" else "slow"
        while (lease := again(lambda lane=lane_name: claim_due(lane=lane, now=clock.now()))) is not None:  # type: ignore[misc]
            task.delay(str(lease))
    for plan_id in again(lambda: importing.resume(clock.now())):
        apply_import.delay(str(plan_id))
    for follow_id, git_lease in again(lambda: syncing.claim_due(clock.now())):
        sync_git.delay(str(follow_id), str(git_lease))
    if again(lambda: status.is_due(clock.now())):
        send_git_statuses.apply_async(expires=TRIALS_FOR_S)
    if again(lambda: trials.is_due(clock.now())):
        try_credentials.apply_async(expires=TRIALS_FOR_S)
    if again(lambda: checks.is_due(clock.now())):
        check_drift.apply_async(expires=TRIALS_FOR_S)
    if again(lambda: looks.is_due(clock.now())):
        read_certificates.apply_async(expires=TRIALS_FOR_S)


@shared_task(name="nodes.tasks.poll_batch", ignore_result=True)
def poll_batch(lease: str) -> None:
    """Poll the nodes of a lease that answered last time."""
    _poll(uuid.UUID(lease), "live")


@shared_task(name="nodes.tasks.poll_slow_batch", ignore_result=True)
def poll_slow_batch(lease: str) -> None:
    """Poll the nodes of a lease that failed last time, on threads of their own."""
    _poll(uuid.UUID(lease), "slow")


@shared_task(name="nodes.tasks.try_credentials", ignore_result=True)
def try_credentials() -> None:
    """Try next credentials for a while. The message says nothing: what is due stands in the rows, and the tick sends the next."""
    until_s = monotonic() + TRIALS_FOR_S
    while monotonic() < until_s and not _stopping.is_set():
        lease, found = again(lambda: trials.claim(clock.now()))
        if not found:
            return
        results = trials.run(found)
        again(lambda lease=lease, results=results: trials.store(results, lease=lease, now=clock.now()))  # type: ignore[misc]


@shared_task(name="nodes.tasks.begin_trials", ignore_result=True)
def begin_trials() -> None:
    """Give nodes their trials and work on them."""
    again(lambda: trials.prepare(clock.now()))
    try_credentials()


def nudge_trials() -> None:
    """Tell the workers that there is something to try. Without a broker the sweep and the tick find it."""
    try:
        begin_trials.apply_async(expires=TRIALS_FOR_S)
    except (BrokerError, OSError) as error:
        log.warning("trials_not_announced", error=str(error))


@shared_task(name="nodes.tasks.check_drift", ignore_result=True)
def check_drift() -> None:
    """Compare nodes with their Ignition version for a while. The message says nothing: what is due stands in the rows."""
    until_s = monotonic() + TRIALS_FOR_S
    while monotonic() < until_s and not _stopping.is_set():
        lease, ids = again(lambda: checks.claim(clock.now()))
        if not ids:
            return
        for result in compare.run(again(lambda ids=ids: compare.load(ids))):  # type: ignore[misc]
            again(lambda lease=lease, result=result: _store_drift(lease, result))  # type: ignore[misc]


def _store_drift(lease: uuid.UUID, result: compare.Result) -> bool:
    check = result.check
    return checks.store(
        node=check.node,
        lease=lease,
        result=result.found,
        secrets=check.secrets,
        asked_at=check.asked_at,
        now=clock.now(),
    )


@shared_task(name="nodes.tasks.read_certificates", ignore_result=True)
def read_certificates() -> None:
    """Read certificates for a while. The message says nothing: what is due stands in the rows, and the tick sends the next."""
    until_s = monotonic() + TRIALS_FOR_S
    while monotonic() < until_s and not _stopping.is_set():
        lease, ids = again(lambda: looks.claim(clock.now()))
        if not ids:
            return
        for result in certificates.run(again(lambda ids=ids: certificates.load(ids))):  # type: ignore[misc]
            again(lambda lease=lease, result=result: _store_certificates(lease, result))  # type: ignore[misc]


def _store_certificates(lease: uuid.UUID, result: certificates.Result) -> bool:
    look = result.look
    return looks.store(source=look.source, lease=lease, result=result.found, asked_at=look.asked_at, now=clock.now())


def nudge_certificates() -> None:
    """Tell the workers that certificates are to be read. Without a broker the tick finds it."""
    try:
        read_certificates.apply_async(expires=TRIALS_FOR_S)
    except (BrokerError, OSError) as error:
        log.warning("certificates_not_announced", error=str(error))


@shared_task(name="nodes.tasks.settle_ignition", ignore_result=True)
def settle_ignition() -> None:
    """Put the Ignition state of nodes right: their versions, or what their pools intend, have changed."""
    again(lambda: checks.prepare(clock.now()))
    again(lambda: states.settle(clock.now()))


def nudge_drift(*, settle: bool = False) -> None:
    """Tell the workers that a node is to be compared, or that states follow. Without a broker the tick and the sweep find it."""
    try:
        (settle_ignition if settle else check_drift).apply_async(expires=TRIALS_FOR_S)
    except (BrokerError, OSError) as error:
        log.warning("drift_not_announced", error=str(error))


@shared_task(name="nodes.tasks.apply_import", ignore_result=True)
def apply_import(plan_id: str) -> None:
    """Apply an import batch by batch. A repeated message finds what is left, a lost one is sent again by the tick."""
    while again(lambda: importing.apply_some(uuid.UUID(plan_id), clock.now())):
        if _stopping.is_set():
            return


@shared_task(name="nodes.tasks.sweep", ignore_result=True)
def sweep() -> None:
    """What has to happen within the minute: old plans go, maintenance ends, enrolled nodes that stayed away and
    provisioned ones that never came are retired, nodes of pools that try a credential have their trials, counts fold."""
    again(lambda: importing.forget_old(clock.now()))
    again(lambda: end_maintenance(clock.now()))
    again(lambda: trials.prepare(clock.now()))
    again(trials.forget_orphans)
    again(lambda: enrolment.retire_absent(clock.now()))
    again(lambda: retire_unseen(clock.now()))
    again(lambda: forget_expired(clock.now()))
    settle_ignition()
    again(lambda: looks.prepare(clock.now()))
    again(lambda: alerts.watch(clock.now()))
    again(tally.fold)
    again(syncing.forget_orphans)


@shared_task(name="nodes.tasks.sample", ignore_result=True)
def sample() -> None:
    """Count the fleet for the charts. Sent several times a minute: each time is written once, a missed one is a gap."""
    again(lambda: take_samples(now=clock.now()))


@shared_task(name="nodes.tasks.sync_git", ignore_result=True)
def sync_git(follow_id: str, lease: str) -> None:
    """Look at one followed repository. A repeated message finds its lease gone; a lost one costs one lease time."""
    syncing.sync(uuid.UUID(follow_id), uuid.UUID(lease))
    if again(lambda: status.is_due(clock.now())):
        nudge_git_statuses()


@shared_task(name="nodes.tasks.send_git_statuses", ignore_result=True)
def send_git_statuses() -> None:
    """Tell forges what became of commits, for a while. The message says nothing: what is due stands in the rows."""
    status.send_due(stop=_stopping.is_set)


def nudge_git_statuses() -> None:
    """Tell the workers that there is a status to send. Without a broker the next tick finds it."""
    try:
        send_git_statuses.apply_async(expires=TRIALS_FOR_S)
    except (BrokerError, OSError) as error:
        log.warning("git_statuses_not_announced", error=str(error))


def nudge_git() -> None:
    """Tell the workers that repositories are due now. Without a broker the next tick finds them."""
    try:
        begin_git.delay()
    except (BrokerError, OSError) as error:
        log.warning("git_not_announced", error=str(error))


@shared_task(name="nodes.tasks.begin_git", ignore_result=True)
def begin_git() -> None:
    """Claim what is due in Git before the next tick does."""
    for follow_id, lease in again(lambda: syncing.claim_due(clock.now())):
        sync_git.delay(str(follow_id), str(lease))


def nudge_import(plan_id: uuid.UUID) -> None:
    """Tell the workers of an import. The row is the truth: without a broker the tick finds it."""
    try:
        apply_import.delay(str(plan_id))
    except (BrokerError, OSError) as error:
        log.warning("import_not_announced", error=str(error))


def _poll(claimed: uuid.UUID, lane: Lane) -> None:
    lease = again(lambda: begin(lease=claimed, now=clock.now()))
    if lease is None:
        return
    nodes = list(Node.objects.filter(poll_lease=lease).to_contact())
    pinned = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
    routes = Routes.of(nodes)
    contacts = Contacts([target_of(node, pinned.get(node.pk), routes) for node in nodes], lane)
    try:
        _store_as_they_come(contacts, lease)
    finally:
        # What is under way keeps its lease, so that no other worker contacts the host meanwhile.
        if left := contacts.cancel():
            again(lambda: release(lease=lease, nodes=left))
        memory.give_back()


def _store_as_they_come(contacts: Contacts, lease: uuid.UUID) -> None:
    """Write once a second: fast hosts show at once, and the database sees few transactions."""
    renewed_s = monotonic()
    for found in contacts.slices(STORE_EVERY_S):
        # At least one round, so that the lease is renewed also while nothing comes.
        for start in range(0, max(1, len(found)), STORE_AT_ONCE):
            if monotonic() - renewed_s >= settings.POLL_LEASE_S / 3:
                renewed_s = monotonic()
                if not again(lambda: hold(lease=lease, now=clock.now())):
                    return
            if some := found[start : start + STORE_AT_ONCE]:
                again(lambda some=some: _store(some, lease))  # type: ignore[misc]
        if _stopping.is_set():
            release(lease=lease, nodes=contacts.cancel())


def _store(found: list[Outcome], lease: uuid.UUID) -> int:
    with _one_writer:
        try:
            return store(found, lease=lease, now=clock.now())
        except (IntegrityError, DataError) as error:
            log.warning("batch_not_stored", error=str(error).strip())
            return sum(_store_alone(outcome, lease) for outcome in found)


def _store_alone(outcome: Outcome, lease: uuid.UUID) -> int:
    """Store one outcome of a batch that the database refused; the one that is to blame is kept as an error of its node."""
    try:
        return store([outcome], lease=lease, now=clock.now())
    except (IntegrityError, DataError):
        log.exception("outcome_not_stored", node=str(outcome.node_id))
    problem = HostError("What the host said could not be stored.", "Report this with the log of the worker.")
    return store([replace(outcome, look=None, error=problem)], lease=lease, now=clock.now())
