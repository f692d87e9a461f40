"""Check an Ignition document, as the real ignition-validate does, without the database."""

from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from nodes.ignition.ignition import validate_document
from nodes.ignition.limits import DEFAULT
from nodes.management.commands._streams import open_failure, read_input, write_text


class Command(BaseCommand):
    help = "Check Ignition documents of spec 3.0 and newer. Output and exit codes are those of ignition-validate."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        validate = actions.add_parser("validate", help="check one document")
        validate.add_argument("file", metavar="FILE", help="- for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["file"]
        try:
            source = read_input(None if name == "-" else name, DEFAULT.source_bytes)
        except OSError as error:
            self._fail(f"couldn't read config: {open_failure(name, error)}")
        validation = validate_document(source)
        if validation.report.entries:
            write_text(self.stdout, validation.report.as_text())
        if validation.report.has_errors:
            raise SystemExit(1)
        if validation.error is not None:
            advice = f"\n{validation.advice}" if validation.advice else ""
            self._fail(f"couldn't parse config: {validation.error}{advice}")

    def _fail(self, message: str) -> NoReturn:
        write_text(self.stderr, message + "\n")
        raise SystemExit(1)
