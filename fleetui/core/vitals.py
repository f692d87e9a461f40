"""How FleetUI itself is: a registry of lines, each with a level, a sentence and what to do.

Apps register sources in `AppConfig.ready`. A cheap source asks nothing but the heartbeats that are read already and the
local disk; its lines that are wrong are banners on every page. All sources together make the Health page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.frame import Banner
from fleetui.core.heartbeats import Signs, look, signs_of

#: Worst first.
LEVELS = ("bad", "warn", "ok", "info")
GROUPS = ("processes", "work", "storage", "trust", "versions")


@dataclass(frozen=True)
class Line:
    """One thing that is looked at. `key` names it for scripts; `at` is the moment that the sentence is about."""

    key: str
    group: str
    level: str
    title: str
    text: str
    mend: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Glance:
    """What every source is given: the moment, and the signs of life."""

    now: datetime
    signs: Signs = field(default_factory=Signs)


Source = Callable[[Glance], Iterable[Line]]
_CHEAP: list[Source] = []
_WHOLE: list[Source] = []


def add_vitals(source: Source, *, cheap: bool = False) -> None:
    """Called from an AppConfig.ready. A cheap source runs on every page: no query, no network."""
    sources = _CHEAP if cheap else _WHOLE
    if source not in sources:
        sources.append(source)


def lines() -> list[Line]:
    """Everything, in groups."""
    glance = Glance(clock.now(), look())
    found = [line for source in (*_CHEAP, *_WHOLE) for line in source(glance)]
    return sorted(found, key=lambda line: GROUPS.index(line.group))


def troubles() -> list[Line]:
    """What somebody has to be told of: all that is a banner, and whatever else is bad. Worst first."""
    signs = look()
    # Of its own clock a process tells in its sign of life, as all do.
    glance = Glance(clock.now(), Signs(signs.all))
    found = [line for source in _CHEAP for line in source(glance) if line.level in ("bad", "warn")]
    found += [line for source in _WHOLE for line in source(glance) if line.level == "bad"]
    return sorted(found, key=lambda line: LEVELS.index(line.level))


def worst(found: Iterable[Line]) -> str:
    levels = {line.level for line in found} - {"info"}
    return next((level for level in LEVELS if level in levels), "ok")


def banners(request: HttpRequest) -> list[Banner]:
    """What is wrong with FleetUI itself, worst first, with the way to the Health page for those who may open it."""
    glance = Glance(clock.now(), signs_of(request))
    wrong = [line for source in _CHEAP for line in source(glance) if line.level in ("bad", "warn")]
    wrong.sort(key=lambda line: LEVELS.index(line.level))
    may_open = request.principal.may("health.read")  # type: ignore[attr-defined]
    url, action = (reverse("health"), _("Health of FleetUI")) if may_open else ("", "")
    return [Banner(level=line.level, text=line.text, url=url, action=action) for line in wrong]
