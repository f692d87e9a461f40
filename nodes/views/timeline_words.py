"""Timeline events as entries of the timeline part: text, level of the mark, and who did it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from nodes.models import TimelineEvent
from nodes.wording import timeline_sentence
from nodes.wording.drift import STATE_LEVELS

LEVELS = {
    "became_unreachable": "bad",
    "host_key_mismatch": "bad",
    "rolled_back": "bad",
    "units_failed": "warn",
    "facts_not_understood": "warn",
    "host_key_refused": "warn",
    "host_key_offered": "info",
    "staged": "info",
    "upgraded": "ok",
    "retired_absent": "warn",
    "node_enrolled": "ok",
    "node_enrolled_again": "ok",
    "address_changed": "info",
    "became_reachable": "ok",
    "units_recovered": "ok",
    "host_key_accepted": "ok",
}
_ENDED = {"succeeded": "ok", "failed": "bad", "timed_out": "bad", "needs_attention": "warn"}
#: What the differences between two facts are called in sentences.
_ALIASES = {"from": "before", "to": "after", "fields": "sections"}


def sentence(kind: str, params: Mapping[str, Any]) -> str:
    """What happened, without the name of the node and of who did it."""
    known = {name: params[old] for name, old in _ALIASES.items() if old in params} | dict(params)
    if kind == "host_key_refused":
        return _("Host key refused: %(fingerprint)s") % {"fingerprint": params.get("fingerprint", "")}
    return timeline_sentence(kind, known)


def entry(event: TimelineEvent, *, node: str = "") -> dict[str, Any]:
    """{text, level, at, actor, detail, url, node} as templates/partials/timeline.html takes it."""
    reason = event.params.get("reason") if event.actor else ""
    found: dict[str, Any] = {
        "text": sentence(event.kind, event.params),
        "level": _level(event),
        "at": event.at,
        "actor": event.actor.partition(":")[2] or event.actor,
        "detail": reason if isinstance(reason, str) and event.kind.startswith(("host_key", "nodes_merged")) else "",
    }
    if node:
        found["node"] = node
        found["node_url"] = reverse("nodes:detail", args=[node])
    return found


def _level(event: TimelineEvent) -> str:
    if event.kind == "ignition_state_changed":
        return STATE_LEVELS.get(str(event.params.get("after")), "none")
    if event.kind == "operation_ended":
        return _ENDED.get(str(event.params.get("state")), "none")
    return LEVELS.get(event.kind, "none")
