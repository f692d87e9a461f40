"""Ticks: messages that say no more than that it is time to look what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps


def one_at_a_time(look: Callable[[], None]) -> Callable[[], None]:
    """Ticks that piled up while a worker was busy come all at once: one looks for all of them, the others are over at once."""
    under_way = threading.Lock()

    @wraps(look)
    def tick() -> None:
        if not under_way.acquire(blocking=False):
            return
        try:
            look()
        finally:
            under_way.release()

    return tick
