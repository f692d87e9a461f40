"""Celery: nudges only. A message carries an id; what is due stands in the database, so any message may be lost or repeated."""

from __future__ import annotations

import atexit
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, task_postrun, worker_init, worker_ready, worker_shutdown

from fleetui.core import broker, memory

broker.use()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleetui.settings")
app = Celery("fleetui")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["nodes", "ops", "fleetui.notify", "fleetui.audit", "fleetui.core"])

# `expires` drops what piled up while no worker ran; the next message does the same work. It is far longer than a busy
# worker takes to come to a message: ticks that always ran out before that would stand still all that is due.
_TICK_LIVES_S = 20
_LIVES_S = 60
app.conf.beat_schedule = {
    "poll-tick": {"task": "nodes.tasks.tick", "schedule": 2.0, "options": {"expires": _TICK_LIVES_S}},
    "ops-tick": {"task": "ops.tasks.tick", "schedule": 1.0, "options": {"expires": _TICK_LIVES_S}},
    "ops-schedules": {"task": "ops.tasks.schedules", "schedule": 5.0, "options": {"expires": _LIVES_S}},
    "ops-clusters": {"task": "ops.tasks.look_at_clusters", "schedule": 5.0, "options": {"expires": _LIVES_S}},
    "ops-backups": {"task": "ops.tasks.backups", "schedule": 15.0, "options": {"expires": _LIVES_S}},
    "ops-audit-head": {"task": "ops.tasks.audit_head", "schedule": 60.0, "options": {"expires": _LIVES_S}},
    "ops-runbook": {"task": "ops.tasks.runbook", "schedule": 60.0, "options": {"expires": _LIVES_S}},
    "ops-replace-unhealthy": {
        "task": "ops.tasks.replace_unhealthy",
        "schedule": 30.0,
        "options": {"expires": _LIVES_S},
    },
    "ops-requests": {"task": "ops.tasks.requests", "schedule": 5.0, "options": {"expires": _LIVES_S}},
    "nodes-sweep": {"task": "nodes.tasks.sweep", "schedule": 30.0, "options": {"expires": _LIVES_S}},
    "nodes-sample": {"task": "nodes.tasks.sample", "schedule": 20.0, "options": {"expires": _LIVES_S}},
    "retention-prune": {"task": "fleetui.core.tasks.prune", "schedule": 600.0, "options": {"expires": 300}},
    "audit-send": {"task": "fleetui.audit.tasks.send", "schedule": 5.0, "options": {"expires": _LIVES_S}},
    "notify-send": {"task": "fleetui.notify.tasks.send", "schedule": 5.0, "options": {"expires": _LIVES_S}},
    "audit-anchor": {"task": "fleetui.audit.tasks.anchor", "schedule": 60.0, "options": {"expires": _LIVES_S}},
}


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Celery leaves the loggers alone once somebody listens to this signal; Django's LOGGING has set them up."""


@worker_init.connect
def _few_heaps(**_: Any) -> None:
    memory.few_heaps()


@worker_init.connect
@beat_init.connect
def _keep_database_open(**_: Any) -> None:
    from fleetui.core.sqlite_files import keep_open

    keep_open()


@worker_ready.connect
def _worker_lives(sender: Any, **_: Any) -> None:
    """The heartbeat of this worker, with the queues that it takes."""
    from fleetui.core.heartbeats import Pulse
    from fleetui.notify.health import Watcher

    watcher = Watcher()
    worker_shutdown.connect(lambda **_: watcher.stop(), weak=False, dispatch_uid="health-watch")
    watcher.start()
    pulse = Pulse("worker", queues=list(sender.app.amqp.queues.consume_from))
    task_postrun.connect(lambda **_: pulse.worked(), weak=False, dispatch_uid="heartbeat")
    worker_shutdown.connect(lambda **_: pulse.stop(), weak=False, dispatch_uid="heartbeat")
    pulse.start()


@beat_init.connect
def _beat_lives(sender: Any, **_: Any) -> None:
    """The heartbeat of beat. It has no signal for its end, so the row is taken away at exit."""
    from fleetui.core.beat import ROUND, end_by_signals
    from fleetui.core.heartbeats import Pulse
    from fleetui.notify.health import Watcher

    end_by_signals(sender)
    Watcher(alive=ROUND.is_going).start()
    pulse = Pulse("beat", alive=ROUND.is_going)
    ROUND.went_round()
    atexit.register(pulse.stop)
    pulse.start()
