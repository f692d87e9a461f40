"""Charts of the past: versions as shades from the newest to the oldest, and of each axis what is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.core.charts import Chart, Series, draw
from fleetui.core.templatetags.ui import changed_query
from fleetui.core.templatetags.ui_words import STATES, level_of, word_of
from nodes.services.history import DEFAULT_RANGE, RANGES, History, Range
from nodes.services.samples import OTHER
from nodes.services.stats import VersionAge
from nodes.views.links import nodes_url
from nodes.wording import axis_name

#: A shade for each version, so that the legend tells them apart; the last one is for the others.
SHADES = 6
NEWEST_SHOWN = 2
#: What is left out of the drawing of an axis, so that the rest can be seen beside it.
GOOD = {"reachability": "reachable", "health": "healthy", "update_state": "up_to_date"}
_WORST_FIRST = ("bad", "warn", "info", "none", "ok")


def range_of(query: QueryDict) -> Range:
    """The range that the address names; the last day without one."""
    return RANGES.get(query.get("range", ""), RANGES[DEFAULT_RANGE])


def range_links(query: QueryDict) -> list[dict[str, Any]]:
    words = {"1h": _("1 hour"), "1d": _("1 day"), "7d": _("7 days"), "30d": _("30 days")}
    chosen = range_of(query)
    return [
        {"label": words[name], "url": changed_query(query, {"range": name}), "active": name == chosen.name}
        for name in RANGES
    ]


def versions_chart(
    ages: Sequence[VersionAge], past: History, filters: Mapping[str, str], *, ident: str, url: str = ""
) -> Chart:
    """How many nodes ran which version, the newest at the bottom. `ages` holds all of `versions_of(past)`, newest first."""
    counts = past.nodes.get("version", {})
    named = [one.version for one in ages if one.version and one.version in counts]
    shown = _worth_a_shade(named, counts)
    folded = [name for name in (*named, *counts) if name == OTHER or (name and name not in shown)]
    folded = list(dict.fromkeys(folded))
    series = [
        Series(name, name, counts[name], shade=str(rank), url=nodes_url(**filters, version=name))
        for rank, name in enumerate(shown)
    ]
    if folded:
        others = ngettext("%(n)d other", "%(n)d others", len(folded)) % {"n": len(folded)}
        word = _("other versions") if OTHER in folded else others
        link = "" if OTHER in folded else nodes_url(**filters, version=",".join(folded))
        series.append(Series(OTHER, word, _summed([counts[name] for name in folded]), shade=str(SHADES - 1), url=link))
    if any(counts.get("", ())):
        link = nodes_url(**filters, version="unknown")
        series.append(Series("unknown", _("not known"), counts[""], shade="x", url=link))
    return _drawn(Chart(_("Versions over time"), series, past.starts, past.range.step_s, id=ident, url=url), past)


def versions_of(past: History) -> set[str]:
    """The versions that ran in the range, by name."""
    return {name for name in past.nodes.get("version", {}) if name not in ("", OTHER)}


def _worth_a_shade(named: Sequence[str], counts: Mapping[str, Sequence[int | None]]) -> list[str]:
    """All versions where there is a shade for each; else the two newest and those that most nodes ran, newest first."""
    if len(named) + (OTHER in counts) <= SHADES:
        return list(named)
    peaks = sorted(named[NEWEST_SHOWN:], key=lambda name: -max(value or 0 for value in counts[name]))
    kept = {*named[:NEWEST_SHOWN], *peaks[: SHADES - 1 - NEWEST_SHOWN]}
    return [name for name in named if name in kept]


def axis_chart(past: History, axis: str, filters: Mapping[str, str], *, ident: str) -> Chart:
    """Nodes that are not as they should be, the worst at the bottom; the good ones are in the legend and the table."""
    counts = past.nodes.get(axis, {})
    values = sorted(counts, key=lambda value: (_WORST_FIRST.index(level_of(axis, value)), _place(axis, value)))
    good = GOOD[axis]
    series = [
        Series(
            value,
            word_of(axis, value),
            counts[value],
            level=level_of(axis, value),
            url=nodes_url(**{**filters, axis: value}),
            is_drawn=value != good,
        )
        for value in values
    ]
    notes = {
        "reachability": _("nodes that are not reachable"),
        "health": _("nodes that are not healthy"),
        "update_state": _("nodes that are not up to date"),
    }
    calm = {
        "reachability": _("Every node was reachable the whole time."),
        "health": _("Every node was healthy the whole time."),
        "update_state": _("Every node was up to date the whole time."),
    }
    said = calm[axis] if any(sum(filter(None, counts[value])) for value in values) else _("There were no nodes.")
    chart = Chart(axis_name(axis), series, past.starts, past.range.step_s, id=ident, note=notes[axis], calm=said)
    return _drawn(chart, past)


def _place(axis: str, value: str) -> int:
    known = list(STATES[axis])
    return known.index(value) if value in known else len(known)


def _drawn(chart: Chart, past: History) -> Chart:
    chart.zone = timezone.get_current_timezone_name()
    return draw(chart, known=[look is not None for look in past.taken], zone=timezone.get_current_timezone())


def _summed(columns: Sequence[Sequence[int | None]]) -> list[int | None]:
    return [None if row[0] is None else sum(value or 0 for value in row) for row in zip(*columns, strict=True)]
