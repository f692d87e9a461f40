"""Background work on operations. Messages carry an id and a lease; everything else stands in the rows."""

from __future__ import annotations

import uuid
from time import monotonic
from typing import Any

import structlog
from celery import shared_task
from kombu.exceptions import OperationalError as BrokerError

from fleetui.core import clock
from fleetui.core.ticks import one_at_a_time
from ops.engine import claim_due, run_step, start_queued, streaming
from ops.services.backups.anchoring import anchor_at_targets
from ops.services.backups.watching import settle, watch
from ops.services.clusters import refresh as clusters
from ops.services.expire import expire_untouched, void_of_retired
from ops.services.finishing import finish
from ops.services.replacing.unhealthy import replace_unhealthy
from ops.services.runbook.watching import watch as watch_runbook
from ops.services.schedule_runs import run_due

log = structlog.get_logger(__name__)
#: A worker goes on with an operation for so long; then others that wait for it have their turn.
IN_A_ROW_S = 5.0


@shared_task(name="ops.tasks.tick", ignore_result=True)
@one_at_a_time
def tick() -> None:
    """Start what may start and send what is due. A lost message costs one lease, a repeated one nothing."""
    now = clock.now()
    expire_untouched(now)
    start_queued(now)
    claimed = claim_due(now)
    streams = streaming([operation for operation, _lease in claimed])
    for operation, lease in claimed:
        _nudge(stream if operation in streams else step, operation, lease)


@shared_task(name="ops.tasks.backups", ignore_result=True)
def backups() -> None:
    """Close the runs whose operations have ended, and say what is overdue."""
    now = clock.now()
    settle(now)
    watch(now)


@shared_task(name="ops.tasks.audit_head", ignore_result=True)
@one_at_a_time
def audit_head() -> None:
    """Write the head of the audit log to the backup targets where it is due."""
    anchor_at_targets(clock.now())


@shared_task(name="ops.tasks.requests", ignore_result=True)
def requests() -> None:
    """End what waits for nodes that were retired, and close the requests whose operations have all ended."""
    now = clock.now()
    void_of_retired(now)
    finish(now)


@shared_task(name="ops.tasks.runbook", ignore_result=True)
def runbook() -> None:
    """Say which Day-2 tasks of pools have become overdue."""
    watch_runbook(clock.now())


@shared_task(name="ops.tasks.replace_unhealthy", ignore_result=True)
def replace_silent() -> None:
    """Ask for the replacement of machines that do not answer, where the pool has a policy."""
    replace_unhealthy(clock.now())


@shared_task(name="ops.tasks.schedules", ignore_result=True)
def schedules() -> None:
    """Start what is due by schedule."""
    run_due(clock.now())


@shared_task(name="ops.tasks.step", ignore_result=True)
def step(operation: str, lease: str) -> None:
    """Run one step, and what is due at once after it: without another message, as long as others are not kept waiting."""
    _work(operation, lease, step)


@shared_task(name="ops.tasks.stream", ignore_result=True)
def stream(operation: str, lease: str) -> None:
    """The same for what moves many bytes: on a queue and in a process of its own, so that nothing short waits behind it."""
    _work(operation, lease, stream)


def _work(operation: str, lease: str, again: Any) -> None:
    one, mine, is_ours = uuid.UUID(operation), uuid.UUID(lease), False
    until_s = monotonic() + IN_A_ROW_S
    while run_step(one, mine, clock.now(), is_ours=is_ours):
        claimed = claim_due(clock.now(), only=one)
        if not claimed:
            return
        ((one, mine),) = claimed
        if monotonic() >= until_s:
            _send(one, mine, again)
            return
        is_ours = True


@shared_task(name="ops.tasks.look_at_clusters", ignore_result=True)
def look_at_clusters() -> None:
    """Claim the clusters that are due, and send each. A lost message costs one lease time, a repeated one nothing."""
    for access, lease in clusters.claim_due(clock.now()):
        look_at_cluster.delay(str(access), str(lease))


@shared_task(name="ops.tasks.look_at_cluster", ignore_result=True)
def look_at_cluster(access: str, lease: str) -> None:
    """Look at one cluster, and store what it says of its nodes."""
    clusters.refresh(uuid.UUID(access), uuid.UUID(lease))


def nudge_clusters() -> None:
    """Tell the workers that a cluster is due now. Without a broker the next round finds it."""
    try:
        look_at_clusters.delay()
    except (BrokerError, OSError) as error:
        log.warning("clusters_not_announced", error=str(error))


def _nudge(task: Any, operation: uuid.UUID, lease: uuid.UUID) -> None:
    # Not in the routes of the settings: what stands there, the Health page asks a worker for.
    task.apply_async((str(operation), str(lease)), queue="stream" if task is stream else None)


def _send(operation: uuid.UUID, lease: uuid.UUID, again: Any) -> None:
    try:
        _nudge(again, operation, lease)
    except (BrokerError, OSError) as error:
        log.warning("step_not_sent", error=str(error))
