"""What filter bars have in common: chips of what is set, spans of time to choose from, and moments in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from fleetui.core import clock
from fleetui.core.clock import in_our_time
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query


def turned(query: QueryDict, name: str, value: str) -> str:
    """The address with this value of a filter turned on or off."""
    return changed_query(query, {name: sorted({*split_values(query.getlist(name))} ^ {value}) or None})


def chips(
    query: QueryDict, names: Iterable[str], field_word: Callable[[str], str], value_word: Callable[[str, str], str]
) -> list[dict[str, str]]:
    """One chip per value that is set: `field`, `label`, and `remove_url`, the address without it."""
    return [
        {"field": field_word(name), "label": value_word(name, value), "remove_url": turned(query, name, value)}
        for name in names
        for value in split_values(query.getlist(name))
    ]


def recent_times(query: QueryDict) -> list[dict[str, Any]]:
    """Choices for `since`: the last hour, day, week and month."""
    now = clock.now().replace(second=0, microsecond=0)
    spans = [
        (_("Last hour"), timedelta(hours=1)),
        (_("Last 24 hours"), timedelta(days=1)),
        (_("Last 7 days"), timedelta(days=7)),
        (_("Last 30 days"), timedelta(days=30)),
    ]
    return [
        {"label": word, "url": changed_query(query, {"since": (now - span).strftime("%Y-%m-%dT%H:%MZ"), "until": None})}
        for word, span in spans
    ]


def moment_word(value: str) -> str:
    """A moment of an address in the reader's time; what is no moment as it is."""
    try:
        return timezone.localtime(in_our_time(datetime.fromisoformat(value))).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return value
