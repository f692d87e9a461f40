from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.transfer.errors import TransferRefused
from fleetui.transfer.restore import restore_from


class Command(BaseCommand):
    help = (
        "Bring up the installation from a backup that `manage.py backup` or a backup policy of the kind fleetui made. The "
        "database is replaced as a whole or not at all; what was killed before its last line is run again. Stop FleetUI "
        "first, and put the key files in place: they are not in the backup. It refuses a damaged backup, one whose keys are "
        "missing, one of a newer version, and a database that has rows, unless --replace is given. Operations that were "
        "under way are ended. See docs/deploy.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the backup")
        parser.add_argument("--replace", action="store_true", help="what the database holds now is lost")

    def handle(self, *, file: Path, replace: bool, **_: Any) -> None:
        try:
            done = restore_from(file, replace=replace, say=self.stdout.write)
        except TransferRefused as error:
            raise CommandError(f"{error.message} {error.mend}".strip()) from error
        self.stdout.write(f"The installation is restored as it was at {done.manifest.made_at}.")
        if done.lost:
            self.stdout.write(f"At least {done.lost} audit events happened after it and are lost.")
        if done.ended:
            self.stdout.write(
                "One operation that was under way then was ended: look at it and ask again."
                if done.ended == 1
                else f"{done.ended} operations that were under way then were ended: look at them and ask again."
            )
        if not done.verdict.good:
            raise CommandError(
                f"The audit log that was restored is not intact: {done.verdict.problems[0]} "
                "The backup was made like that: take an earlier one, or keep this one and what is known of it."
            )
        self.stdout.write(f"The audit log is intact: {done.verdict.events} events.")
