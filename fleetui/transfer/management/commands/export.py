from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.export import export_to


class Command(BaseCommand):
    help = (
        "Write the whole installation into one archive, as it is at one moment; FleetUI may run meanwhile, but what happens "
        "after that moment is not in it. Secrets stay sealed: the key files are not in it, and travel apart, unless "
        "--with-keys is given. Read it with `manage.py import` of the same version. See docs/move-to-postgresql.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the archive to make")
        parser.add_argument("--with-keys", action="store_true", help="put the keys in: whoever has it opens everything")

    def handle(self, *, file: Path, with_keys: bool, **_: Any) -> None:
        try:
            manifest = export_to(file, with_keys=with_keys, say=self.stdout.write)
        except TransferRefused as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error
        keys = "The keys are in it: guard it." if with_keys else "The key files are not in it: copy them apart."
        rows = sum(part.rows for part in manifest.parts)
        self.stdout.write(f"{file} holds {rows} rows, audit event {manifest.audit_seq} included. {keys}")
