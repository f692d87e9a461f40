"""Background work on operations. Messages carry an id and a lease; everything else stands in the rows."""

from __future__ import annotations

import uuid

import structlog
from celery import shared_task
from kombu.exceptions import OperationalError as BrokerError

from fleetui.core import clock
from ops.engine import claim_due, run_step, start_queued
from ops.services.expire import expire_untouched

log = structlog.get_logger(__name__)


@shared_task(name="ops.tasks.tick", ignore_result=True)
def tick() -> None:
    """Start what may start and send what is due. A lost message costs one lease, a repeated one nothing."""
    now = clock.now()
    expire_untouched(now)
    start_queued(now)
    for operation, lease in claim_due(now):
        step.delay(str(operation), str(lease))


@shared_task(name="ops.tasks.step", ignore_result=True)
def step(operation: str, lease: str) -> None:
    """Run one step; what is due at once afterwards is claimed and sent without waiting for the next tick."""
    if not run_step(uuid.UUID(operation), uuid.UUID(lease), clock.now()):
        return
    try:
        for following, claimed in claim_due(clock.now(), only=uuid.UUID(operation)):
            step.delay(str(following), str(claimed))
    except (BrokerError, OSError) as error:
        log.warning("step_not_sent", error=str(error))
