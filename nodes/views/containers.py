"""The containers of the fleet: which images run where, at which digest. Filters in the address, pages by keyset."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core.filter_choices import chips, turned
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query
from nodes.facts.containers import ABSENT
from nodes.filters import ContainerFilter
from nodes.models import ContainerOnNode, Pool
from nodes.views.paging import Order, page_of
from nodes.views.subject import principal_of

PAGE_SIZE = 50
MOST_POOLS = 50
CHIPS = ("repository", "tag", "digest", "state", "health", "managed_by", "unit", "runtime", "node", "pool")
STATES = ("running", "exited", "created", "paused", "restarting", ABSENT)
_LEVELS = {"running": "ok", "healthy": "ok", "unhealthy": "bad", "restarting": "warn", "dead": "warn", ABSENT: "warn"}


@require_safe
@needs("nodes.read")
def image_list(request: HttpRequest) -> HttpResponse:
    """Images with their digests, and on how many nodes each runs."""
    found = ContainerFilter(request.GET, queryset=ContainerOnNode.objects.visible_to(principal_of(request)))
    place = (request.GET.get("after_image"), request.GET.get("after_tag", ""), request.GET.get("after_digest", ""))
    after = tuple(part.replace("\0", "")[:500] for part in place if part is not None) if place[0] else None
    rows = list(found.qs.by_image(after)[: PAGE_SIZE + 1])
    context = {
        "rows": [_image(row, request.GET) for row in rows[:PAGE_SIZE]],
        "older_url": _after(request.GET, rows[PAGE_SIZE - 1]) if len(rows) > PAGE_SIZE else "",
        "newer_url": _first(request.GET) if after else "",
        **_frame(request, found),
    }
    return render(request, "nodes/images.html", context)


def _image(row: dict[str, Any], query: QueryDict) -> dict[str, Any]:
    """`list_url` leads to the containers that the row counts, under the same filters."""
    kept = [(name, value) for name in CHIPS for value in query.getlist(name) if value and name not in _OWN]
    own = [(name, row[name]) for name in _OWN if row[name]]
    return {**row, "list_url": f"{reverse('nodes:containers')}?{urlencode([*own, *kept])}"}


_OWN = ("repository", "tag", "digest")


def _after(query: QueryDict, row: dict[str, Any]) -> str:
    place = {"after_image": row["repository"], "after_tag": row["tag"], "after_digest": row["digest"]}
    return changed_query(query, place)


def _first(query: QueryDict) -> str:
    return changed_query(query, {"after_image": None, "after_tag": None, "after_digest": None})


@require_safe
@needs("nodes.read")
def container_list(request: HttpRequest) -> HttpResponse:
    """Containers, by name."""
    visible = ContainerOnNode.objects.visible_to(principal_of(request)).with_names()
    found = ContainerFilter(request.GET, queryset=visible)
    page = page_of(found.qs, Order("name", "pk"), PAGE_SIZE, request.GET)
    context = {
        "rows": [{"row": row, **words_of(row.state, row.health, row.managed_by)} for row in page.rows],
        "newer_url": changed_query(request.GET, {"before": page.before}) if page.before else "",
        "older_url": changed_query(request.GET, {"after": page.after}) if page.after else "",
        **_frame(request, found),
    }
    return render(request, "nodes/containers.html", context)


def words_of(state: str, health: str, managed_by: str) -> dict[str, Any]:
    """How a container is shown: words and levels of its state and health, and by whom it is run."""
    return {
        "state_word": state_word(state),
        "state_level": _LEVELS.get(state, "none"),
        "health_word": health_word(health) if health else "",
        "health_level": _LEVELS.get(health, "none"),
        "manager": manager_word(managed_by),
    }


def state_word(state: str) -> str:
    """Podman's own words, but for what FleetUI itself says."""
    return _("not there") if state == ABSENT else state


def health_word(health: str) -> str:
    words = {"healthy": _("healthy"), "unhealthy": _("unhealthy"), "starting": _("starting")}
    return words.get(health, health)


def manager_word(managed_by: str) -> str:
    words = {"quadlet": _("Quadlet"), "unit": _("Unit"), "cluster": _("Cluster"), "hand": _("By hand")}
    return words.get(managed_by, managed_by)


def _frame(request: HttpRequest, found: ContainerFilter) -> dict[str, Any]:
    query, principal = request.GET, principal_of(request)
    is_filtered = any(query.get(name) for name in (*CHIPS, "q"))
    kept = urlencode([(name, value) for name in (*CHIPS, "q") for value in query.getlist(name) if value])
    tabs = [(reverse("nodes:images"), _("Images")), (reverse("nodes:containers"), _("Containers"))]
    return {
        "tabs": [
            {"url": f"{url}?{kept}" if kept else url, "label": label, "active": request.path == url}
            for url, label in tabs
        ],
        "chips": chips(query, CHIPS, field_word, value_word),
        "hidden": [(name, value) for name in CHIPS for value in query.getlist(name) if value],
        "fields": _fields(principal, query),
        "q": query.get("q", ""),
        "problems": found.problems(),
        "is_filtered": is_filtered,
    }


def field_word(name: str) -> str:
    words = {
        "repository": _("Image"),
        "tag": _("Tag"),
        "digest": _("Digest"),
        "state": _("State"),
        "health": _("Health"),
        "managed_by": _("Run by"),
        "unit": _("Unit"),
        "runtime": _("Runtime"),
        "node": _("Node"),
        "pool": _("Pool"),
    }
    return words[name]


def value_word(name: str, value: str) -> str:
    words = {"state": state_word, "health": health_word, "managed_by": manager_word}
    if name == "digest":
        return value.removeprefix("sha256:")[:12]
    return words[name](value) if name in words else value


def _fields(principal: Principal, query: QueryDict) -> list[dict[str, Any]]:
    """Choices without counts: those of images and tags are on the page itself."""
    pools = Pool.objects.visible_to(principal).order_by("name").values_list("name", flat=True)[:MOST_POOLS]
    values: dict[str, list[str]] = {
        "state": list(STATES),
        "health": ["healthy", "unhealthy", "starting"],
        "managed_by": list(ContainerOnNode.MANAGERS),
        "runtime": ["podman", "podman-user", "docker", "containerd"],
        "pool": list(pools),
    }
    return [
        {
            "label": field_word(name),
            "options": [
                {
                    "label": value_word(name, value),
                    "level": "",
                    "count": None,
                    "active": value in split_values(query.getlist(name)),
                    "url": turned(query, name, value),
                }
                for value in choices
            ],
        }
        for name, choices in values.items()
        if choices
    ]
