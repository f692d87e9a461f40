"""`manage.py up [--demo] [--bind HOST:PORT]`: the whole of FleetUI as one process tree."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from fleetui.core.errors import StartError
from fleetui.start.address import Bind
from fleetui.start.up import Start, up


class Command(BaseCommand):
    help = "Start the web process, the worker and the scheduler, and keep them running until Ctrl-C."
    # They run in `up` itself, after the key files are made and with one line instead of a listing.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="start a simulated fleet too")
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT", help="default: %(default)s")

    def handle(self, *, demo: bool, bind: str, **_: Any) -> None:
        try:
            start = Start(
                bind=Bind.parse(bind), demo=demo, data_dir=settings.DATA_DIR, manage=settings.BASE_DIR / "manage.py"
            )
            code = up(start)
        except StartError as error:
            self.stderr.write(" ".join(filter(None, [error.message, error.mend])))
            code = 1
        sys.exit(code)
