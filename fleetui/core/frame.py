"""A registry of banners: apps add a function that says what is exceptional now; every page shows what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest


@dataclass(frozen=True)
class Banner:
    """`level` is warn or bad; `text` says what is wrong, `action` and `url` the way out."""

    level: str
    text: str
    url: str = ""
    action: str = ""


_SOURCES: list[Callable[[HttpRequest], list[Banner]]] = []


def add_banner_source(source: Callable[[HttpRequest], list[Banner]]) -> None:
    """Called from an AppConfig.ready; the source must be cheap, it runs on every page."""
    if source not in _SOURCES:
        _SOURCES.append(source)


def banners(request: HttpRequest) -> list[Banner]:
    return [banner for source in _SOURCES for banner in source(request)]
