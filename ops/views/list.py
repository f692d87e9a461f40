"""The list of operations: filters in the address, newest first, by keyset, live."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core.filter_choices import chips, turned
from fleetui.core.filters import split_values
from fleetui.core.templatetags.ui import changed_query
from nodes.models import Pool
from nodes.views.paging import Order, page_of
from nodes.views.subject import principal_of
from ops import actions, wording
from ops.filters import OperationFilter
from ops.models import Operation, Stop
from ops.states import State
from ops.views.tabs import operation_tabs
from ops.views.words import LEVELS, shown

PAGE_SIZE = 50
MOST_POOLS = 50
CHIPS = (
    "active",
    "state",
    "kind",
    "pool",
    "cluster",
    "node",
    "requester",
    "request",
    "created_after",
    "created_before",
)


@require_safe
@needs("operations.read")
def operation_list(request: HttpRequest) -> HttpResponse:
    """The page; a live refresh gets the table only."""
    principal = principal_of(request)
    found = OperationFilter(request.GET, queryset=Operation.objects.visible_to(principal).select_related("request"))
    page = page_of(found.qs, Order("created_at", "pk", is_descending=True), PAGE_SIZE, request.GET)
    context: dict[str, Any] = {
        "rows": [shown(one) for one in page.rows],
        "newer_url": changed_query(request.GET, {"before": page.before}) if page.before else "",
        "older_url": changed_query(request.GET, {"after": page.after}) if page.after else "",
        "is_filtered": any(request.GET.get(name) for name in (*CHIPS, "q")),
        "list_url": request.get_full_path(),
    }
    template = "ops/partials/operation_table.html"
    if not request.htmx:  # type: ignore[attr-defined]
        template = "ops/operations.html"
        context.update(_frame(principal, request.GET, found), tabs=operation_tabs(request))
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _frame(principal: Principal, query: QueryDict, found: OperationFilter) -> dict[str, Any]:
    """What stands round the table and is not refreshed with it."""
    return {
        "chips": chips(query, CHIPS, field_word, _value_word),
        "hidden": [(name, value) for name in CHIPS for value in query.getlist(name) if value],
        "fields": _fields(principal, query),
        "q": query.get("q", ""),
        "problems": found.problems(),
        "stop": Stop.objects.filter(stopped_at__isnull=False).first(),
        "may_stop": principal.may_somewhere("operations.request"),
        "may_lift": principal.may("operations.request"),
    }


def field_word(name: str) -> str:
    words = {
        "active": _("Active"),
        "state": _("State"),
        "kind": _("Kind"),
        "pool": _("Pool"),
        "cluster": _("Cluster"),
        "node": _("Node"),
        "requester": _("Requester"),
        "request": _("Request"),
        "created_after": _("Since"),
        "created_before": _("Until"),
    }
    return words[name]


def _value_word(name: str, value: str) -> str:
    if name == "state":
        return wording.state_word(value)
    if name == "kind":
        return wording.kind_word(value)
    if name == "active":
        return _("yes") if value.lower() in ("true", "1", "yes", "on") else _("no")
    return value[:12] if name == "request" else value


def _fields(principal: Principal, query: QueryDict) -> list[dict[str, Any]]:
    """Choices without counts: counting a million finished operations would cost more than the page."""
    pools = Pool.objects.visible_to(principal).order_by("name").values_list("name", flat=True)[:MOST_POOLS]
    values: dict[str, list[str]] = {
        "active": ["true", "false"],
        "state": [state.value for state in State],
        "kind": list(actions.kinds()),
        "pool": list(pools),
    }
    return [
        {
            "label": field_word(name),
            "options": [
                {
                    "label": _value_word(name, value),
                    "level": LEVELS[value] if name == "state" else "",
                    "count": None,
                    "active": value in split_values(query.getlist(name)),
                    "url": _toggled(query, name, value),
                }
                for value in choices
            ],
        }
        for name, choices in values.items()
        if choices
    ]


def _toggled(query: QueryDict, name: str, value: str) -> str:
    if name == "active":
        return changed_query(query, {name: None if query.get(name) == value else [value]})
    return turned(query, name, value)
