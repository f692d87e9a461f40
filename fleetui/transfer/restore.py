"""An installation is brought up from a backup of it: the database, the anchors of the audit log, and what follows from both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

from fleetui.audit.log import Entry, record_alone
from fleetui.audit.verify import Verdict, anchor_path, anchors, verify_and_note
from fleetui.core import clock
from fleetui.core.heartbeats import look
from fleetui.core.owner import give_to_owner_of_folder
from fleetui.transfer import postgresql, sqlite
from fleetui.transfer.contents import Contents, Manifest, opened
from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.keys import require_keys
from fleetui.transfer.rows import travelling
from ops.services.restored import end_what_was_under_way

Say = Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """`lost`: how many events the anchors that lay here know of which happened after the backup. `ended`: operations."""

    manifest: Manifest
    verdict: Verdict
    lost: int
    ended: int


def restore_from(path: Path, *, replace: bool, say: Say) -> Restored:
    """Restore everything. Raises TransferRefused; then the database is as it was."""
    with opened(path) as contents:
        manifest = contents.manifest
        _require_this_database(manifest)
        _require_known_migrations(manifest)
        require_keys(manifest.keys_needed, of="backup")
        _require_at_rest(replace=replace)
        say("Checking the backup ...")
        contents.check(_goes_on)
        say("Restoring the database ...")
        (_put_sqlite if connection.vendor == "sqlite" else _load_postgresql)(contents)
        lost = _put_anchors(contents.anchors(), manifest.audit_seq)
    # The backup may be of an older version; triggers are installed anew in any case.
    call_command("migrate", interactive=False, verbosity=0)
    say("Proving the audit log ...")
    made_at, now = datetime.fromisoformat(manifest.made_at), clock.now()
    ended = end_what_was_under_way(made_at=made_at, now=now)
    after = {
        "made_at": manifest.made_at,
        "audit_seq": manifest.audit_seq,
        "events_lost": lost,
        "operations_ended": ended,
    }
    record_alone(Entry("system:fleetui", "installation.restore", "installation", after=after))
    return Restored(manifest, verify_and_note(), lost, ended)


def _require_this_database(manifest: Manifest) -> None:
    if manifest.database != connection.vendor:
        raise TransferRefused(
            f"The backup is of {manifest.database}, and DATABASE_URL names {connection.vendor}.",
            mend="Restore it on the same kind of database; `manage.py export` and `import` move it to the other one then.",
        )


def _require_known_migrations(manifest: Manifest) -> None:
    loader = MigrationLoader(None)
    known = {f"{app}.{name}" for app, name in loader.disk_migrations}
    known |= {f"{app}.{name}" for one in loader.disk_migrations.values() for app, name in one.replaces}
    if beyond := sorted(set(manifest.migrations) - known):
        raise TransferRefused(
            f"The backup was made by a newer FleetUI ({manifest.fleetui}): it holds {beyond[0]}.",
            mend="Restore it with that version.",
        )


def _require_at_rest(*, replace: bool) -> None:
    """Nobody works on the database, and nothing in it would be lost unless that was said."""
    sqlite_path = sqlite.database_path() if connection.vendor == "sqlite" else None
    if sqlite_path is not None and not sqlite_path.exists():
        sqlite_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    try:
        tables = set(connection.introspection.table_names())
        if "core_heartbeat" in tables and (living := [one for one in look().all if one.kind != "job" and one.fresh]):
            raise TransferRefused(
                f"FleetUI runs on this database: {living[0].kind} on {living[0].hostname}, process {living[0].pid}.",
                mend="Stop it. Of a process that was killed the sign of life goes within 70 seconds.",
            )
        filled = next(
            (one for one in travelling() if one._meta.db_table in tables and one._base_manager.exists()), None
        )
        why = f"{filled._meta.label_lower} has rows" if filled else ""
    except DatabaseError as error:
        if sqlite_path is None:
            raise TransferRefused(
                f"The database cannot be read: {str(error).strip()}.", mend="Look at DATABASE_URL and at the server."
            ) from error
        why = f"it cannot be read ({error})"
    if why and not replace:
        raise TransferRefused(
            f"The database is not empty: {why}.",
            mend="Name a new database or data folder, or say --replace: then what is in it is lost.",
        )


def _put_sqlite(contents: Contents) -> None:
    new = sqlite.database_path().with_name("db.sqlite3.restoring")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in contents.pieces(contents.database):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if problem := sqlite.problem_of(new, _goes_on):
            raise TransferRefused(f"The database in the backup is damaged: {problem}.", mend="Take another backup.")
        give_to_owner_of_folder(new)
        sqlite.put_in_place(new)
    except OSError as error:
        raise TransferRefused(
            f"{new} cannot be written: {error.strerror or error}.",
            mend="Make room and look at the rights of the folder.",
        ) from error
    finally:
        new.unlink(missing_ok=True)


def _load_postgresql(contents: Contents) -> None:
    drop = postgresql.drop_all()
    connection.close()
    postgresql.load(contents.pieces(contents.database), drop, _goes_on)


def _put_anchors(content: bytes, audit_seq: int) -> int:
    """Those of the backup take the place of those that lay here, which are kept beside them; how many events they know of more."""
    path, lost = anchor_path(), 0
    if path.exists():
        lost = max(max(anchors(), default=0) - audit_seq, 0)
        path.rename(path.with_name(f"{path.name}.before-{clock.now():%Y-%m-%dT%H%M%SZ}"))
    if content:
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        give_to_owner_of_folder(path)
    return lost


def _goes_on() -> None:
    """By hand it goes on until it is done, or the process ends."""
