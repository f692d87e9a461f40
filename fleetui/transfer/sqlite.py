"""SQLite: a copy of the database while FleetUI runs, and a database put in its place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import connection

from fleetui.transfer.errors import TransferRefused

_PAGES_AT_ONCE = 2000
#: So many instructions of SQLite are some tenths of a second.
_STEPS_AT_ONCE = 5_000_000


def database_path() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


def copy_to(path: Path, left_out: Iterable[str], going_on: Callable[[], None]) -> None:
    """The whole database as it is at one moment, in one file that was checked; raises TransferRefused.

    Rows of the tables `left_out` are not in it, and were overwritten in the copy.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_opened(database_path())) as live, closing(_opened(path)) as copy:
            # A read that stays open holds the moment: else the copy begins anew whenever somebody writes.
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda *_: going_on())
            with _asking(copy, going_on):
                # The copy is one file: nothing of it may lie in a journal beside it.
                copy.execute("PRAGMA journal_mode=DELETE")
                copy.execute("PRAGMA synchronous=OFF")
                copy.execute("PRAGMA secure_delete=ON")
                for table in left_out:
                    copy.execute(f'DELETE FROM "{table}"')  # noqa: S608  (names of our own tables)
                found = _found_in(copy)
    except sqlite3.Error as error:
        raise TransferRefused(
            f"The database cannot be copied: {error}.", mend="Look at the disk and try again."
        ) from error
    if found != "ok":
        raise TransferRefused(
            f"The copy is damaged: {found}.", mend="The database itself is: go back to an earlier backup."
        )


def problem_of(path: Path, going_on: Callable[[], None]) -> str:
    """What is wrong with a database file; nothing when it is whole."""
    try:
        with closing(_opened(path)) as database, _asking(database, going_on):
            found = _found_in(database)
    except sqlite3.Error as error:
        found = str(error)
    return "" if found == "ok" else found


def put_in_place(new: Path) -> None:
    """Make this file the database, in one step. Nobody else may have the old one open; raises TransferRefused."""
    place = database_path()
    connection.close()
    journals = [place.with_name(place.name + end) for end in ("-wal", "-shm", "-journal")]
    if place.exists():
        try:
            with closing(_opened(place)) as old:
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            # It is damaged, which is why it is replaced.
            _unlink(journals)
    else:
        _unlink(journals)
    # Whoever is the last to close a database takes its journal away.
    if any(journal.exists() for journal in journals):
        raise TransferRefused(
            f"Another process has {place} open.",
            mend="Stop FleetUI and whatever else reads the database, and try again.",
        )
    new.replace(place)


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def _found_in(database: sqlite3.Connection) -> str:
    return str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])


@contextmanager
def _asking(database: sqlite3.Connection, going_on: Callable[[], None]) -> Iterator[None]:
    """Asks now and then while statements run; what it raises ends them, and goes on from here."""
    raised: list[BaseException] = []

    def ask() -> int:
        try:
            going_on()
        except BaseException as error:
            raised.append(error)
        return len(raised)

    database.set_progress_handler(ask, _STEPS_AT_ONCE)
    try:
        yield
    except sqlite3.Error:
        if raised:
            raise raised[0] from None
        raise
    finally:
        database.set_progress_handler(None, 0)
