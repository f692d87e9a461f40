"""The anchor: once a minute the head of the chain is written where the database cannot reach."""

from __future__ import annotations

import json
import os

import structlog
from celery import shared_task

from fleetui.audit.chain import iso
from fleetui.audit.models import AuditHead
from fleetui.audit.verify import anchor_path
from fleetui.core import clock
from fleetui.core.heartbeats import mark

#: The name of the job's heartbeat.
ANCHOR_JOB = "audit-anchor"
log = structlog.get_logger(__name__)


@shared_task(name="fleetui.audit.tasks.anchor")
def anchor() -> None:
    """Append seq and hash of the head to the anchor file and the log, when they moved; note that it was looked at."""
    head = AuditHead.objects.filter(id=1).first()
    if head is not None and head.seq:
        _write(head)
    mark(ANCHOR_JOB, {"seq": head.seq if head else 0})


def _write(head: AuditHead) -> None:
    path = anchor_path()
    line = json.dumps({"at": iso(clock.now()), "seq": head.seq, "hash": head.hash})
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 400))
            if f'"seq": {head.seq},'.encode() in file.read():
                return
    except FileNotFoundError:
        pass
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(line + "\n")
    log.info("audit_anchor", seq=head.seq, hash=head.hash)
