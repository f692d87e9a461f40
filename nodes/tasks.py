"""Background work on nodes: a tick claims what is due, a batch polls it. Messages carry a lease and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import cache
from time import monotonic

import structlog
from celery import shared_task
from django.conf import settings

from fleetui.core import clock
from nodes.hosts.errors import HostError
from nodes.models import HostKey, Node
from nodes.services.polling import Outcome, claim_due, contact, hold, store
from nodes.services.polling.claim import Lane
from nodes.services.polling.contact import Target
from nodes.services.polling.targets import target_of

log = structlog.get_logger(__name__)
STORE_EVERY_S = 1.0


@shared_task(name="nodes.tasks.tick", ignore_result=True)
def tick() -> None:
    """Claim due nodes and send a batch per lease. A lost message costs one lease time, a repeated one nothing."""
    for lane, task in (("live", poll_batch), ("slow", poll_slow_batch)):
        lane_name: Lane = "live" if lane == "live" else "slow"
        while (lease := claim_due(lane=lane_name, now=clock.now())) is not None:
            task.delay(str(lease))


@shared_task(name="nodes.tasks.poll_batch", ignore_result=True)
def poll_batch(lease: str) -> None:
    """Poll the nodes of a lease that answered last time."""
    _poll(uuid.UUID(lease), "live")


@shared_task(name="nodes.tasks.poll_slow_batch", ignore_result=True)
def poll_slow_batch(lease: str) -> None:
    """Poll the nodes of a lease that failed last time, on threads of their own."""
    _poll(uuid.UUID(lease), "slow")


@cache
def _threads(lane: Lane) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=settings.POLL_THREADS, thread_name_prefix=f"ssh-{lane}")


def _poll(lease: uuid.UUID, lane: Lane) -> None:
    if not hold(lease=lease, now=clock.now()):
        return
    nodes = list(Node.objects.filter(poll_lease=lease).select_related("credential", "pool__credential"))
    pinned = {key.node_id: key for key in HostKey.objects.filter(node__in=nodes, state="pinned")}
    targets = [target_of(node, pinned.get(node.pk)) for node in nodes]
    futures = [_threads(lane).submit(_contact, target) for target in targets]
    for found in _in_time_slices(futures):
        store(found, lease=lease, now=clock.now())


def _contact(target: Target) -> Outcome:
    try:
        return contact(target, now=clock.now())
    except Exception as error:  # a fault of ours on one host must not take the other 199 with it
        log.exception("contact_failed", node=str(target.node_id))
        problem = HostError(
            f"FleetUI failed while it read the host: {type(error).__name__}.",
            "Report this with the log of the worker.",
            error=type(error).__name__,
        )
        return Outcome(target.node_id, error=problem)


def _in_time_slices(futures: list[Future[Outcome]]) -> Iterator[list[Outcome]]:
    """Outcomes as they come, once a second: fast hosts show at once, and the database sees few transactions."""
    waiting: list[Outcome] = []
    since = monotonic()
    for future in as_completed(futures):
        waiting.append(future.result())
        if monotonic() - since >= STORE_EVERY_S:
            yield waiting
            waiting, since = [], monotonic()
    if waiting:
        yield waiting
