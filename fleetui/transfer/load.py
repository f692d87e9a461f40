"""Read an archive into an empty, migrated database: all of it, or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from django.core.management.color import no_style
from django.db import DataError, IntegrityError, connection, models, transaction

from fleetui.audit.log import Entry, append
from fleetui.audit.verify import anchor_path, verify
from fleetui.transfer import archive
from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.export import migrations
from fleetui.transfer.keys import require_keys
from fleetui.transfer.rows import CHUNK_ROWS, Model, columns_of, rows_of, telling, travelling

Say = Callable[[str], None]


def import_from(path: Path, *, say: Say) -> archive.Manifest:
    """Import everything. Raises TransferRefused, and then the database is as it was."""
    with archive.opened(path) as reader:
        manifest = reader.manifest
        _require_same_migrations(manifest)
        _require_same_tables(manifest)
        require_keys(manifest.keys_needed, of="archive")
        say("Checking the archive ...")
        reader.check()
        with transaction.atomic():
            _require_empty()
            for part, model in zip(manifest.parts, travelling(), strict=True):
                lines = telling(reader.lines(part), part.model, say, of=part.rows)
                _load(model, rows_of(model, lines))
                say(f"{part.model}: {part.rows} rows")
            say("Checking what was read, and proving the audit log ...")
            _require_whole()
            _set_sequences()
            after = {"made_at": manifest.made_at, "manifest": hashlib.sha256(manifest.as_bytes()).hexdigest()}
            append([Entry("system:fleetui", "installation.import", "installation", after=after)])
        _keep_anchors(reader.whole(archive.ANCHORS))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return manifest


def _require_same_migrations(manifest: archive.Manifest) -> None:
    there, here = set(manifest.migrations), set(migrations())
    if there == here:
        return
    lacking, beyond = sorted(there - here), sorted(here - there)
    told = [f"the archive has {lacking[0]}, which is not applied here"] if lacking else []
    told += [f"here {beyond[0]} is applied, which the archive does not have"] if beyond else []
    raise TransferRefused(
        f"Archive and database are of different versions: {', and '.join(told)}.",
        mend=f"Use the same FleetUI for both (the archive was made by {manifest.fleetui}), and run `manage.py migrate` here.",
    )


def _require_same_tables(manifest: archive.Manifest) -> None:
    there = [(part.model, part.columns) for part in manifest.parts]
    if there != [(model._meta.label_lower, columns_of(model)) for model in travelling()]:
        raise TransferRefused("The archive has other tables than this FleetUI.", mend="Use the same FleetUI for both.")


def _require_empty() -> None:
    for model in travelling():
        if model._base_manager.exists():
            raise TransferRefused(
                f"The database is not empty: {model._meta.label_lower} has rows.",
                mend="Make a new database, run `manage.py migrate` on it, and import before FleetUI starts for the first time.",
            )


def _load(model: Model, rows: Iterable[models.Model]) -> None:
    waiting = iter(rows)
    try:
        while some := list(islice(waiting, CHUNK_ROWS)):
            model._base_manager.bulk_create(some)
    except (DataError, IntegrityError) as error:
        raise TransferRefused(f"A row of {model._meta.label_lower} does not fit: {str(error).strip()}.") from error


def _require_whole() -> None:
    try:
        connection.check_constraints()
    except IntegrityError as error:
        raise TransferRefused(f"The archive holds a row that points nowhere: {str(error).strip()}.") from error
    verdict = verify()
    if not verdict.good:
        raise TransferRefused(
            f"The audit log of the archive is not intact: {verdict.problems[0]}",
            mend="Look at `manage.py audit verify` where the archive was made. "
            f"If {anchor_path()} belongs to another installation, move it away.",
        )


def _set_sequences() -> None:
    statements = connection.ops.sequence_reset_sql(no_style(), travelling())
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _keep_anchors(content: bytes) -> None:
    """The anchors travel beside the database; those that are here already are of this installation, and stay."""
    if content and not anchor_path().exists():
        descriptor = os.open(anchor_path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
