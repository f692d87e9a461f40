"""append(): the only way into the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from fleetui.audit.chain import canonical, event_hash
from fleetui.audit.models import AuditEvent, AuditHead
from fleetui.core import clock, context
from fleetui.core.text import clean


@dataclass(frozen=True)
class Entry:
    """What happened: `action` is a permission-like slug (`nodes.add`), `subject` reads `node:web-01`, before/after hold what changed."""

    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str = ""
    outcome: str = "done"


def append(entries: Sequence[Entry]) -> None:
    """Chain and store the entries. Call it once per transaction, last before its end: the head stays locked until commit."""
    if not connection.in_atomic_block:
        raise RuntimeError("audit.append belongs into the transaction of the change that it records")
    if not entries:
        return
    head = AuditHead.objects.select_for_update().get_or_create(id=1)[0]
    seq, previous = head.seq, head.hash
    at = clock.now()
    rows = []
    for entry in entries:
        seq += 1
        row = {
            "seq": seq,
            "at": at,
            "actor": clean(entry.actor)[:200],
            "action": entry.action[:100],
            "subject": clean(entry.subject)[:300],
            "before": clean(canonical(entry.before)) if entry.before is not None else "",
            "after": clean(canonical(entry.after)) if entry.after is not None else "",
            "reason": clean(entry.reason),
            "request_id": context.request_id.get(),
            "source_address": context.source_address.get(),
            "outcome": entry.outcome,
        }
        previous = row["hash"] = event_hash(previous, row)
        rows.append(AuditEvent(**row))
    AuditEvent.objects.bulk_create(rows)
    AuditHead.objects.filter(id=1).update(seq=seq, hash=previous)


def record_alone(entry: Entry) -> None:
    """Append one entry in a transaction of its own: for what changed nothing, such as a refused sign-in."""
    with transaction.atomic():
        append([entry])


def record_export(*, what: str, format: str, query: str, rows: int, columns: Sequence[str], actor: object) -> None:
    """Who took which rows of what as a file; called before the first one leaves."""
    after = {"format": format, "filter": query, "rows": rows, "columns": list(columns)}
    record_alone(Entry(actor=str(actor), action=f"{what}.export", subject=what, after=after))
