"""Requests that wait for an end: at most a quarter of the web threads, so that pages are never kept waiting by them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
