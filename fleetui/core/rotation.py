"""Who holds sealed secrets: each app names a function that seals its own again with the newest key."""

from __future__ import annotations

from collections.abc import Callable

_ROTATIONS: dict[str, Callable[[], int]] = {}


def register(name: str, rotate: Callable[[], int]) -> None:
    """`rotate` returns how many values it sealed anew; it may be killed and run again at any point."""
    _ROTATIONS[name] = rotate


def rotate_all() -> dict[str, int]:
    return {name: rotate() for name, rotate in sorted(_ROTATIONS.items())}
