"""PostgreSQL: a dump by pg_dump while FleetUI runs, and a dump loaded by pg_restore and psql. The password goes by the environment."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient

from fleetui.transfer.errors import TransferRefused
from ops.backups.scratch import PID

PROGRAMS = ("pg_dump", "pg_restore", "psql")
_READ_BYTES = 256 * 1024
#: Tools of 17 set it also for servers that do not have it yet.
_TOO_NEW = re.compile(rb"^SET transaction_timeout = 0;$", re.MULTILINE)
_HEAD_BYTES = 1024


class NoProgram(TransferRefused):
    """A program of PostgreSQL is not on this machine."""

    def __init__(self, program: str) -> None:
        super().__init__(
            f"{program} is not on this machine.",
            mend="Install the client programs of PostgreSQL (Debian: postgresql-client), not older than the server.",
        )
        self.program = program


def require(program: str) -> None:
    if shutil.which(program) is None:
        raise NoProgram(program)


def dump(left_out: Iterable[str], place: Path, going_on: Callable[[], None]) -> Iterator[bytes]:
    """The whole database as it is at one moment; raises TransferRefused, at the latest at its end."""
    require("pg_dump")
    options = ["--format=custom", "--no-password", *(f"--exclude-table-data={table}" for table in left_out)]
    argv, told = _command("pg_dump", options)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, env=told, cwd=place)
        try:
            # Who comes after a worker that was killed ends it by that.
            (place / PID).write_text(str(process.pid))
            yield from _pieces(cast("IO[bytes]", process.stdout), going_on)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status:
            raise TransferRefused(f"pg_dump failed: {_end_of(errors)}", mend="Look at the database, and try again.")


def load(pieces: Iterator[bytes], drop: str, going_on: Callable[[], None]) -> None:
    """Load a dump in one transaction, after the statements `drop`; raises TransferRefused, and then all is as it was."""
    for program in ("pg_restore", "psql"):
        require(program)
    argv, told = _command("psql", ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"])
    with tempfile.TemporaryFile() as errors:
        psql = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=told)
        given = cast("IO[bytes]", psql.stdin)
        try:
            with suppress(BrokenPipeError):  # it ended; its status says why
                given.write(f"BEGIN;\n{drop}\n".encode())
                head = _HEAD_BYTES
                for piece in read(pieces, going_on):
                    given.write(_TOO_NEW.sub(b"", piece[:head]) + piece[head:])
                    head = 0
                # Without it nothing of all this counts, however the end came.
                given.write(b"COMMIT;\n")
            with suppress(BrokenPipeError):
                given.close()
            status = psql.wait()
        finally:
            psql.kill()
            psql.wait()
        if status:
            raise TransferRefused(
                f"The database cannot be loaded: {_end_of(errors)}",
                mend="Make a new database that the user of DATABASE_URL owns, with the extension pg_trgm, and restore into it.",
            )


def read(pieces: Iterator[bytes], going_on: Callable[[], None]) -> Iterator[bytes]:
    """A dump as SQL; raises TransferRefused when pg_restore cannot read it, or when the pieces do not come to their end."""
    require("pg_restore")
    argv = ["pg_restore", "--file=-", "--no-owner", "--no-privileges", "--no-comments"]
    raised: list[Exception] = []
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=_environment()
        )

        def feed() -> None:
            with suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as given:
                try:
                    for piece in pieces:
                        given.write(piece)
                except BrokenPipeError:
                    raise
                except Exception as error:
                    raised.append(error)

        feeder = threading.Thread(target=feed, name="pg_restore", daemon=True)
        feeder.start()
        try:
            yield from _pieces(cast("IO[bytes]", process.stdout), going_on)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
            feeder.join()
        if raised:
            raise raised[0]
        if status:
            raise TransferRefused(
                f"pg_restore cannot read the dump: {_end_of(errors)}",
                mend="Use a pg_restore that is not older than the pg_dump that made it, or another backup.",
            )


def drop_all() -> str:
    """The statements that take away the tables and functions of the database, and leave its extensions."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        tables = sorted(connection.introspection.table_names(cursor))
        cursor.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace"
            " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        )
        functions = sorted(name for (name,) in cursor.fetchall())
    lines = [f"DROP TABLE IF EXISTS {quote(table)} CASCADE;" for table in tables]
    return "\n".join([*lines, *(f"DROP FUNCTION IF EXISTS {name} CASCADE;" for name in functions)])


def _command(program: str, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """How Django would call psql for this database, with another program."""
    argv, told = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, options)
    return [program, *argv[1:]], {**_environment(), **(told or {})}


def _environment() -> dict[str, str]:
    """Of our own only where programs and files of the client are: the other variables hold keys."""
    return {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG") or name.startswith("PG")
    }


def _pieces(pipe: IO[bytes], going_on: Callable[[], None]) -> Iterator[bytes]:
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while True:
            going_on()
            if not waiting.select(1.0):
                continue
            piece = os.read(pipe.fileno(), _READ_BYTES)
            if not piece:
                return
            yield piece


def _end_of(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read(65_536).decode("utf-8", "replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[-3:])[-400:] or "it said nothing"
