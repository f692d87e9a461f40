"""What the filter bar of the nodes list offers, and the chips of the filters that are set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleetui.access.principals import Principal
from fleetui.core.templatetags.ui import changed_query
from fleetui.core.templatetags.ui_words import level_of, word_of
from nodes.axes import Health, Lifecycle, Reachability, UpdateState
from nodes.filters import NodeFilter
from nodes.models import Tally
from nodes.releases.versions import version_key
from nodes.views.group_words import phrase
from nodes.wording.ignition import IGNITION_STATE_WORDS

_STATES = {"reachability": Reachability, "health": Health, "update_state": UpdateState, "lifecycle": Lifecycle}
_PLACES = ("pool", "cluster", "os", "stream", "version")
MOST_OPTIONS = 40


_WORDS = {
    "q": gettext_lazy("Text"),
    "pool": gettext_lazy("Pool"),
    "has_pool": gettext_lazy("In a pool"),
    "cluster": gettext_lazy("Cluster"),
    "os": gettext_lazy("OS"),
    "stream": gettext_lazy("Stream"),
    "version": gettext_lazy("Version"),
    "arch": gettext_lazy("Architecture"),
    "reachability": gettext_lazy("Reachability"),
    "health": gettext_lazy("Health"),
    "update_state": gettext_lazy("Update state"),
    "lifecycle": gettext_lazy("Lifecycle"),
    "reason": gettext_lazy("Reason"),
    "label": gettext_lazy("Label"),
    "credential": gettext_lazy("Credential"),
    "jump_host": gettext_lazy("Jump host"),
    "ignition": gettext_lazy("Applied Ignition"),
    "intended_ignition": gettext_lazy("Intended Ignition"),
    "ignition_state": gettext_lazy("Ignition state"),
    "needs_attention": gettext_lazy("Needs attention"),
    "host_key_waits": gettext_lazy("Host key waits"),
    "has_unread": gettext_lazy("Has unread parts"),
    "unsupported": gettext_lazy("Unsupported"),
    "facts_older_than": gettext_lazy("Facts older than"),
    "unseen_for": gettext_lazy("Not seen for"),
    "booted_before": gettext_lazy("Booted before"),
    "booted_after": gettext_lazy("Booted after"),
    "nic_driver": gettext_lazy("Network driver"),
    "mac": gettext_lazy("MAC address"),
    "ip": gettext_lazy("IP address"),
    "model": gettext_lazy("Hardware model"),
    "package": gettext_lazy("Layered package"),
    "kernel_argument": gettext_lazy("Kernel argument"),
    "failed_unit": gettext_lazy("Failed unit"),
    "cpus_min": gettext_lazy("CPUs at least"),
    "memory_min": gettext_lazy("Memory at least"),
    "kernel_older": gettext_lazy("Kernel older than"),
    "kernel_newer": gettext_lazy("Kernel newer than"),
    "fact": gettext_lazy("Fact"),
    "columns": gettext_lazy("Columns"),
}


def field_word(name: str) -> str:
    return str(_WORDS.get(name, name))


def value_word(name: str, value: str) -> str:
    if name in _STATES:
        return word_of(name, value)
    if name == "reason":
        return phrase(value)
    if name == "ignition_state":
        return str(IGNITION_STATE_WORDS.get(value, value))
    if name == "version" and value == "unknown":
        return _("not known")
    if value in ("true", "false"):
        return _("yes") if value == "true" else _("no")
    return value


def lifecycles(principal: Principal) -> Counter[str]:
    """Nodes by lifecycle, from the tally."""
    return Counter(dict(Tally.objects.visible_to(principal).filter(kind="lifecycle").sums("value")))


class Facets:
    """Counts of every value that a filter can have. Two queries over the tally, whatever the fleet."""

    def __init__(self, principal: Principal) -> None:
        tally = Tally.objects.visible_to(principal)
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in (*_STATES, *_PLACES, "reason")}
        for kind, value, count in tally.sums("kind", "value"):
            if value:
                self.counts[kind][value] = count
        counted = tally.filter(kind="lifecycle").exclude(value=Lifecycle.RETIRED.value)
        for pool, cluster, count in counted.sums("pool__name", "pool__cluster__name"):
            for name, value in (("pool", pool), ("cluster", cluster)):
                if value:
                    self.counts[name][value] += count

    def fields(self, query: QueryDict) -> list[dict[str, Any]]:
        """Fields with options {label, url, count, level, active} for the filter bar; a choice turns on and off."""
        return [
            {"label": field_word(name), "options": options}
            for name in (
                "reachability",
                "health",
                "update_state",
                "reason",
                "pool",
                "cluster",
                "version",
                "stream",
                "os",
                "lifecycle",
            )
            if (options := self._options(name, query))
        ]

    def _options(self, name: str, query: QueryDict) -> list[dict[str, Any]]:
        chosen = set(values_of(query, name))
        values = [member.value for member in _STATES[name]] if name in _STATES else self._by_kind(name)
        return [
            {
                "label": value_word(name, value),
                "count": self.counts[name][value],
                "level": level_of(name, value) if name in _STATES and name != "lifecycle" else "",
                "active": value in chosen,
                "url": changed_query(query, {name: sorted(chosen ^ {value}) or None}),
            }
            for value in values[:MOST_OPTIONS]
        ]

    def _by_kind(self, name: str) -> list[str]:
        counts = self.counts[name]
        if name == "version":
            return sorted(counts, key=version_key, reverse=True)
        if name == "reason":
            return [value for value, _count in counts.most_common()]
        return sorted(counts)


def values_of(query: QueryDict, name: str) -> list[str]:
    """The values of one filter, written by repetition or, where it takes them, by commas."""
    parts = query.getlist(name)
    if not NodeFilter.base_filters[name].commas:
        return [part for part in parts if part]
    return [value for part in parts for value in (piece.strip() for piece in part.split(",")) if value]


def chips(query: QueryDict, names: Iterable[str]) -> list[dict[str, str]]:
    """One chip per value that is set, with the address without it."""
    found = []
    for name in names:
        if name == "q":
            continue
        values = values_of(query, name)
        for value in values:
            kept = [other for other in values if other != value]
            found.append(
                {
                    "field": field_word(name),
                    "label": value_word(name, value),
                    "remove_url": changed_query(query, {name: kept or None}),
                }
            )
    return found


def hidden(query: QueryDict, names: Iterable[str]) -> list[tuple[str, str]]:
    """What the search form keeps: every filter but the text, the order and the page size."""
    return [
        (name, value)
        for name in (*names, "sort", "per_page", "columns", "view")
        if name != "q"
        for value in query.getlist(name)
        if value
    ]
