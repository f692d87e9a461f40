"""`manage.py reindex_facts`: make the terms that lists are searched by from the facts that are stored."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from nodes.services.terms import reindex


class Command(BaseCommand):
    help = "Make the terms that lists are searched by from the facts that are stored."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(f"{reindex():,} nodes indexed.")
