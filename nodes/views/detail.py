"""The node page: what it runs and boots next, why it is not updating, and a tab for each kind of fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from nodes.axes.reachability import PROVISIONING
from nodes.models import Facts, HostKey, Measurement, Node
from nodes.releases.support import end_of
from nodes.services.provisioning.offer import NEEDED
from nodes.services.support import rules
from nodes.views import tabs
from nodes.views.axis_words import axes_of
from nodes.views.extras import extras_for
from nodes.views.group_words import phrase
from nodes.views.subject import principal_of, visible_node
from nodes.views.support import support_words
from nodes.views.why import why_not_updating
from nodes.wording import axis_name, axis_sentences, error_mend, error_sentence
from nodes.wording.drift import state_words


@dataclass(frozen=True)
class Known:
    """What the page draws from, read once."""

    node: Node
    facts: Facts | None
    measurement: Measurement | None
    keys: list[HostKey]
    now: datetime

    @property
    def document(self) -> dict[str, Any]:
        return self.facts.document if self.facts else {}

    def key(self, state: str) -> HostKey | None:
        return next((key for key in self.keys if key.state == state), None)


@require_safe
@needs("nodes.read")
def node_detail(request: HttpRequest, name: str) -> HttpResponse:
    """The page; a live refresh gets its body, its title line and its buttons."""
    node = visible_node(request, name)
    known = _known(node)
    tab = request.GET.get("tab", "")
    tab = tab if tab in tabs.NAMES else tabs.NAMES[0]
    context = {
        **page_context(request, known, tab),
        "tab_template": f"nodes/tabs/{tab}.html",
        **tabs.context(tab, known, request.GET),
    }
    template = "nodes/partials/node_live.html" if request.htmx else "nodes/detail.html"  # type: ignore[attr-defined]
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _known(node: Node) -> Known:
    measurement = Measurement.objects.filter(node=node).first()
    keys = list(HostKey.objects.filter(node=node).order_by("-seen_at")[:50])
    return Known(node, node.current_facts, measurement, keys, clock.now())


def page_context(request: HttpRequest, known: Known, tab: str) -> dict[str, Any]:
    node = known.node
    return {
        "node": node,
        "axes": [{"axis": axis, "title": axis_name(axis.name)} for axis in axes_of(node)],
        "is_due": node.poll_due_at <= known.now,
        "facts": known.document,
        "facts_read_at": known.facts.read_at if known.facts else None,
        "measurement": known.measurement,
        "deployments": known.document.get("deployments") or [],
        "why": why_not_updating(node, known.document, principal_of(request)),
        "panel": contact_panel(known),
        "ignition_state": state_words(node.ignition_state),
        "drift_url": reverse("nodes:node_ignition", args=[node.name]) + "#drift",
        "is_polling": bool(node.poll_requested_at),
        "is_old": is_old(known),
        "tabs": tabs.bar(known, tab, reverse("nodes:detail", args=[node.name])),
        "tab": tab,
        **support_words(end_of(rules(), node.os_family, node.os_stream, node.booted_version), known.now),
        **_rights(principal_of(request), node),
        **extras_for(principal_of(request), node),
    }


def _rights(principal: Principal, node: Node) -> dict[str, Any]:
    return {
        "may_write": principal.may("nodes.write", node),
        "may_provision": all(principal.may(permission, node) for permission in NEEDED),
        "may_see_reach": principal.may("credentials.read", node),
        "may_see_ignition": principal.may("ignition.read", node),
        "may_poll": principal.may("nodes.poll", node) and node.lifecycle != "retired",
        "may_decide_key": principal.may("nodes.accept_key", node),
    }


def is_old(known: Known) -> bool:
    """Whether what is shown was read before contact was lost."""
    node = known.node
    return node.reachability != "reachable" and node.facts_at is not None


def contact_panel(known: Known) -> dict[str, Any] | None:
    """What stands above everything else while the node cannot be reached; None when it can."""
    node = known.node
    kind, params = node.last_error_kind, node.last_error_params
    if node.lifecycle == "retired":
        return None
    if node.reachability == "key_mismatch":
        return _mismatch_panel(known)
    if node.reachability == "never_seen":
        return _first_contact_panel(known)
    if node.reachability != "unreachable":
        return None
    return {
        "kind": "unreachable",
        "level": "bad",
        "title": _("Unreachable: %(why)s") % {"why": phrase(kind)} if kind else _("Unreachable"),
        "since": node.failing_since or node.reachability_since,
        "why": error_sentence(kind, params),
        "what_to_do": error_mend(kind, params),
        "failures": node.failures,
        "next_at": node.poll_due_at,
    }


def _mismatch_panel(known: Known) -> dict[str, Any]:
    params = known.node.reachability_params
    pinned, offered = known.key("pinned"), known.key("offered")
    return {
        "kind": "key_mismatch",
        "level": "bad",
        "title": _("The host shows another key than the trusted one"),
        "since": known.node.reachability_since,
        "expected": pinned.fingerprint if pinned else params.get("expected", ""),
        "seen": offered.fingerprint if offered else params.get("seen", ""),
        "offered": offered,
        "pinned": pinned,
        "what_to_do": error_mend("key_mismatch", params),
    }


def _first_contact_panel(known: Known) -> dict[str, Any]:
    node, offered = known.node, known.key("offered")
    if offered is not None:
        return {
            "kind": "key_offered",
            "level": "warn",
            "title": _("The host key waits to be accepted"),
            "since": offered.seen_at,
            "offered": offered,
            "what_to_do": error_mend("key_unknown", node.last_error_params),
        }
    if node.reachability_reason == PROVISIONING:
        return {
            "kind": "provisioning",
            "level": "info",
            "title": _("Provisioning"),
            "since": node.reachability_since,
            "why": axis_sentences("reachability", node.reachability, PROVISIONING, {})[-1],
            "next_at": node.poll_due_at,
        }
    if not node.failures:
        return {
            "kind": "waiting",
            "level": "warn",
            "title": _("Waiting for first contact"),
            "since": None,
            "next_at": node.poll_due_at,
        }
    kind = node.last_error_kind
    seen = node.last_error_params.get("seen") if kind == "key_unknown" else None
    if any(key.state == "refused" and key.fingerprint == seen for key in known.keys):
        return {
            "kind": "unreachable",
            "level": "bad",
            "title": _("The host shows a key that was refused"),
            "since": node.failing_since,
            "why": _("%(address)s shows %(fingerprint)s, so the node is not signed in to.")
            % {"address": node.address, "fingerprint": seen},
            "what_to_do": _(
                "Find out who answers there. If it is the host after all, accept the key on the tab Host key."
            ),
            "failures": node.failures,
            "next_at": node.poll_due_at,
        }
    return {
        "kind": "unreachable",
        "level": "warn",
        "title": _("First contact fails: %(why)s") % {"why": phrase(kind)},
        "since": node.failing_since,
        "why": error_sentence(kind, node.last_error_params),
        "what_to_do": error_mend(kind, node.last_error_params),
        "failures": node.failures,
        "next_at": node.poll_due_at,
    }
