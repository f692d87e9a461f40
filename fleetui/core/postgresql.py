"""Moments from PostgreSQL, read fast: lists hold thousands of them, and Django's own way costs more than the query."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db.backends.signals import connection_created

_PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?\+00")


def read_moments_fast(connection: Any, **_: Any) -> None:
    """Every new connection learns it; does nothing on other databases and in other time zones."""
    if connection.vendor == "postgresql" and connection.timezone is UTC:
        connection.connection.adapters.register_loader("timestamptz", _loader())


def install() -> None:
    connection_created.connect(read_moments_fast, dispatch_uid="core.postgresql.moments")


@cache
def _loader() -> type:
    # psycopg takes its time to load, and is of no use on SQLite.
    from django.db.backends.postgresql.psycopg_any import BaseTzLoader

    class MomentLoader(BaseTzLoader):  # type: ignore[misc]  # missing in the stubs
        """ISO text in UTC, which is how Django's connections speak; what else there may be goes the long way."""

        timezone = UTC

        def load(self, data: Any) -> datetime:
            text = bytes(data).decode()
            if _PLAIN.fullmatch(text):
                return datetime.fromisoformat(text)
            return super().load(data)  # type: ignore[no-any-return]

    return MomentLoader
