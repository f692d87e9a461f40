"""The three axes of a node as pages show them: level, word, sentence, short reason, and the time since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleetui.core.templatetags.ui_words import level_of, word_of
from nodes.models import Node
from nodes.views.group_words import phrase
from nodes.wording import axis_sentences

AXES = ("reachability", "health", "update_state")
#: Levels whose reason is written out, not only shown on hover.
_SPOKEN = ("bad", "warn", "info")


@dataclass(frozen=True)
class Axis:
    """One axis. `sentences` say why in full, worst first; `short` in a few words (empty when all is well)."""

    name: str
    value: str
    level: str
    word: str
    sentences: tuple[str, ...]
    short: str
    since: datetime

    @property
    def sentence(self) -> str:
        return " ".join(self.sentences)


def axes_of(node: Node) -> list[Axis]:
    return [axis_of(node, name) for name in AXES]


def axis_of(node: Node, name: str) -> Axis:
    value, reason = getattr(node, name), getattr(node, f"{name}_reason")
    params: Mapping[str, Any] = getattr(node, f"{name}_params") or {}
    level = level_of(name, value)
    short = short_reason(reason, params) if level in _SPOKEN or value == "never_seen" else ""
    sentences = tuple(axis_sentences(name, value, reason, params))
    return Axis(name, value, level, word_of(name, value), sentences, short, getattr(node, f"{name}_since"))


def short_reason(reason: str, params: Mapping[str, Any]) -> str:
    """The reason with the one detail that tells nodes apart: "/boot 97 % full", "chronyd.service failed"."""
    if not reason:
        version = params.get("version")
        return str(version) if isinstance(version, str) else ""
    also = params.get("also")
    said, more = _detailed(reason, params)
    more += len(also) if isinstance(also, list) else 0
    return f"{said} +{more}" if more > 0 else said


def _detailed(reason: str, params: Mapping[str, Any]) -> tuple[str, int]:
    """The words, and how many more of the same there are."""
    percent = params.get("used_percent")
    if reason in ("disk_full", "inodes_full") and isinstance(percent, int | float):
        worded = (
            _("%(mount)s %(percent)d %% full")
            if reason == "disk_full"
            else _("%(mount)s: %(percent)d %% of inodes used")
        )
        return worded % {"mount": params.get("mount", ""), "percent": percent}, 0
    units = params.get("units")
    if reason == "units_failed" and isinstance(units, list) and units:
        return _("%(name)s failed") % {"name": units[0]}, _more(units, params)
    names = params.get("containers")
    if reason == "containers_restarting" and isinstance(names, list) and names:
        return _("%(name)s restarts") % {"name": names[0]}, _more(names, params)
    behind = params.get("releases")
    if reason == "newer_release" and isinstance(behind, int):
        return ngettext("%(n)d behind", "%(n)d behind", behind) % {"n": behind}, 0
    return phrase(reason), 0


def _more(names: list[Any], params: Mapping[str, Any]) -> int:
    count = params.get("count")
    return (count if isinstance(count, int) else len(names)) - 1
