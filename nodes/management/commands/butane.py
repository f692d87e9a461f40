"""Convert a Butane config to Ignition, as the real butane does, without the database."""

import os
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

import fleetui
from nodes.ignition.butane import WARNINGS_WITH_STRICT, Conversion, convert
from nodes.ignition.excerpts import with_excerpts
from nodes.ignition.files import FilesDirectory
from nodes.ignition.limits import DEFAULT
from nodes.management.commands._streams import failure, read_action, read_input, write_text

_OUTPUT_MODE = 0o644
_COLORS = ("auto", "always", "never")


class Command(BaseCommand):
    help = "Convert a Butane config of variant fcos or flatcar to Ignition. Flags and exit codes are those of butane."
    requires_system_checks: list[str] = []

    def get_version(self) -> str:
        return f"FleetUI {fleetui.__version__}, converts as Butane v0.29.0"

    def run_from_argv(self, argv: list[str]) -> None:
        super().run_from_argv(_with_color_values(argv))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", nargs="?", help="default: standard input")
        parser.add_argument("-s", "--strict", action="store_true", help="fail on any warning")
        parser.add_argument("-p", "--pretty", action="store_true", help="output formatted JSON")
        parser.add_argument("-c", "--check", action="store_true", help="check config without producing output")
        parser.add_argument("-d", "--files-dir", metavar="DIR", help="allow embedding local files from this directory")
        parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of standard output")
        parser.add_argument(
            "-r", "--raw", action="store_true", help="accepted as butane does; the output always is plain Ignition"
        )
        parser.add_argument(
            "--raw-errors", action="store_true", help="one line for each error, without lines of the source"
        )
        parser.add_argument(
            "--color", choices=_COLORS, default="auto", help="colors in errors (default: auto; without a value: always)"
        )
        parser.add_argument("-V", action="version", version=self.get_version(), help="the same as --version")

    def handle(self, *args: Any, **options: Any) -> None:
        name: str | None = options["file"]
        try:
            source = read_input(name, DEFAULT.source_bytes)
        except OSError as error:
            action = read_action(error)
            self._fail(f"failed to {action} {name}: {failure(action, name or '<stdin>', error)}")
        files = FilesDirectory(options["files_dir"]) if options["files_dir"] else None
        conversion = convert(source, files=files, pretty=options["pretty"])
        self._tell(conversion, name or "<stdin>", source, options)
        if conversion.error is not None:
            self._fail(f"Error translating config: {conversion.error}")
        if conversion.exit_code(strict=options["strict"]):
            self._fail(WARNINGS_WITH_STRICT)
        if not options["check"]:
            self._write(f"{conversion.output}\n", options["output"])

    def _tell(self, conversion: Conversion, name: str, source: bytes, options: dict[str, Any]) -> None:
        if options["raw_errors"]:
            told = conversion.report.as_text()
        else:
            told = with_excerpts(conversion.report, name, source, color=_wants_color(options))
        write_text(self.stderr, told)

    def _write(self, output: str, name: str | None) -> None:
        if name is None:
            write_text(self.stdout, output)
            return
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OUTPUT_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(output.encode("utf-8", "surrogateescape"))
        except OSError as error:
            self._fail(f"failed to open {name}: {failure('open', name, error)}")

    def _fail(self, message: str) -> NoReturn:
        write_text(self.stderr, message + "\n")
        raise SystemExit(1)


def _with_color_values(arguments: list[str]) -> list[str]:
    """`--color` may stand alone, as that of the real tool does; argparse would take the file for its value."""
    return [
        "--color=always" if argument == "--color" and following not in _COLORS else argument
        for argument, following in zip(arguments, [*arguments[1:], ""], strict=True)
    ]


def _wants_color(options: dict[str, Any]) -> bool:
    if options["color"] == "auto":
        return not options.get("no_color") and "NO_COLOR" not in os.environ and sys.stderr.isatty()
    return bool(options["color"] == "always")
