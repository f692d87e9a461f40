"""The head of the audit log, written to every backup target once a day: there it proves whether the log was cut.

Each is an object of its own, named by day, number and hash: another history has another name, and nothing deletes these. In a
bucket with a lock not even its owner can.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import structlog

from fleetui.audit.chain import iso
from fleetui.audit.models import AuditHead
from fleetui.core.errors import SealBroken
from ops.backups.base import TargetError
from ops.models import BackupTarget
from ops.services.backups.targets import opened

PREFIX = "audit-head/"
EVERY = timedelta(days=1)
#: After a failure, and when whoever was about to write it died.
AGAIN = timedelta(hours=1)
log = structlog.get_logger(__name__)


def anchor_at_targets(now: datetime) -> int:
    """Write the head where it is due; returns to how many targets. What goes wrong stands in their rows."""
    head = AuditHead.objects.filter(id=1, seq__gt=0).first()
    if head is None:
        return 0
    written = 0
    for target in BackupTarget.objects.filter(head_due_at__lte=now):
        mine = BackupTarget.objects.filter(pk=target.pk, head_due_at=target.head_due_at)
        if mine.update(head_due_at=now + AGAIN):
            written += _write(target, head, now)
    return written


def _write(target: BackupTarget, head: AuditHead, now: datetime) -> bool:
    line = json.dumps({"at": iso(now), "seq": head.seq, "hash": head.hash}) + "\n"
    # Not while it was set anew meanwhile: then it may be another place.
    row = BackupTarget.objects.filter(pk=target.pk, head_due_at=now + AGAIN)
    try:
        opened(target).put(f"{PREFIX}{now:%Y-%m-%d}-{head.seq}-{head.hash[:16]}.jsonl", [line.encode()], lambda: None)
    except TargetError as error:
        log.warning("audit_head_not_at_target", target=target.name, code=error.code, said=error.said)
        row.update(head_problem={"code": error.code, "said": error.said})
        return False
    except SealBroken:
        log.warning("audit_head_not_at_target", target=target.name, code="sealed")
        row.update(head_problem={"code": "sealed", "said": ""})
        return False
    row.update(head_due_at=now + EVERY, head_at=now, head_seq=head.seq, head_problem={})
    return True
