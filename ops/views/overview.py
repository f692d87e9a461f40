"""The overview: the state of the fleet in one look, every number a link to the nodes that it counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.audit.models import AuditEvent
from fleetui.core import clock
from fleetui.core.templatetags.ui_words import level_of, word_of
from nodes.models import TimelineEvent
from nodes.services import stats
from nodes.services.history import Range, history
from nodes.views.fleet_tabs import fleet_tabs
from nodes.views.group_words import phrase
from nodes.views.links import axis_bars, nodes_url
from nodes.views.over_time import range_links, range_of, versions_chart, versions_of
from nodes.views.support import support_words
from nodes.views.timeline_words import entry
from nodes.wording.drift import state_words
from ops.activity import activity
from ops.models import Operation
from ops.states import STARTED
from ops.views.runbook import overdue_items
from ops.views.words import shown

CHANGES_SHOWN = 10
ACTIVITY_SHOWN = 8
RUNNING_SHOWN = 6
VERSIONS_SHOWN = 12
#: Few nodes are named at once, so that nobody has to click to learn which; many are a list of their own.
NAMES_SHOWN = 3
NAMES_LOOKED_AT = 60


@require_safe
@needs("nodes.read")
def overview(request: HttpRequest) -> HttpResponse:
    """The page; a live refresh gets its content only. The number of queries is the same for every fleet."""
    principal = request.principal  # type: ignore[attr-defined]
    counts = stats.fleet_counts(principal)
    context: dict[str, Any] = {
        "counts": counts,
        "may_add": principal.may_somewhere("nodes.write"),
        "page_url": request.get_full_path(),
    }
    if counts.total or counts.retired:
        attention = stats.attention(principal)
        context.update(
            bars=axis_bars(counts.axes),
            attention=_attention(principal, attention.troubles),
            attention_count=attention.nodes,
            changes=_changes(principal),
            running=_running(principal),
            activity=_activity(principal),
            tabs=fleet_tabs(request),
            ranges=range_links(request.GET),
            **_versions(principal, range_of(request.GET), clock.now()),
        )
    template = "ops/partials/overview_body.html" if request.htmx else "ops/overview.html"  # type: ignore[attr-defined]
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _attention(principal: Principal, troubles: Iterable[stats.Trouble]) -> list[dict[str, Any]]:
    items = []
    named = stats.trouble_names(principal, at_most=NAMES_LOOKED_AT)
    for one in troubles:
        text = phrase(one.reason, one.details) if one.reason else word_of(one.axis, one.value)
        url = nodes_url(lifecycle="active", **{one.axis: one.value}, reason=one.reason)
        # A node that was never reached looks calm in a list; here it is work that somebody began and did not end.
        level = "warn" if one.value == "never_seen" else level_of(one.axis, one.value)
        names = named.get((one.axis, one.value, one.reason), [])
        few = names if len(names) == one.count <= NAMES_SHOWN else []
        items.append(
            {"level": level, "count": one.count, "text": _capital(text), "names": few, "since": one.since, "url": url}
        )
    return items + _ignition(principal) + overdue_items(principal)


def _ignition(principal: Principal) -> list[dict[str, Any]]:
    """Nodes that are not as they were born."""
    return [
        {
            "level": words["level"],
            "count": count,
            "text": _("Ignition: %(state)s") % {"state": words["word"]},
            "names": [],
            "since": since,
            "url": nodes_url(lifecycle="active", ignition_state=state),
        }
        for state, count, since in stats.ignition_troubles(principal)
        if (words := state_words(state))
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _changes(principal: Principal) -> list[dict[str, Any]]:
    shown = TimelineEvent.objects.visible_to(principal).with_names()[:CHANGES_SHOWN]
    return [entry(event, node=event.node_name) for event in shown]


def _running(principal: Principal) -> dict[str, Any]:
    """The operations that have begun and not ended, the longest first; one query, as long as somebody may see any."""
    if not principal.may_somewhere("operations.read"):
        return {}
    begun = Operation.objects.visible_to(principal).open().filter(state__in=sorted(STARTED))
    rows = list(begun.select_related("request").order_by("started_at", "pk")[: RUNNING_SHOWN + 1])
    url = reverse("operations") + "?" + urlencode({"state": ",".join(sorted(STARTED))}, safe=",")
    return {"rows": [shown(row) for row in rows[:RUNNING_SHOWN]], "is_cut": len(rows) > RUNNING_SHOWN, "url": url}


def _activity(principal: Principal) -> list[dict[str, Any]] | None:
    """What people did, for those who may read the audit log; None for the others."""
    if not principal.may("audit.read"):
        return None
    return [activity(event) for event in AuditEvent.objects.order_by("-seq")[:ACTIVITY_SHOWN]]


def _versions(principal: Principal, reach: Range, now: datetime) -> dict[str, Any]:
    """Versions by pool and over time, with ages and ends of support that are read once for both."""
    spread = stats.version_spread(principal)
    past = history(principal, kinds=["version"], reach=reach, now=now)
    running = {version for pool in spread for version in pool.counts}
    ages = stats.version_ages(principal, running | versions_of(past))
    url = f"{reverse('nodes:history')}?{urlencode({'range': reach.name})}"
    chart = versions_chart(ages, past, {}, ident="over-time", url=url)
    return {"over_time": chart, **_bars_of_versions(spread, [one for one in ages if one.version in running], now)}


def _bars_of_versions(spread: list[stats.PoolVersions], ages: list[stats.VersionAge], now: datetime) -> dict[str, Any]:
    """Rows and legend for the version bars, newest first; the oldest beyond twelve are drawn as one."""
    known = [one for one in ages if one.version]
    shown = known if len(known) <= VERSIONS_SHOWN else known[: VERSIONS_SHOWN - 1]
    older = [one.version for one in known[len(shown) :]]
    legend = [
        {
            "version": one.version,
            "age_days": _days(one.released_at, now),
            "url": nodes_url(version=one.version),
            **support_words(one.support_ends_on, now),
        }
        for one in shown
    ]
    groups: dict[str, list[str]] = {one.version: [one.version] for one in shown}
    if older:
        word = _("%(n)d older") % {"n": len(older)}
        legend.append({"version": word, "age_days": None, "url": nodes_url(version=",".join(older))})
        groups[word] = older
    if len(known) < len(ages):
        legend.append({"version": "", "age_days": None, "url": nodes_url(version="unknown")})
        groups[""] = [""]
    return {"version_rows": [_pool_row(pool, groups) for pool in spread], "versions": legend}


def _pool_row(pool: stats.PoolVersions, groups: dict[str, list[str]]) -> dict[str, Any]:
    where: dict[str, str] = {"pool": pool.pool} if pool.pool else {"has_pool": "false"}
    return {
        "label": pool.pool or _("No pool"),
        "url": nodes_url(**where),
        "counts": {
            name: {
                "count": _sum(pool.counts, versions),
                "url": nodes_url(**where, version=",".join(versions) or "unknown"),
            }
            for name, versions in groups.items()
        },
    }


def _sum(counts: dict[str, int], versions: Iterable[str]) -> int:
    return sum(counts.get(version, 0) for version in versions)


def _days(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else max((now - moment).days, 0)
