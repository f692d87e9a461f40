"""Memory of our processes: what threads took for a moment goes back to the system, and what stays is not searched.

glibc gives threads heaps of their own, up to eight for each processor, and each keeps what it once held: a worker that polls
with 160 threads holds a third more than it uses. Other C libraries do not, and have no such switches.
"""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

#: From malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
ARENAS = 2
#: Larger pieces, such as what a host printed, are taken from the system alone and go back at once.
ALONE_FROM_BYTES = 128 * 1024
GIVE_BACK_EVERY_S = 10.0
_given_back_s = 0.0
_lock = threading.Lock()


@contextmanager
def imports() -> Iterator[None]:
    """For what a process loads at its start: it stays, and searching it for garbage meanwhile is a sixth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def few_heaps() -> bool:
    """Let threads share their heaps; to be called before they start. False where the C library has no such switch."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_ARENA_MAX, ARENAS)) and bool(mallopt(_M_MMAP_THRESHOLD, ALONE_FROM_BYTES))


def give_back() -> bool:
    """Return what is free to the system, at most every few seconds: it takes some milliseconds."""
    global _given_back_s
    with _lock:
        if monotonic() - _given_back_s < GIVE_BACK_EVERY_S:
            return False
        _given_back_s = monotonic()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is None:
        return False
    malloc_trim(0)
    return True
