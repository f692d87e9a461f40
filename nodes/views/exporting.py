"""The nodes list as a file: the same filter, order and columns as the page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.audit.log import record_export
from fleetui.core import clock
from fleetui.core.errors import InvalidInput
from fleetui.core.export import as_file, read_format
from fleetui.core.templatetags.ui import changed_query
from nodes.columns import reading
from nodes.services.exporting import node_rows
from nodes.views.columns import choice_of, columns_wanted, sort_wanted, sorted_by
from nodes.views.list import filtered
from nodes.views.subject import principal_of


@require_safe
@needs("nodes.read")
def export_nodes(request: HttpRequest) -> HttpResponseBase:
    """What cannot be used as a filter leads back to the list, which says so: a file of other rows would lie."""
    principal = principal_of(request)
    found, problems = filtered(principal, request.GET)
    wanted, unknown = columns_wanted(request.GET, choice_of(principal.user_id))
    query = changed_query(request.GET, {"format": None, "per_page": None, "view": None}).lstrip("?")
    try:
        format = read_format(request.GET.get("format"))
    except InvalidInput:
        problems = [*problems, ("format", "", "", "")]
        format = ""
    if problems or unknown:
        return HttpResponseRedirect(f"{reverse('nodes:list')}?{query}")
    placed, order = sorted_by(reading(found, wanted, is_file=True), sort_wanted(request.GET.get("sort", "")))
    names = ["name", *(one.name for one in wanted)]
    if request.method != "HEAD":
        record_export(what="nodes", format=format, query=query, rows=found.count(), columns=names, actor=principal)
    rows = node_rows(placed.order_by(*order.columns(backwards=False)), wanted)
    no_filters = dict.fromkeys(("format", "per_page", "view", "columns", "sort"))
    shown = changed_query(request.GET, no_filters).lstrip("?")
    return as_file(format=format, names=names, rows=rows, title="nodes", query=shown, now=clock.now())
