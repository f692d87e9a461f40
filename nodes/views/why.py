""" "Why is it not updating?" or "Up to date since": the answer to the first question that a node is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from fleetui.access.principals import Principal
from nodes.hosts.drivers.zincati import NOT_TOML
from nodes.models import Node
from nodes.views.axis_words import axis_of


def why_not_updating(node: Node, facts: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
    """{title, level, word, sentences, since, next, next_url, notes}: what holds the node where it is, and what ends it."""
    axis = axis_of(node, "update_state")
    is_current = axis.value == "up_to_date"
    return {
        "title": _("Up to date since") if is_current else _("Why is it not updating?"),
        "is_current": is_current,
        "level": axis.level,
        "word": axis.word,
        "sentences": list(axis.sentences),
        "since": axis.since,
        "next": _what_ends_it(node),
        "next_url": _where_it_ends(node, principal),
        "notes": _notes(node, facts),
    }


def _what_ends_it(node: Node) -> str:
    """What has to happen for the node to move on; empty when nothing has to."""
    by_reason = {
        "user_session": _("It goes on when the people who are signed in sign out."),
        "update_strategy": _("It goes on when the update strategy of the host allows the reboot."),
        "finalization_locked": _("It goes on when the staged deployment is unlocked and finalized on the host."),
        "dead_end": _("Replace the machine, or rebase it to a release that updates lead on from."),
        "agent_off": _("It goes on when the update agent runs on the host."),
        "agent_disabled": _("It goes on when updates are enabled in the settings of the agent on the host."),
        "staging_fails": _("Read the journal of the update agent on the host: disk space and the repository first."),
        "no_releases": _("Import the releases of its stream."),
        "status_not_read": _("Look at the tab Raw: it holds what the host printed."),
        "newer_release": _("The update agent of the host stages it when its rollout reaches this node."),
    }
    by_value = {
        "rolled_back": _("Find out why it went back before it is updated again."),
    }
    return by_reason.get(node.update_state_reason) or by_value.get(node.update_state, "")


def _where_it_ends(node: Node, principal: Principal) -> str:
    """The page on which this person can end it; empty when there is none."""
    if node.update_state_reason == "no_releases" and principal.may("releases.write"):
        return reverse("nodes:releases_import")
    return ""


def _notes(node: Node, facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Other things on the node that an update meets: {level, text}."""
    found = []
    if node.reachability != "reachable" and node.facts_at:
        found.append({"level": "warn", "text": _("The node cannot be reached, so this is what was known last.")})
    booted: Mapping[str, Any] = next((one for one in facts.get("deployments") or [] if one.get("booted")), {})
    if booted.get("pinned"):
        found.append({"level": "info", "text": _("The booted deployment is pinned.")})
    if layered := booted.get("layered"):
        said = _("Layered packages are put onto every new version: %(names)s") % {"names": ", ".join(layered[:6])}
        found.append({"level": "info", "text": said})
    if (
        node.health == "degraded"
        and node.health_reason == "disk_full"
        and (node.health_params or {}).get("mount") == "/boot"
    ):
        found.append({"level": "warn", "text": _("/boot is nearly full: a new kernel may not fit.")})
    update = facts.get("update") or {}
    if update.get("transaction"):
        found.append(
            {"level": "info", "text": _("A transaction runs on the host: %(what)s") % {"what": update["transaction"]}}
        )
    if ignored := (facts.get("agent") or {}).get("files_ignored"):
        broken = [one for one in ignored if one.get("reason") == NOT_TOML]
        said = _("The update agent does not read %(path)s.")
        if broken:
            said = _(
                "The update agent does not start with %(path)s, which is not valid TOML: mend it and start the agent."
            )
        path = (broken or ignored)[0].get("path", "")
        found.append({"level": "bad" if broken else "warn", "text": said % {"path": path}})
    return found
