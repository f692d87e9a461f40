"""What costs a query and may be a moment old, from the cache; without the cache it is found anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

from fleetui.core.error_pages import unavailable

Found = TypeVar("Found")


def remembered(key: str, timeout_s: float, find: Callable[[], Found]) -> Found:
    """What was found lately. A cache that is away costs the saving, not the answer. `find` never returns None."""
    try:
        kept: Found | None = cache.get(key)
    except Exception as error:
        if not cache_is_away(error):
            raise
        return find()
    if kept is not None:
        return kept
    found = find()
    try:
        cache.set(key, found, timeout_s)
    except Exception as error:
        if not cache_is_away(error):
            raise
    return found


def cache_is_away(error: Exception) -> bool:
    return unavailable(error) == "cache"
