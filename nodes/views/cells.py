"""Columns of the nodes list as they are drawn: words of headers, and cells as HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleetui.core.templatetags.ui import MISSING, changed_query, reltime, state_badge
from fleetui.core.templatetags.ui_words import word_of
from nodes.columns import DEFAULT, LABEL, Column
from nodes.models import Node
from nodes.views.axis_words import AXES, axis_of
from nodes.wording.drift import state_words

SSH_PORT = 22
#: More values of one fact are counted, not shown.
_VALUES_SHOWN = 4
_CLASSES = {
    "address": "n-at",
    "pool": "n-pool",
    "version": "n-version",
    "reachability": "n-reach",
    "health": "n-health",
    "update_state": "n-update",
    "facts_at": "n-changed ui-tight",
    "last_seen": "ui-tight",
}
#: Columns whose values are filters.
_LINKED = {"applied_ignition": "ignition", "intended_ignition": "intended_ignition"}
_QUIET = ("facts_at", "last_seen")


_WORDS = {
    "address": gettext_lazy("Address"),
    "port": gettext_lazy("Port"),
    "pool": gettext_lazy("Pool"),
    "cluster": gettext_lazy("Cluster"),
    "credential": gettext_lazy("Credential"),
    "jump_host": gettext_lazy("Jump host"),
    "labels": gettext_lazy("Labels"),
    "lifecycle": gettext_lazy("Lifecycle"),
    "maintenance_until": gettext_lazy("Maintenance until"),
    "os": gettext_lazy("OS"),
    "stream": gettext_lazy("Stream"),
    "version": gettext_lazy("Version"),
    "staged_version": gettext_lazy("Staged version"),
    "kernel": gettext_lazy("Kernel"),
    "arch": gettext_lazy("Architecture"),
    "reachability": gettext_lazy("Reachability"),
    "health": gettext_lazy("Health"),
    "update_state": gettext_lazy("Update state"),
    "reachability_reason": gettext_lazy("Reason of reachability"),
    "health_reason": gettext_lazy("Reason of health"),
    "update_state_reason": gettext_lazy("Reason of update state"),
    "reachability_since": gettext_lazy("Reachability since"),
    "health_since": gettext_lazy("Health since"),
    "update_state_since": gettext_lazy("Update state since"),
    "applied_ignition": gettext_lazy("Applied Ignition"),
    "intended_ignition": gettext_lazy("Intended Ignition"),
    "ignition_state": gettext_lazy("Ignition state"),
    "ignition_state_since": gettext_lazy("Ignition state since"),
    "booted_at": gettext_lazy("Booted"),
    "facts_at": gettext_lazy("Facts changed"),
    "last_seen": gettext_lazy("Last seen"),
    "failing_since": gettext_lazy("Failing since"),
    "machine_id": gettext_lazy("Machine id"),
    "generation": gettext_lazy("Generation"),
    "created_at": gettext_lazy("Added"),
    "enrolled_at": gettext_lazy("Enrolled"),
}


def column_word(name: str) -> str:
    """What a column is called; facts keep their path."""
    if name.startswith(LABEL):
        return _("Label %(key)s") % {"key": name.removeprefix(LABEL)}
    return str(_WORDS.get(name, name))


@dataclass(frozen=True)
class Head:
    """The header of a column. `short` is the end of a path, which tells paths apart."""

    label: str
    short: str
    sort: str
    first: str
    classes: str


def heads(wanted: Sequence[Column]) -> list[Head]:
    return [
        Head(
            label=column_word(one.name),
            short=".".join(one.name.split(".")[-2:]) if one.is_fact else column_word(one.name),
            sort=one.sort,
            first="desc" if one.name in ("version", "last_seen") else "asc",
            classes=_CLASSES.get(one.name, "n-more"),
        )
        for one in wanted
    ]


def is_usual(wanted: Sequence[Column]) -> bool:
    """Whether the table has the columns whose widths are settled."""
    return tuple(one.name for one in wanted) == DEFAULT


class Cells:
    """Draws cells; most nodes of a page share the same few axes and pools, which are drawn once."""

    def __init__(self, query: QueryDict) -> None:
        self.query = query
        self._drawn: dict[tuple[str, ...], SafeString] = {}

    def cell(self, one: Column, node: Node, value: Any) -> SafeString:
        """A whole `<td>`."""
        if one.name in AXES:
            return self._axis(node, one.name)
        if one.name == "pool":
            return self._pool(value)
        if one.name in _LINKED and value:
            return self._linked(one.name, value)
        draw = _DRAWN.get(one.name)
        inner = draw(node) if draw else _inner(value)
        return format_html("{}{}>{}</td>", self._frame(one.name), _title(one.name, node, value), inner)

    def _frame(self, name: str) -> SafeString:
        """The start of every cell of a column."""
        if ("frame", name) not in self._drawn:
            classes, quiet = _CLASSES.get(name, "n-more"), SafeString(" data-live-quiet" if name in _QUIET else "")
            start = format_html('<td class="{}" data-label="{}"{}', classes, column_word(name), quiet)
            self._drawn["frame", name] = start
        return self._drawn["frame", name]

    def _axis(self, node: Node, name: str) -> SafeString:
        axis = axis_of(node, name)
        key = (name, axis.level, axis.word, axis.short, axis.sentence)
        if key not in self._drawn:
            why = format_html('<span class="n-why">{}</span>', axis.short) if axis.short else ""
            self._drawn[key] = format_html(
                '<td class="ui-axis"><span class="n-axis" title="{}">{}{}</span></td>',
                axis.sentence,
                state_badge(axis.level, axis.word),
                why,
            )
        return self._drawn[key]

    def _pool(self, name: str) -> SafeString:
        key = ("pool", name)
        if key not in self._drawn:
            url = changed_query(self.query, {"pool": name})
            inner = format_html('<a href="{}">{}</a>', url, name) if name else MISSING
            self._drawn[key] = format_html('<td data-label="{}" class="n-pool">{}</td>', _("Pool"), inner)
        return self._drawn[key]

    def _linked(self, name: str, value: str) -> SafeString:
        """A value that leads to the nodes that share it."""
        key = (name, value)
        if key not in self._drawn:
            url = changed_query(self.query, {_LINKED[name]: value})
            self._drawn[key] = format_html('{}><a href="{}">{}</a></td>', self._frame(name), url, value)
        return self._drawn[key]


def address_of(node: Node) -> str:
    """With the port, unless it is SSH's own."""
    return node.address if node.port == SSH_PORT else f"{node.address}:{node.port}"


def _address(node: Node) -> SafeString:
    return format_html("<code>{}</code>", address_of(node))


def _version(node: Node) -> SafeString:
    os = node.os_name or node.os_family
    if not node.booted_version:
        return format_html("{}", os) if os else MISSING
    why = format_html('<span class="n-why">{}</span>', os) if node.os_family != "fcos" else ""
    return format_html("<code>{}</code>{}", node.booted_version, why)


def _last_seen(node: Node) -> SafeString:
    if node.poll_requested_at:
        return format_html('<span class="ui-muted">{}</span>', _("polling"))
    if node.last_seen_at:
        return reltime(node.last_seen_at)
    return format_html('<span class="ui-nothing">{}</span>', _("never"))


def _lifecycle(node: Node) -> SafeString:
    return format_html("{}", word_of("lifecycle", node.lifecycle))


def _ignition_state(node: Node) -> SafeString:
    words = state_words(node.ignition_state)
    return state_badge(words["level"], words["word"], words["sentence"])


_DRAWN: Mapping[str, Callable[[Node], SafeString]] = {
    "address": _address,
    "version": _version,
    "last_seen": _last_seen,
    "lifecycle": _lifecycle,
    "ignition_state": _ignition_state,
}


def _title(name: str, node: Node, value: Any) -> SafeString:
    if name == "address":
        text = address_of(node)
    elif name == "version":
        text = " · ".join(part for part in (node.os_name or node.os_family, node.os_stream) if part)
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        return SafeString("")
    return format_html(' title="{}"', text)


def _inner(value: Any) -> SafeString:
    """Any value as a cell shows it."""
    if value in (None, "", [], {}):
        return MISSING
    if isinstance(value, datetime):
        return reltime(value)
    if isinstance(value, dict):
        value = [f"{key}:{one}" for key, one in sorted(value.items())]
    if isinstance(value, list):
        more = len(value) - _VALUES_SHOWN
        shown = ", ".join(_word(one) for one in value[:_VALUES_SHOWN])
        rest = format_html(' <span class="ui-muted">+{}</span>', more) if more > 0 else ""
        return format_html("<span>{}</span>{}", shown, rest)
    return format_html("{}", _word(value))


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)
