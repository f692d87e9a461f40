"""What is done between the checks and the first child: translations, database, static files. Each is quick when nothing changed."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from fleetui.core.errors import StartError
from fleetui.core.keys import make_private
from fleetui.core.translations import compile_stale

STAMP_NAME = ".fleetui-stamp"


def compile_translations(say: Callable[[str], None]) -> None:
    try:
        compile_stale(settings.LOCALE_PATHS[0])
    except OSError as error:
        say(f"The translations cannot be written ({error}); pages appear in English only.")


def check_settings() -> None:
    """Refuse what the system checks call an error, one sentence each."""
    try:
        call_command("check", stdout=io.StringIO(), stderr=io.StringIO())
    except SystemCheckError as error:
        raise StartError(str(error)) from error


def make_database(database: Path) -> None:
    """A SQLite file with mode 0600, as its journals have then too. No umask: the commands of people would inherit it."""
    # Where it cannot be made, the migrations say so.
    with contextlib.suppress(OSError):
        database.touch(mode=0o600)
    make_private(database)


def is_migrated() -> bool:
    """Whether any FleetUI has used the database."""
    with _database_in_use():
        return bool(MigrationRecorder(connection).applied_migrations())


def migrate(say: Callable[[str], None]) -> None:
    """Bring the database up to date; a newer database than this program is refused."""
    with _database_in_use():
        executor = MigrationExecutor(connection)
        unknown = sorted(
            f"{app}.{name}"
            for app, name in executor.loader.applied_migrations
            if (app, name) not in executor.loader.disk_migrations and app in executor.loader.migrated_apps
        )
        if unknown:
            raise StartError(
                f"The database was made by a newer FleetUI (it holds {unknown[0]}). Start that version, or restore a backup from before it."
            )
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            say(f"Preparing the database ({len(plan)} steps) ...")
        call_command("migrate", interactive=False, verbosity=0)


@contextlib.contextmanager
def _database_in_use() -> Iterator[None]:
    """A database that cannot be used is a sentence, and no connection stays open."""
    try:
        yield
    except DatabaseError as error:
        # SQLite says the bare one of a file that is damaged or something else; the other kinds are mistakes of ours.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise StartError(
            f"The database at {_without_password()} cannot be used: {str(error).strip().splitlines()[0]}"
        ) from error
    finally:
        connection.close()


def _without_password() -> str:
    database = settings.DATABASES["default"]
    where = urlsplit(f"//{database.get('HOST') or ''}").hostname
    return f"{where}/{database['NAME']}" if where else str(database["NAME"])


def _static_stamp() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(None):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect_static(say: Callable[[str], None]) -> None:
    """Run collectstatic when a file was added, changed or removed since the last time."""
    stamp = Path(settings.STATIC_ROOT) / STAMP_NAME
    wanted = _static_stamp()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("Collecting static files ...")
    try:
        # The documents of the API are shown by Swagger UI; its package ships another viewer, which nothing asks for.
        call_command(
            "collectstatic", interactive=False, verbosity=0, clear=stamp.parent.exists(), ignore_patterns=["redoc"]
        )
    except (OSError, ValueError) as error:
        raise StartError(f"The static files cannot be collected: {error}") from error
    stamp.write_text(wanted)
