"""What apps add to every page: banners that say what is exceptional now, and tools in the top bar with counts in the rail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True)
class Banner:
    """`level` is warn or bad; `text` says what is wrong, `action` and `url` the way out."""

    level: str
    text: str
    url: str = ""
    action: str = ""


@dataclass(frozen=True)
class Tool:
    """A template for the top bar with what it shows; `badges` are counts beside items of the rail, by address name."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    badges: Mapping[str, int] = field(default_factory=dict)


_TOOLS: list[Callable[[HttpRequest], Tool | None]] = []
_SOURCES: list[Callable[[HttpRequest], list[Banner]]] = []


def add_banner_source(source: Callable[[HttpRequest], list[Banner]]) -> None:
    """Called from an AppConfig.ready; the source must be cheap, it runs on every page."""
    if source not in _SOURCES:
        _SOURCES.append(source)


def banners(request: HttpRequest) -> list[Banner]:
    return [banner for source in _SOURCES for banner in source(request)]


def add_tool_source(source: Callable[[HttpRequest], Tool | None]) -> None:
    """Called from an AppConfig.ready; the source must be cheap, it runs on every page. None: nothing to show."""
    if source not in _TOOLS:
        _TOOLS.append(source)


def tools(request: HttpRequest) -> list[Tool]:
    return [tool for source in _TOOLS if (tool := source(request)) is not None]
