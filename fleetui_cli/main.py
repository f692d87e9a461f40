"""fleetui-cli: reads the command line, runs one command, and ends with a code that says what became of it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

from fleetui_cli.api import Api
from fleetui_cli.codes import Code, Problem
from fleetui_cli.options import parser
from fleetui_cli.settings import read_settings
from fleetui_cli.show import as_json, clean, print_anything, tell


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    # A reader such as `head` that has enough ends us quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _terminated)
    print_anything()
    given = _given(argv)
    given.under_way, given.made, given.asking = "", None, ""
    try:
        settings = read_settings(given)
        if settings.is_readable_on_the_way:
            tell(f"Warning: {settings.url} is not encrypted, and whoever is on the way can read the token.")
        return int(given.run(Api(settings), given))
    except Problem as problem:
        tell(f"fleetui-cli: {clean(problem)}")
        if given.under_way and problem.code in (Code.TIMEOUT, Code.UNREACHABLE, Code.UNPRINTED):
            tell(f"Wait on: fleetui-cli wait {given.under_way}")
            if given.json and given.made and problem.code is not Code.UNPRINTED:
                as_json(given.made)
        return int(problem.code)
    except KeyboardInterrupt as stopped:
        _say_stopped(given)
        return int(Code.TERMINATED if isinstance(stopped, Terminated) else Code.INTERRUPTED)


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which a CI system ends a job: what goes on is said as for Ctrl-C."""


def _terminated(_number: int, _frame: object) -> None:
    raise Terminated


def _say_stopped(given: argparse.Namespace) -> None:
    if given.under_way:
        tell("\nNot watched any more. It goes on all the same.")
        tell(f"  watch it again: fleetui-cli wait {given.under_way}")
        tell(f"  end it:         fleetui-cli cancel {given.under_way}")
    elif given.asking:
        tell("\nStopped while it was asked for: whether that arrived is not known.")
        tell("  look:           fleetui-cli operations --active")
        tell(f"  ask once more:  the same command with --key {given.asking}, which makes nothing twice")
    else:
        tell("\nStopped.")


def _given(argv: Sequence[str] | None) -> argparse.Namespace:
    """Names of nodes may also stand behind options: argparse itself takes those only that follow the kind at once."""
    words = parser()
    given, over = words.parse_known_args(argv)
    if over and (not isinstance(getattr(given, "nodes", None), list) or any(word.startswith("-") for word in over)):
        words.error(f"unrecognized arguments: {' '.join(over)}")
    if over:
        given.nodes += over
    return given
