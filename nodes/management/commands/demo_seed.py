"""Fills an empty installation from the manifest of a simulated fleet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nodes.services.demo import seed


class Command(BaseCommand):
    help = "Add the pools, nodes and releases of a fleet manifest (made by `manage.py simfleet`). What is there already stays as it is."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("manifest", help="path of manifest.json")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            manifest = json.loads(Path(options["manifest"]).read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"{options['manifest']} cannot be read: {error}") from error
        outcome = seed(manifest)
        self.stdout.write(f"{outcome.added} nodes added, {outcome.kept} were there.")
