"""Tags and filters of the pages. They are built in: templates need no `{% load %}`."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.template import Context
from django.templatetags.static import static
from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext

from fleetui.core.templatetags.ui_words import age_words, level_of, signature_words, word_of

register = template.Library()

MISSING = mark_safe('<span class="ui-nothing">–</span>')
BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
#: Query arguments that name a place in a list; a changed filter starts at the beginning again.
PLACE_ARGUMENTS = ("cursor", "page", "after", "before")
VERSION_SHADES = 6
BAR_WIDTH = 1000
BAR_GAP = 3
BAR_SMALLEST = 9


@register.simple_tag
def icon(name: str, label: str = "", classes: str = "") -> SafeString:
    """An icon of the sprite; without a label it is hidden from screen readers."""
    return _icon(get_script_prefix(), name, label, classes)


@lru_cache(maxsize=1024)
def _icon(_prefix: str, name: str, label: str, classes: str) -> SafeString:
    """A page draws a hundred of them, of which few differ; where the sprite lies depends on the prefix alone."""
    reference = f"{static('icons/sprite.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="ui-icon {}" role="img" aria-label="{}"><use href="{}"/></svg>', classes, label, reference
        )
    return format_html('<svg class="ui-icon {}" aria-hidden="true"><use href="{}"/></svg>', classes, reference)


@register.simple_tag
def state(
    axis: str, value: str | None, reason: str = "", since: dt.datetime | None = None, url: str = ""
) -> SafeString:
    """A state as shape, word and colour, with its reason on hover and its age beside it."""
    return state_badge(level_of(axis, value or ""), word_of(axis, value or ""), reason, since, url)


@register.simple_tag(name="badge")
def state_badge(level: str, word: str, reason: str = "", since: dt.datetime | None = None, url: str = "") -> SafeString:
    """A state badge for a level (ok, info, warn, bad, none) and a word of the caller's choice."""
    age = format_html(' <span class="ui-state-age">{}</span>', reltime(since)) if since else ""
    body = format_html("{}<span>{}</span>{}", icon(f"state-{level}", classes="ui-shape"), word, age)
    title = format_html(' title="{}"', reason) if reason else ""
    if url:
        return format_html('<a class="ui-state" data-level="{}" href="{}"{}>{}</a>', level, url, title, body)
    return format_html('<span class="ui-state" data-level="{}"{}>{}</span>', level, title, body)


def _exact(moment: dt.datetime) -> str:
    zone = timezone.get_current_timezone()
    return f"{moment.astimezone(zone).isoformat(sep=' ', timespec='seconds')} {_zone_name(zone)}"


@lru_cache(maxsize=1024)
def _zone_name(zone: dt.tzinfo) -> str:
    return zone.tzname(None) or str(zone)


@register.simple_tag
def reltime(moment: dt.datetime | str | None, now: dt.datetime | None = None) -> SafeString:
    """How long ago, or how long until, kept fresh by the page; the exact time is on hover."""
    moment = _as_moment(moment)
    if moment is None:
        return MISSING
    seconds = ((now or timezone.now()) - moment).total_seconds()
    iso = moment.astimezone(dt.UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    # Nothing in the first two needs escaping, and a list draws a hundred of them.
    return mark_safe(  # noqa: S308
        f'<time datetime="{iso}Z" data-relative title="{_exact(moment)}">{escape(age_words(seconds))}</time>'
    )


@register.simple_tag
def exacttime(moment: dt.datetime | str | None) -> SafeString:
    """The exact time in the zone of the person, with the ISO form on hover."""
    moment = _as_moment(moment)
    if moment is None:
        return MISSING
    local = timezone.localtime(moment)
    return format_html(
        '<time class="ui-num" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        _exact(moment),
        local.strftime("%Y-%m-%d %H:%M:%S"),
    )


def _as_moment(moment: dt.datetime | str | None) -> dt.datetime | None:
    if isinstance(moment, str):
        try:
            moment = dt.datetime.fromisoformat(moment)
        except ValueError:
            return None
    if moment is not None and timezone.is_naive(moment):
        moment = timezone.make_aware(moment, dt.UTC)
    return moment


@register.simple_tag
def age_chip(moment: dt.datetime | str | None, stale_after_s: int = 300) -> SafeString:
    """The age of what is shown; it stands out when it is older than it should be."""
    moment = _as_moment(moment)
    if moment is None:
        return format_html('<span class="ui-age" data-stale="true">{}</span>', gettext("never read"))
    stale = (timezone.now() - moment).total_seconds() > stale_after_s
    return format_html(
        '<span class="ui-age" data-stale="{}" data-stale-after="{}">{}{}</span>',
        "true" if stale else "false",
        stale_after_s,
        icon("clock"),
        reltime(moment),
    )


def shorten_middle(text: str, length: int) -> str:
    """The text with its middle left out, so that both ends can be told apart."""
    if len(text) <= length or length < 3:
        return text
    head = math.ceil((length - 1) / 2)
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


@register.filter
def middle(text: object, length: int = 24) -> str:
    return shorten_middle(str(text or ""), length)


@register.simple_tag
def copyable(text: str | None, length: int = 0, label: str = "") -> SafeString:
    """A monospaced text that is copied whole on click; shortened in the middle when a length is given."""
    if not text:
        return MISSING
    shown = label or (shorten_middle(text, length) if length else text)
    return format_html(
        '<button type="button" class="ui-copy" data-copy="{}" title="{}"><code>{}</code>{}</button>',
        text,
        text,
        shown,
        icon("copy"),
    )


@register.simple_tag
def short_hash(text: str | None, length: int = 9) -> SafeString:
    """The first characters of a checksum or digest, copied whole on click."""
    bare = (text or "").removeprefix("sha256:")
    return copyable(text, label=bare[:length])


@register.filter(name="bytes")
def size(size_bytes: float | str | None, digits: int = 1) -> str | SafeString:
    """A size in binary units: 1.5 GiB."""
    if size_bytes in (None, ""):
        return MISSING
    value, step = float(size_bytes), 0
    while abs(value) >= 1024 and step < len(BYTE_UNITS) - 1:
        value, step = value / 1024, step + 1
    return f"{number_format(value, digits if step and value < 100 else 0)}\N{NO-BREAK SPACE}{BYTE_UNITS[step]}"


@register.filter
def percent(value: float | str | None, digits: int = 0) -> str | SafeString:
    return MISSING if value in (None, "") else f"{number_format(value, digits)}%"


@register.filter
def codes(text: str) -> SafeString:
    """A sentence in which what stands between backticks is code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308


@register.filter
def who(principal: str) -> str:
    """The name of a principal: people know `admin`, not `user:admin`."""
    return principal.partition(":")[2] or principal


@register.filter
def thousands(value: float | None) -> str | SafeString:
    """A number with its thousands grouped: 1,204."""
    return MISSING if value is None else _grouped(get_language(), value)


@lru_cache(maxsize=4096, typed=True)
def _grouped(_language: str | None, value: float) -> str:
    return number_format(value, force_grouping=True)


@register.simple_tag
def level_for(value: float | None, warn: float = 80, bad: float = 90) -> str:
    """The level of a measured value: none, ok, warn or bad."""
    if value is None:
        return "none"
    return "bad" if value >= bad else "warn" if value >= warn else "ok"


@register.simple_tag
def meter(value: float | str | None, label: str, warn: float = 80, bad: float = 90) -> SafeString:
    """A small bar of a percentage with its number; a template hands over an empty text for what is not there."""
    if value is None or isinstance(value, str):
        return MISSING
    return format_html(
        '<span class="ui-meter" data-level="{}"><svg viewBox="0 0 100 6" preserveAspectRatio="none" role="img"'
        ' aria-label="{}"><rect class="ui-meter-track" width="100" height="6"/>'
        '<rect class="ui-meter-fill" width="{}" height="6"/></svg><span class="ui-num">{}</span></span>',
        level_for(value, warn, bad),
        label,
        round(min(max(value, 0), 100), 1),
        percent(value),
    )


def changed_query(query: QueryDict, changes: Mapping[str, object]) -> str:
    """The query string with arguments set, or left out when None; the place in the list is forgotten."""
    # Not QueryDict.copy, which costs as much as all the rest: a filter bar has a hundred such links.
    changed = {name: values for name, values in query.lists() if name not in PLACE_ARGUMENTS and any(values)}
    for name, value in changes.items():
        if value is None or value == "":
            changed.pop(name, None)
        elif isinstance(value, list | tuple):
            changed[name] = [str(item) for item in value]
        else:
            changed[name] = [str(value)]
    return f"?{urlencode(changed, doseq=True)}"


@register.simple_tag(takes_context=True)
def query_url(context: Context, **changes: object) -> str:
    """The address of this page with changed query arguments; None takes one away."""
    return changed_query(context["request"].GET, changes)


@register.simple_tag(takes_context=True)
def query_add(context: Context, name: str, value: object) -> str:
    """The address of this page with one more value of an argument that may be given several times."""
    query = context["request"].GET
    return changed_query(query, {name: [*(v for v in query.getlist(name) if v != str(value)), value]})


@register.simple_tag(takes_context=True)
def query_remove(context: Context, name: str, value: object = None) -> str:
    """The address of this page without one value of an argument, or without the argument."""
    query = context["request"].GET
    kept = [] if value is None else [v for v in query.getlist(name) if v != str(value)]
    return changed_query(query, {name: kept or None})


@register.simple_tag(takes_context=True)
def sort_header(
    context: Context, field: str, label: str, classes: str = "", first: str = "asc", default: str = ""
) -> SafeString:
    """A `<th>` that sorts by a field through the `sort` argument, and turns the order on the second click."""
    order, url, arrow = _sorting(context, field, first, default)
    return format_html(
        '<th scope="col" class="{}" aria-sort="{}"><a class="ui-sort" href="{}">{}{}</a></th>',
        classes,
        order,
        url,
        label,
        arrow,
    )


@register.simple_tag(takes_context=True)
def sort_item(context: Context, field: str, label: str, first: str = "asc", default: str = "") -> SafeString:
    """The same as an item of a menu, for where the table has no head."""
    order, url, arrow = _sorting(context, field, first, default)
    current = "false" if order == "none" else "true"
    return format_html('<a class="ui-menu-item" href="{}" aria-current="{}">{}{}</a>', url, current, label, arrow)


def _sorting(context: Context, field: str, first: str, default: str) -> tuple[str, str, SafeString | str]:
    """How the list is sorted by the field, the address that sorts by it or turns the order, and the arrow."""
    current = context["request"].GET.get("sort") or default
    is_down, is_up = current == f"-{field}", current == field
    target = field if is_down or (not is_up and first == "asc") else f"-{field}"
    order = "descending" if is_down else "ascending" if is_up else "none"
    arrow = icon("arrow-down" if is_down else "arrow-up", classes="ui-sort-arrow") if is_down or is_up else ""
    return order, changed_query(context["request"].GET, {"sort": target}), arrow


def spread(counts: Iterable[int]) -> list[tuple[float, float]]:
    """Place and width of each part of a bar; small parts stay wide enough to be seen and hit."""
    parts = [max(count, 0) for count in counts]
    total = sum(parts)
    if not total:
        return [(0, 0) for _ in parts]
    shown = [part for part in parts if part]
    room = BAR_WIDTH - BAR_GAP * (len(shown) - 1)
    widths = [max(room * part / total, BAR_SMALLEST) if part else 0.0 for part in parts]
    excess = sum(widths) - room
    widest = widths.index(max(widths))
    widths[widest] -= excess
    places, x = [], 0.0
    for width in widths:
        places.append((round(x, 2), round(width, 2)))
        x += width + BAR_GAP if width else 0
    return places


@register.inclusion_tag("partials/segmented.html")
def segmented(title: str, segments: Iterable[Mapping[str, Any]], url: str = "") -> dict[str, Any]:
    """A bar of states, each part a link: segments are {level, label, count, url}."""
    parts = [dict(segment) for segment in segments]
    for part, (x, width) in zip(parts, spread(p["count"] for p in parts), strict=True):
        part.update(x=x, width=width)
    total = sum(part["count"] for part in parts)
    return {"title": title, "segments": parts, "total": total, "url": url}


@register.inclusion_tag("partials/version_bars.html")
def version_bars(rows: Iterable[Mapping[str, Any]], versions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Versions per pool, newest first.

    Rows are {label, url, counts: {version: {count, url}}}, versions {version, age_days, url}.
    """
    legend = [dict(version) for version in versions]
    for rank, version in enumerate(legend):
        version["shade"] = "x" if not version["version"] else str(min(rank, VERSION_SHADES - 1))
        version["count"] = 0
    drawn = []
    for row in rows:
        cells = [{**version, **row["counts"].get(version["version"], {"count": 0, "url": ""})} for version in legend]
        for cell, version, (x, width) in zip(cells, legend, spread(c["count"] for c in cells), strict=True):
            cell.update(shown=cell["version"] or "–", count_text=thousands(cell["count"]))
            cell.update(x_text=unlocalize_number(x), width_text=unlocalize_number(width))
            version["count"] += cell["count"]
        # Written here, since a template takes three times as long for hundreds of them.
        segments = format_html_join("", _VERSION_SEGMENT, (_segment(cell) for cell in cells if cell["count"]))
        numbers = format_html_join("", _VERSION_NUMBER, ((cell["shown"], cell["count_text"]) for cell in cells))
        total = sum(cell["count"] for cell in cells)
        drawn.append({**row, "segments": segments, "numbers": numbers, "total": total})
    return {"rows": drawn, "versions": legend}


_VERSION_SEGMENT = (
    '<a href="{0}" aria-label="{1}"><title>{1}</title>'
    '<rect class="ui-ver" data-shade="{2}" x="{3}" width="{4}" height="10"/></a>'
)
_VERSION_NUMBER = '<td class="ui-r" data-label="{}">{}</td>'


def _segment(cell: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    words = f"{cell['shown']}: {cell['count_text']}"
    return cell["url"], words, cell["shade"], cell["x_text"], cell["width_text"]


@register.inclusion_tag("partials/boot_order.html")
def boot_order(deployments: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The deployments of a node drawn in the order in which it would try to boot them."""
    drawn = []
    for place, deployment in enumerate(deployments):
        role = next((role for role in ("staged", "booted", "rollback") if deployment.get(role)), "kept")
        is_next = place == 0
        level, words = signature_words(deployment.get("signature") or "")
        drawn.append(
            {**deployment, "role": role, "is_next": is_next, "signature_level": level, "signature_words": words}
        )
    return {"deployments": drawn}


@register.filter
def count_words(count: int, kind: str) -> str:
    """A count with its noun: "3 nodes". Kinds: node, pool, event, change."""
    words = {
        "node": ngettext("%(count)s node", "%(count)s nodes", count),
        "pool": ngettext("%(count)s pool", "%(count)s pools", count),
        "event": ngettext("%(count)s event", "%(count)s events", count),
        "change": ngettext("%(count)s change", "%(count)s changes", count),
        "day": ngettext("%(count)s day", "%(count)s days", count),
    }
    return words[kind] % {"count": number_format(count, force_grouping=True)}


@register.filter
def unlocalize_number(value: float) -> str:
    """A number for an SVG attribute: a point and no grouping in every language."""
    return f"{float(value):g}"


@register.filter
def contains_path(url: str, path: str) -> bool:
    """Whether a tab is the page at hand."""
    return path.rstrip("/") == url.split("?")[0].rstrip("/")


@register.simple_tag
def attributes(pairs: Mapping[str, object] | None = None) -> SafeString:
    """HTML attributes of a mapping; those that are None or False are left out."""
    kept = [(name, value) for name, value in (pairs or {}).items() if value is not None and value is not False]
    return format_html_join("", ' {}="{}"', kept)
