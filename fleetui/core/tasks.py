"""Background work of the installation itself."""

from __future__ import annotations

import threading
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_shutting_down

from fleetui.core import clock, retention

log = structlog.get_logger(__name__)
_stopping = threading.Event()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopping.set()


@shared_task(name="fleetui.core.tasks.prune", ignore_result=True)
def prune() -> None:
    """Remove what is older than its retention. A lost or repeated message changes nothing: the rows say what is left."""
    removed = retention.prune(clock.now(), stop=_stopping.is_set)
    if any(removed.values()):
        log.info("retention_pruned", **removed)
