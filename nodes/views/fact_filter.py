"""Adding a filter by hardware, network or any fact: the little form, its completion, and what a question costs."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from fleetui.access.guards import needs
from fleetui.core.templatetags.ui import changed_query
from nodes.facts.paths import INDEXED, known_paths
from nodes.facts.query import NotAQuestion, parse
from nodes.filters import NodeFilter
from nodes.models import FactTerm, Node
from nodes.views.facets import field_word
from nodes.views.subject import principal_of

VALUES_SHOWN = 20
#: Filters that take what a person types, beside those whose values the menu lists.
TYPED = (
    "label", "nic_driver", "mac", "ip", "model", "package", "kernel_argument", "failed_unit", "cpus_min", "memory_min",
    "kernel_older", "kernel_newer", "credential", "arch", "unseen_for", "facts_older_than", "booted_before", "booted_after",
)  # fmt: skip
#: The path whose values complete a filter.
_PATHS = {
    "nic_driver": "network.interfaces.driver",
    "mac": "network.interfaces.mac",
    "ip": "network.interfaces.addresses.address",
    "model": "hardware.model",
    "package": "deployments.layered",
    "kernel_argument": "boot.arguments",
    "failed_unit": "health.failed_units.name",
    "kernel_older": "boot.kernel",
    "kernel_newer": "boot.kernel",
}


def operators() -> list[tuple[str, str]]:
    """Operators of the form with what they are called."""
    return [
        ("=", _("is")),
        ("!=", _("is not")),
        ("~", _("contains")),
        ("<", _("is less than")),
        ("<=", _("is at most")),
        (">", _("is more than")),
        (">=", _("is at least")),
        ("exists", _("is there")),
        ("absent", _("is not there")),
    ]


def add_form(query: QueryDict) -> dict[str, Any]:
    """What the form offers. No query, and the same for every fleet."""
    return {
        "url": reverse("nodes:add_filter"),
        "values_url": reverse("nodes:fact_values"),
        "query": changed_query(query, {}),
        "fields": [(name, field_word(name)) for name in TYPED],
        "paths": [(path, path in INDEXED) for path in known_paths()],
        "operators": operators(),
    }


def unindexed(query: QueryDict) -> list[str]:
    """The questions of the address that read the document of every node."""
    found = []
    for text in query.getlist("fact"):
        try:
            question = parse(text)
        except NotAQuestion:
            continue
        if not question.is_indexed:
            found.append(question.text)
    return found


@require_safe
@needs("nodes.read")
def add_filter(request: HttpRequest) -> HttpResponse:
    """The list with one filter more. What cannot be used is told there, at the filter."""
    query = QueryDict(request.GET.get("query", "").lstrip("?"), mutable=True)
    name, operator = request.GET.get("field", "").strip(), request.GET.get("operator", "=")
    value = request.GET.get("value", "").strip()
    if name in NodeFilter.base_filters and name != "fact":
        if value and value not in query.getlist(name):
            repeated = NodeFilter.base_filters[name].commas or name in ("label", "model", "kernel_argument")
            query.setlist(name, [*query.getlist(name), value] if repeated else [value])
    elif name:
        words = dict(operators())
        operator = operator if operator in words else "="
        question = f"{name} {operator}" if operator in ("exists", "absent") else f"{name}{operator}{value}"
        if question not in query.getlist("fact"):
            query.appendlist("fact", question)
    return HttpResponseRedirect(f"{reverse('nodes:list')}{changed_query(query, {})}")


@require_safe
@needs("nodes.read")
def fact_values(request: HttpRequest) -> HttpResponse:
    """Values that visible nodes have at an indexed path or filter and that begin as typed, the most frequent first."""
    name, start = request.GET.get("field", ""), request.GET.get("q", "").replace("\0", "")[:100]
    path = _PATHS.get(name, name)
    if path not in INDEXED:
        return JsonResponse({"results": []})
    terms = FactTerm.objects.filter(path=path)
    principal = principal_of(request)
    if not principal.where("nodes.read").everywhere:
        terms = terms.filter(node__in=Node.objects.visible_to(principal).values("pk"))
    if start:
        terms = terms.filter(value__startswith=start)
    rows = terms.order_by().values_list("value").annotate(count=Count("pk")).order_by("-count", "value")[:VALUES_SHOWN]
    return JsonResponse({"results": [{"value": value, "count": count} for value, count in rows]})
