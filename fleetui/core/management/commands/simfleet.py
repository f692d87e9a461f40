"""`manage.py simfleet`: run a simulated fleet, or steer one that runs."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

import simfleet
from simfleet import control


def default_directory() -> Path:
    """Where the fleet of this installation lives."""
    return Path(getattr(settings, "DATA_DIR", "var")) / "simfleet"


def _seconds(text: str) -> float:
    """A time that hosts can take: not below nothing, not endless, not `nan`."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise ArgumentTypeError(f"{text} is not a number of seconds from 0 to 3600")
    return value


class Command(BaseCommand):
    """Run or steer a simulated fleet."""

    help = "Run a simulated fleet of Fedora CoreOS hosts on loopback, or steer one that runs."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of a run, and the sub-commands that steer."""
        parser.add_argument(
            "--dir", type=Path, default=None, help="folder of the fleet (default: simfleet in the data folder)"
        )
        parser.add_argument("--nodes", type=int, default=20, help="number of hosts, 1 to 20000 (default: %(default)s)")
        parser.add_argument(
            "--seed", type=int, default=7, help="everything about the hosts follows from it (default: %(default)s)"
        )
        parser.add_argument("--demo", action="store_true", help="the hosts of the demo, with a few troubles")
        parser.add_argument("--net", default=None, help="first two numbers of the loopback addresses, such as 127.77")
        parser.add_argument(
            "--reboot-seconds", type=_seconds, default=6.0, help="how long a reboot takes (default: %(default)s)"
        )
        parser.add_argument(
            "--transaction-seconds",
            type=_seconds,
            default=3.0,
            help="how long an rpm-ostree transaction takes (default: %(default)s)",
        )
        steering = parser.add_subparsers(dest="action", title="steering a running fleet")
        self._add_steering(steering)

    def _add_steering(self, steering: Any) -> None:
        rows = {
            "list": "list the hosts",
            "reboot": "reboot a host",
            "upgrade": "stage the newest release on a host, as by hand",
            "stage": "stage the newest release on a host, as its update agent does",
            "publish": "publish a release in the stream its number names",
            "control": "switch a fault on or off",
        }
        parsers = {name: steering.add_parser(name, help=text) for name, text in rows.items()}
        for one in parsers.values():
            one.add_argument("--dir", type=Path, default=SUPPRESS)
        for name in ("reboot", "upgrade", "stage", "control"):
            parsers[name].add_argument("name", help="name of the host")
        parsers["publish"].add_argument("release", help="such as 45.20261115.3.0")
        parsers["publish"].add_argument("--bad", action="store_true", help="hosts that boot it fall back")
        parsers["control"].add_argument("what", choices=["fault"])
        parsers["control"].add_argument("kind", choices=[fault.value for fault in simfleet.Fault])
        parsers["control"].add_argument("switch", choices=["on", "off"])
        parsers["control"].add_argument(
            "--value", type=float, default=None, help="seconds for slow (0 to 3600), percent for full_disk (0 to 100)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, or steer."""
        directory: Path = options["dir"] or default_directory()
        try:
            if options["action"]:
                self._steer(directory, options)
            else:
                self._run(directory, options)
        except simfleet.FleetError as error:
            raise CommandError(str(error)) from None
        except BrokenPipeError:
            # The reader of the list has seen enough. Nothing more may be written, also not at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _run(self, directory: Path, options: dict[str, Any]) -> None:
        if not 1 <= options["nodes"] <= 20_000:
            raise CommandError("--nodes must be from 1 to 20000.")
        wanted = simfleet.Settings(
            directory=directory,
            nodes=options["nodes"],
            seed=options["seed"],
            demo=options["demo"],
            net=options["net"],
            reboot_s=options["reboot_seconds"],
            transaction_s=options["transaction_seconds"],
        )
        simfleet.run(wanted, self._say)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _steer(self, directory: Path, options: dict[str, Any]) -> None:
        action = options["action"]
        if action == "control":
            command = {
                "action": "fault",
                "name": options["name"],
                "kind": options["kind"],
                "on": options["switch"] == "on",
            }
            row = control.send(directory, {**command, "value": options["value"]})["host"]
            self._say(f"{row['name']}: {', '.join(row['faults']) or 'no faults'}")
        elif action == "list":
            self._list(control.send(directory, {"action": "list"})["hosts"])
        else:
            names = {"version": options.get("release"), "name": options.get("name"), "bad": options.get("bad", False)}
            self._say(control.send(directory, {"action": action, **names})["message"])

    def _list(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            pending = f" -> {row['pending']}" if row["pending"] else ""
            notes = ", ".join([*(["down"] if row["down"] else []), *row["faults"]])
            self._say(
                f"{row['name']:<18} {row['address']}:{row['port']:<6} {row['version']}{pending}  {notes}".rstrip()
            )
