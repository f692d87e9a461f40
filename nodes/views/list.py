"""The nodes list: filters and order in the address, a page by keyset, and a poll of what is selected."""

from __future__ import annotations

import uuid
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from django.contrib import messages
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core import clock
from fleetui.core.templatetags.ui import changed_query
from nodes.axes import Lifecycle
from nodes.columns import reading
from nodes.filters import NodeFilter
from nodes.models import Node
from nodes.querysets import COUNT_LIMIT, NodeQuerySet
from nodes.services.nodes import request_poll
from nodes.views.cells import heads, is_usual
from nodes.views.columns import choice_of, columns_wanted, rows_of, sort_wanted, sorted_by
from nodes.views.extras import extras_for
from nodes.views.facets import Facets, chips, field_word, hidden, lifecycles
from nodes.views.fact_filter import add_form, unindexed
from nodes.views.links import list_url
from nodes.views.paging import PAGE_SIZES, Page, page_of, page_size
from nodes.views.saved_views import ALL_NODES, all_nodes_url, default_view, menu, view_url
from nodes.views.subject import principal_of

FILTERS = tuple(NodeFilter.base_filters)
#: What an address of the list may hold besides filters.
BESIDES = ("sort", "per_page", "after", "before", "columns", *ALL_NODES)
MOST_SELECTED = 2000
MOST_TOLD = 5
LIVE_EVERY_S = 10
#: A question that reads every document is not asked again every few seconds.
LIVE_EVERY_UNINDEXED_S = 120


def filtered(principal: Principal, query: QueryDict) -> tuple[NodeQuerySet, list[tuple[str, str, str, str]]]:
    """The nodes that filters leave, and what is wrong with filters. Retired nodes are there only when asked for."""
    nodes = Node.objects.visible_to(principal)
    if not query.getlist("lifecycle"):
        nodes = nodes.counted()
    narrowed = NodeFilter(query, queryset=nodes)
    return narrowed.qs, narrowed.problems()


def no_filters(query: QueryDict) -> list[tuple[str, str, str, str]]:
    """Parameters that are mistyped: whoever wrote them meant fewer nodes than are shown."""
    found = []
    for name in sorted(set(query) - {*FILTERS, *BESIDES})[:MOST_TOLD]:
        meant = ", ".join(get_close_matches(name, FILTERS) or [one for one in FILTERS if one in name.split("_")])
        mend = _("Did you mean %(paths)s?") % {"paths": meant} if meant else ""
        found.append((name[:60], str(query.get(name, "")), _("There is no such filter."), mend))
    return found


@require_safe
@needs("nodes.read")
def node_list(request: HttpRequest) -> HttpResponse:
    """The list; a live refresh gets the table only. Without a query it is the view that the user opens it with."""
    principal = request.principal  # type: ignore[attr-defined]
    choice = choice_of(principal.user_id)
    list_url = request.get_full_path()
    if choice is not None and choice.opens_with_id:
        view = default_view(principal, choice) if not request.GET else None
        if view is not None:
            return HttpResponseRedirect(view_url(view))
        request.GET = _never_bare(request.GET)  # type: ignore[assignment]
    found, problems = filtered(principal, request.GET)
    sort = sort_wanted(request.GET.get("sort", ""))
    size = page_size(request.GET.get("per_page", ""))
    total = found.capped_count()
    wanted, unknown = columns_wanted(request.GET, choice)
    placed, order = sorted_by(reading(found, wanted), sort)
    page = page_of(placed, order, size, request.GET)
    context: dict[str, Any] = {
        "rows": rows_of(page.rows, wanted, request.GET),
        "columns": heads(wanted),
        "usual_columns": is_usual(wanted),
        "live_every_s": LIVE_EVERY_S if not unindexed(request.GET) else LIVE_EVERY_UNINDEXED_S,
        "sort": sort,
        "total": total,
        "total_text": f"{COUNT_LIMIT:,}+" if total > COUNT_LIMIT else f"{total:,}",
        "may_poll": principal.may_somewhere("nodes.poll"),
        "may_add": principal.may_somewhere("nodes.write"),
        "may_accept": principal.may_somewhere("nodes.accept_key"),
        "poll_url": reverse("nodes:poll_many"),
        "list_url": list_url,
        "all_url": all_nodes_url(choice),
        **_paging(request.GET, page, size),
    }
    if request.htmx:  # type: ignore[attr-defined]
        template = "nodes/partials/node_table.html"
    else:
        template = "nodes/list.html"
        problems += [("columns", one.name, one.message, one.mend) for one in unknown]
        problems += no_filters(request.GET)
        context.update(_frame(principal, request.GET, problems))
        names = [one.name for one in wanted]
        context["column_names"] = ",".join(names)
        context["list_query"] = changed_query(request.GET, {"columns": None}).lstrip("?")
        file_query = changed_query(request.GET, {"per_page": None, "columns": context["column_names"]})
        context["export_url"] = f"{reverse('nodes:export')}{file_query}"
        context.update(menu(principal, request.GET, names, choice))
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _never_bare(query: QueryDict) -> QueryDict:
    """The query, such that no link that is made of it is the bare address, which opens the view of the user."""
    found = query.copy()
    for name, value in ALL_NODES.items():
        found[name] = value
    return found


def _paging(query: QueryDict, page: Page, size: int) -> dict[str, Any]:
    return {
        "shown": f"{page.first:,}–{page.last:,}" if page.rows else "",
        "next_url": changed_query(query, {"after": page.after}) if page.after else "",
        "previous_url": changed_query(query, {"before": page.before}) if page.before else "",
        "sizes": [
            {"size": one, "active": one == size, "url": changed_query(query, {"per_page": one})} for one in PAGE_SIZES
        ],
    }


def _frame(principal: Principal, query: QueryDict, problems: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    """What stands round the table and is not refreshed with it."""
    counted = lifecycles(principal)
    found_chips = chips(query, FILTERS)
    return {
        "chips": found_chips,
        "hidden": hidden(query, FILTERS),
        "panel_url": f"{reverse('nodes:filter_panel')}{changed_query(query, {})}",
        "q": query.get("q", ""),
        "problems": [(field_word(name), *rest) for name, *rest in problems],
        "unindexed": unindexed(query),
        "is_first_run": counted.total() == 0,
        "retired": _left_out(principal, query, counted[Lifecycle.RETIRED.value]),
        "retired_url": changed_query(query, {"lifecycle": "retired"}),
        "has_filters": bool(found_chips or query.get("q")),
        **extras_for(principal),
    }


def _left_out(principal: Principal, query: QueryDict, retired: int) -> int:
    """How many retired nodes the filters would show too; `retired` of them are there."""
    if not retired or query.getlist("lifecycle"):
        return 0
    asked = {*FILTERS} & {*query}
    if not asked:
        return retired
    nodes = Node.objects.visible_to(principal).filter(lifecycle=Lifecycle.RETIRED)
    return int(NodeFilter(query, queryset=nodes).qs.capped_count())


@require_safe
@needs("nodes.read")
def filter_panel(request: HttpRequest) -> HttpResponse:
    """What the filter bar offers, with counts: read when the bar is first used, since most looks at the list use none."""
    fields = Facets(principal_of(request)).fields(request.GET)
    context = {"fields": fields, "add_filter": add_form(request.GET)}
    return render(request, "nodes/partials/filter_panel.html", context)


def selected(principal: Principal, form: QueryDict, query: QueryDict) -> NodeQuerySet:
    """What a selection stands for: the ids, or with `all=1` everything that the filter leaves but the ids in `without`."""
    if not form.get("all"):
        return Node.objects.visible_to(principal).filter(pk__in=_ids(form, "id"))
    nodes, problems = filtered(principal, query)
    return nodes.none() if problems else nodes.exclude(pk__in=_ids(form, "without"))


def _ids(form: QueryDict, name: str) -> list[uuid.UUID]:
    """Never only some of them: a node that was taken out of a selection would be in it."""
    given, found = form.getlist(name), []
    if len(given) > MOST_SELECTED:
        raise TooManyFieldsSent(f"{len(given)} nodes are named one by one, and {MOST_SELECTED} may be.")
    for text in given:
        with suppress(ValueError):
            found.append(uuid.UUID(text))
    return found


@require_POST
@needs("nodes.poll")
def poll_many(request: HttpRequest) -> HttpResponse:
    """Poll the selected nodes now."""
    principal = request.principal  # type: ignore[attr-defined]
    query = QueryDict(request.POST.get("filter", "").lstrip("?"))
    nodes = selected(principal, request.POST, query)
    count = request_poll(nodes=nodes, actor=principal, now=clock.now())
    if count:
        said = ngettext("%(count)s node is polled now.", "%(count)s nodes are polled now.", count)
        messages.info(request, said % {"count": f"{count:,}"})
    else:
        messages.warning(request, _("No node was polled: none is selected that you may poll."))
    return HttpResponseRedirect(list_url(request.POST.get("filter", "")))
