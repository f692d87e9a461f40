from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from fleetui.transfer.backup import back_up
from fleetui.transfer.errors import TransferRefused


class Command(BaseCommand):
    help = (
        "Copy the SQLite database to a new file while FleetUI runs, check the copy, and put the anchors of the audit log "
        "beside it. The key files are not copied: keep them apart. For PostgreSQL use pg_dump. See docs/deploy.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the file to make; it must not exist yet")

    def handle(self, *, file: Path, **_: Any) -> None:
        try:
            made = back_up(file)
        except TransferRefused as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error
        size = filesizeformat(made.size_bytes).replace("\xa0", " ")
        anchors = f" The anchors are in {made.anchors}." if made.anchors else " There are no anchors yet."
        self.stdout.write(f"{file} holds the database ({size}, checked).{anchors} The key files are not in it.")
