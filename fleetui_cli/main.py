"""fleetui-cli: reads the command line, runs one command, and ends with a code that says what became of it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence

from fleetui_cli.api import Api
from fleetui_cli.codes import Code, Problem
from fleetui_cli.options import parser
from fleetui_cli.settings import read_settings
from fleetui_cli.show import as_json, clean, tell


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    # A reader such as `head` that has enough ends us quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    given = _given(argv)
    given.under_way, given.made = "", None
    try:
        settings = read_settings(given)
        if settings.is_readable_on_the_way:
            tell(f"Warning: {settings.url} is not encrypted, and whoever is on the way can read the token.")
        return int(given.run(Api(settings), given))
    except Problem as problem:
        tell(f"fleetui-cli: {clean(problem)}")
        if problem.code is Code.TIMEOUT and given.under_way:
            tell(f"Wait on: fleetui-cli wait {given.under_way}")
            if given.json and given.made:
                as_json(given.made)
        return int(problem.code)
    except KeyboardInterrupt:
        if given.under_way:
            tell("\nNot watched any more. It goes on all the same.")
            tell(f"  watch it again: fleetui-cli wait {given.under_way}")
            tell(f"  end it:         fleetui-cli cancel {given.under_way}")
        else:
            tell("\nStopped.")
        return int(Code.INTERRUPTED)


def _given(argv: Sequence[str] | None) -> argparse.Namespace:
    """Names of nodes may also stand behind options: argparse itself takes those only that follow the kind at once."""
    words = parser()
    given, over = words.parse_known_args(argv)
    if over and (not isinstance(getattr(given, "nodes", None), list) or any(word.startswith("-") for word in over)):
        words.error(f"unrecognized arguments: {' '.join(over)}")
    if over:
        given.nodes += over
    return given
