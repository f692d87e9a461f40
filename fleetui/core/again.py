"""Writes that a database refuses only for a moment."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection

log = structlog.get_logger(__name__)
Result = TypeVar("Result")
#: Waits before a write is tried again: a database that is restarted or locked costs no outcome.
TRY_AGAIN_AFTER_S = (0.2, 1.0, 5.0)


def again(write: Callable[[], Result]) -> Result:
    """Write, and try a few times more when the connection breaks or the database is locked."""
    for wait_s in TRY_AGAIN_AFTER_S:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            log.warning("database_write_failed", error=str(error).strip(), again_after_s=wait_s)
            connection.close()
            sleep(wait_s)
    return write()
