from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.audit.verify import verify_and_note


class Command(BaseCommand):
    help = "The audit log: `audit verify` proves that no event was changed, removed or cut off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_subparsers(dest="verb", required=True).add_parser(
            "verify", help="walk the whole chain; exit 1 when it is broken"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = verify_and_note()
        for problem in verdict.problems:
            self.stdout.write(problem)
        if not verdict.good:
            raise CommandError(
                f"The audit log is not intact: {len(verdict.problems)} problems in {verdict.events} events."
            )
        proof = (
            f"Cutting off the end is provable up to event {verdict.anchored_seq}."
            if verdict.anchored_seq
            else "No anchor has been written yet: cutting off the end could not be proved."
        )
        self.stdout.write(f"The audit log is intact: {verdict.events} events, every hash matches. {proof}")
        if verdict.checkpoint:
            self.stdout.write(
                f"It begins at event {verdict.begins_at}: retention removed what was before, as event {verdict.checkpoint} says."
            )
