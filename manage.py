#!/usr/bin/env python3
"""FleetUI's command line: `python manage.py help` lists what there is."""

import os
import sys
from contextlib import ExitStack
from typing import Any

from fleetui.core import memory

#: The exit code for "the configuration is wrong": starting again would not help.
CONFIGURATION = 3
#: What shells give a command that Ctrl-C ended.
INTERRUPTED = 130
#: What the reader of the environment says of a wrong value, and the mend that it leaves out.
_FORMS = {"Not a valid boolean.": "Use true or false.", "Not a valid integer.": "Give a whole number."}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleetui.settings")
    loaded = ExitStack()
    loaded.enter_context(memory.imports())
    try:
        from django.core.management import ManagementUtility
        from django.db import DatabaseError, OperationalError, ProgrammingError
        from environs import EnvValidationError

        from fleetui.core.errors import StartError
    except ImportError as error:
        sys.exit(
            f"{error.name} is not installed in this Python. Run `make run` once, or use .venv/bin/python manage.py ..."
        )

    class Utility(ManagementUtility):
        """Ends the loading once Django is set up, which `execute` does with the settings that the command line names."""

        def fetch_command(self, subcommand: str) -> Any:
            loaded.close()
            return super().fetch_command(subcommand)

    try:
        Utility(sys.argv).execute()
    except EnvValidationError as error:
        for variable, messages in error.error_messages.items():  # type: ignore[union-attr]  # a mapping after seal()
            # Values of addresses and keys may hold passwords, so they are not repeated.
            value = (
                "" if variable.endswith(("_URL", "_KEY", "_KEYS", "_PEPPERS")) else f" ({os.environ.get(variable)!r})"
            )
            said = " ".join(f"{text} {_FORMS.get(text, '')}".strip() for text in messages)
            print(f"{variable}{value}: {said} See docs/configuration.md.", file=sys.stderr)  # noqa: T201
        sys.exit(CONFIGURATION)
    except ProgrammingError as error:
        # PostgreSQL's word for a table that was not made yet; anything else is a mistake of ours and shows itself.
        if "does not exist" not in str(error):
            raise
        said = str(error).strip().splitlines()[0]
        print(f"The database is not prepared: {said}. Run `manage.py migrate`.", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except DatabaseError as error:
        # SQLite says the bare one of a file that is damaged or something else.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        mend = "Run `manage.py up` once, or check DATABASE_URL and FLEETUI_DATA_DIR."
        if "is locked" in str(error):
            mend = "Another process writes to it just now; run this again in a moment."
        print(f"The database cannot be used: {str(error).strip()}. {mend}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except StartError as error:
        print(f"{error.message} {error.mend}".strip(), file=sys.stderr)  # noqa: T201
        sys.exit(CONFIGURATION)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
