"""`python -m fleetui.start.embedded worker|beat`: Celery's two processes without its command line, banner and state file."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import warnings

import django
from celery.beat import Service
from celery.platforms import SecurityWarning

from fleetui.celery import app
from fleetui.core import memory
from fleetui.core.beat import Scheduler

QUEUES = "poll,ops"
#: Pages and ticks share the machine with the worker, and have the processor first.
WORKER_NICENESS = 5


def work(threads: int, queues: str = QUEUES, name: str = "celery") -> int:
    """Run tasks until a signal comes. Workers of one machine differ by their names."""
    # Tasks come from our own queues only and are JSON, so that root is no more of a danger here than anywhere else.
    warnings.simplefilter("ignore", SecurityWarning)
    # `up` has run the system checks; here they would load every page and endpoint, a third of this process's memory.
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
    os.nice(WORKER_NICENESS)
    worker = app.Worker(
        pool="threads",
        concurrency=threads,
        queues=queues,
        hostname=f"{name}@{socket.gethostname()}",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def beat() -> int:
    """Send the ticks. Nothing is kept between runs: what is due stands in the database."""
    service = Service(app, scheduler_cls=Scheduler, max_interval=1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.stop())
    service.start()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fleetui.start.embedded")
    parser.add_argument("process", choices=("worker", "beat"))
    parser.add_argument("--threads", type=int, default=20)
    parser.add_argument("--queues", default=QUEUES)
    parser.add_argument("--name", default="celery")
    given = parser.parse_args()
    with memory.imports():
        django.setup()
        app.finalize()
    # Said of the filesystem broker at every connection. A filter, since Celery sets Django's logging up once more.
    logging.getLogger("kombu.connection").addFilter(lambda record: "No hostname was supplied" not in str(record.msg))
    return work(given.threads, given.queues, given.name) if given.process == "worker" else beat()


if __name__ == "__main__":
    sys.exit(main())
