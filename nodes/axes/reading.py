"""Careful access to facts: whatever shape a value has, the answer has the asked type and none raises."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_TEXT_CHARACTERS = 300


def mapping(value: object, *path: str) -> Mapping[str, Any]:
    """The object at `path`, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, Mapping) else {}


def objects(value: object, *path: str) -> list[Mapping[str, Any]]:
    """The objects in the list at `path`; items of another shape are left out."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list | tuple) else []


def text(value: object, *path: str) -> str:
    """The text at `path`, shortened to what a sentence can hold, or an empty one."""
    found = at(value, *path)
    return found.strip()[:_TEXT_CHARACTERS] if isinstance(found, str) else ""


def number(value: object, *path: str) -> float | None:
    """The finite number at `path`."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        result = float(found)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def flag(value: object, *path: str) -> bool:
    """Whether the value at `path` is true itself, and not merely filled."""
    return at(value, *path) is True


def moment(value: object, *path: str) -> datetime | None:
    """The time at `path`, written in ISO 8601 or as seconds since 1970."""
    found = at(value, *path)
    try:
        if isinstance(found, str):
            read = datetime.fromisoformat(found)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        seconds = number(found)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def at(value: object, *path: str) -> object:
    """What stands at `path`, or None."""
    found = value
    for name in path:
        # The question that is asked first costs a tenth of the second, and dictionaries are what facts are made of.
        if type(found) is not dict and not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found
