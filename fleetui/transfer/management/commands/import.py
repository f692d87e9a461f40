from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.load import import_from


class Command(BaseCommand):
    help = (
        "Read an archive of `manage.py export` into an empty database on which `manage.py migrate` was run: all of it, or "
        "nothing, also when it is killed. It refuses a database that is not empty, an archive of another version, missing "
        "keys, and an audit log that is not intact. Run it before FleetUI starts on the new database. "
        "See docs/move-to-postgresql.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the archive that `manage.py export` made")

    def handle(self, *, file: Path, **_: Any) -> None:
        try:
            manifest = import_from(file, say=self.stdout.write)
        except TransferRefused as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error
        rows = sum(part.rows for part in manifest.parts)
        self.stdout.write(f"{rows} rows imported; the audit log is intact up to event {manifest.audit_seq}.")
