"""`manage.py translations compile|update|check`: keep the catalogs in step with the source."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fleetui.core import translations


class Command(BaseCommand):
    help = "compile: write .mo files. update: merge new messages into the .po files. check: fail unless all are translated."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("compile", "update", "check"))

    def handle(self, *, action: str, **_: Any) -> None:
        folder = settings.LOCALE_PATHS[0]
        if action == "compile":
            translations.compile_stale(folder)
            return
        found: list[str] = []
        for language, _name in settings.LANGUAGES:
            if language == "en":
                continue
            path = folder / language / "LC_MESSAGES" / "django.po"
            template = translations.collect(settings.BASE_DIR)
            if action == "update":
                translations.update(path, template)
            elif not path.exists():
                found.append(f"{path} is missing.")
            else:
                found.extend(translations.faults(path, template))
        if found:
            raise CommandError(
                "\n".join([*found[:40], f"{len(found)} faults in the catalogs. Run: manage.py translations update"])
            )
