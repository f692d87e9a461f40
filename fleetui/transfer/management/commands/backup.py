from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from fleetui.transfer.backup import back_up
from fleetui.transfer.errors import TransferRefused


class Command(BaseCommand):
    help = (
        "Write a backup of the installation into one new file while FleetUI runs: the database as it is at one moment, and "
        "the anchors of the audit log. The key files are not in it: keep them apart. PostgreSQL needs pg_dump here. "
        "`manage.py restore` reads it; a backup policy of the kind fleetui makes the same by itself. See docs/deploy.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the file to make; it must not exist yet")

    def handle(self, *, file: Path, **_: Any) -> None:
        try:
            made = back_up(file)
        except TransferRefused as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error
        size = filesizeformat(file.stat().st_size).replace("\xa0", " ")
        self.stdout.write(
            f"{file} holds the installation ({size}, read back), audit event {made.audit_seq} included. "
            "The key files are not in it: keep them apart."
        )
