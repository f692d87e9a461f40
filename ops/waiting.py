"""Requests that wait for an end: at most a quarter of the web threads, so that pages are never kept waiting by them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: gunicorn runs 8 threads a process (fleetui.start.tree); a quarter of them may wait.
AT_ONCE = 2
_places = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def waiter() -> Iterator[bool]:
    """Whether there is a place to wait in; without one the caller answers at once."""
    taken = _places.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _places.release()


def has_left(environ: Mapping[str, Any]) -> bool:
    """Whether who waits has closed the connection: nobody would read the answer, and others need the place."""
    connection = environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    except (OSError, ValueError):
        return False  # a TLS socket does not let one look
