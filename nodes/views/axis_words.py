"""The three axes of a node as pages show them: level, word, sentence, short reason, and the time since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

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
    short = short_reason(reason, params) if level in _SPOKEN or value in ("never_seen", "unknown") else ""
    sentences = tuple(axis_sentences(name, value, reason, params))
    return Axis(name, value, level, word_of(name, value), sentences, short, getattr(node, f"{name}_since"))


def short_reason(reason: str, params: Mapping[str, Any]) -> str:
    """The reason with the one detail that tells nodes apart: "/boot 97 % full", "chronyd.service failed"."""
    if not reason:
        version = params.get("version")
        return str(version) if isinstance(version, str) else ""
    also = params.get("also")
    more = len(also) if isinstance(also, list) else 0
    said = _detailed(reason, params)
    return _("%(reason)s, and %(n)d more") % {"reason": said, "n": more} if more else said


def _detailed(reason: str, params: Mapping[str, Any]) -> str:
    percent = params.get("used_percent")
    if reason in ("disk_full", "inodes_full") and isinstance(percent, int | float):
        worded = _("%(mount)s %(percent)d %% full") if reason == "disk_full" else _("%(mount)s: %(percent)d %% of inodes used")
        return worded % {"mount": params.get("mount", ""), "percent": percent}
    units = params.get("units")
    if reason == "units_failed" and isinstance(units, list) and units:
        return _first_of(units, params.get("count"), _("%(name)s failed"), _("%(name)s and %(n)d more failed"))
    names = params.get("containers")
    if reason == "containers_restarting" and isinstance(names, list) and names:
        return _first_of(names, params.get("count"), _("%(name)s restarts"), _("%(name)s and %(n)d more restart"))
    if reason == "newer_release" and isinstance(params.get("version"), str):
        return _("%(version)s exists") % {"version": params["version"]}
    return phrase(reason)


def _first_of(names: list[Any], count: object, one: str, many: str) -> str:
    more = (count if isinstance(count, int) else len(names)) - 1
    return (many if more > 0 else one) % {"name": str(names[0]), "n": more}
