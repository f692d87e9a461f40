from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.load import import_from


class Command(BaseCommand):
    help = "Read an archive of `manage.py export` into an empty, migrated database: all of it, or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the archive")

    def handle(self, *, file: Path, **_: Any) -> None:
        try:
            manifest = import_from(file, say=self.stdout.write)
        except TransferRefused as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error
        rows = sum(part.rows for part in manifest.parts)
        self.stdout.write(f"{rows} rows imported; the audit log is intact up to event {manifest.audit_seq}.")
