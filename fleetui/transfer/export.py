"""Write a whole installation into one archive, as it was at one moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

import fleetui
from fleetui.audit.chain import iso
from fleetui.audit.log import Entry, record_alone
from fleetui.audit.models import AuditHead
from fleetui.audit.verify import anchor_path
from fleetui.core import clock
from fleetui.transfer import archive
from fleetui.transfer.keys import all_keys, needed
from fleetui.transfer.rows import columns_of, lines_of, telling, travelling

Say = Callable[[str], None]


def migrations() -> list[str]:
    return sorted(f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations())


def export_to(path: Path, *, with_keys: bool, say: Say) -> archive.Manifest:
    """Export everything. The export itself is an audit event, and that event is in the archive."""
    with archive.written(path) as writer:
        after = {"with_keys": with_keys}
        record_alone(Entry(actor="system:fleetui", action="installation.export", subject="installation", after=after))
        with one_moment():
            head = AuditHead.objects.filter(id=1).first()
            parts = []
            for model in travelling():
                name = model._meta.label_lower
                part = writer.part(name, columns_of(model), telling(lines_of(model), name, say))
                parts.append(part)
                say(f"{part.model}: {part.rows} rows")
            manifest = archive.Manifest(
                fleetui=fleetui.__version__,
                made_at=iso(clock.now()),
                database=connection.vendor,
                migrations=migrations(),
                keys_needed=needed(),
                with_keys=with_keys,
                audit_seq=head.seq if head else 0,
                parts=parts,
            )
        if anchor_path().exists():
            writer.whole(archive.ANCHORS, anchor_path().read_bytes())
        if with_keys:
            writer.whole(archive.KEYS, json.dumps(all_keys()).encode())
        writer.whole(archive.MANIFEST, manifest.as_bytes())
    return manifest


@contextmanager
def one_moment() -> Iterator[None]:
    """Every read within sees the database as it was at the first one; writers are not kept waiting."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        # atomic() would begin IMMEDIATE and shut out every writer.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
