"""Two nodes side by side, or one node at two times: what differs first, what is alike folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from fleetui.access.guards import needs
from fleetui.access.principals import Principal
from fleetui.core.errors import FleetError
from fleetui.core.form_errors import sentence
from nodes.facts.compare import Difference, Section, compare
from nodes.services.comparing import Side, history, side
from nodes.views.links import list_url
from nodes.views.list import selected
from nodes.views.subject import principal_of
from nodes.wording import section_word

_TOGETHER = 2


@require_http_methods(["GET", "HEAD", "POST"])
@needs("nodes.read")
def compare_nodes(request: HttpRequest) -> HttpResponse:
    """The address names both sides: `a` and `b`, each perhaps with a time; one node alone is compared with itself.

    A selection is posted, since as an address it would be too long; it leads to the address of its two nodes.
    """
    principal, query = principal_of(request), request.GET
    if request.method == "POST":
        return _from_selection(request, principal, request.POST)
    a, b = query.get("a", "").strip(), query.get("b", "").strip() or query.get("a", "").strip()
    given = {"a": a, "b": b, "a_at": query.get("a_at", ""), "b_at": query.get("b_at", "")}
    context: dict[str, Any] = {}
    errors: dict[str, str] = {}
    if a:
        sides: dict[str, Side] = {}
        for name in ("a", "b"):
            try:
                sides[name] = side(name=given[name], at=given[f"{name}_at"], field=name, principal=principal)
            except FleetError as error:
                errors[error.field or name] = sentence(error)
        if len(sides) == _TOGETHER:
            context.update(_compared(sides["a"], sides["b"]))
    context["has_errors"] = bool(errors)
    context["sides"] = [
        {
            "name": name,
            "label": label,
            "value": given[name] if name == "a" or b != a else query.get("b", "").strip(),
            "at": given[f"{name}_at"],
            "error": errors.get(name, ""),
            "at_error": errors.get(f"{name}_at", ""),
        }
        for name, label in (("a", _("Node")), ("b", _("With node")))
    ]
    return render(request, "nodes/compare.html", context, status=422 if errors else 200)


def _compared(left: Side, right: Side) -> dict[str, Any]:
    sections = compare(left.document, right.document)
    is_one = left.node.pk == right.node.pk
    return {
        "left": left,
        "right": right,
        "is_one": is_one,
        "names": [_title(left, is_one=is_one), _title(right, is_one=is_one)],
        "sections": [_shown(one, is_one=is_one) for one in sections if one.differences or (is_one and one.expected)],
        "expected": [] if is_one else [row for one in sections for row in _rows(one, one.expected)],
        "same": [
            {"word": section_word(one.name), "rows": [(label, _text(value)) for label, value in one.same]}
            for one in sections
            if one.same
        ],
        "history": history(left.node) if is_one else [],
    }


def _title(one: Side, *, is_one: bool) -> str:
    return one.node.name if not is_one else (_("then") if one.at else _("now"))


def _shown(one: Section, *, is_one: bool) -> dict[str, Any]:
    rows = [*one.differences, *(one.expected if is_one else [])]
    return {"word": section_word(one.name), "rows": _rows(one, rows), "same": len(one.same)}


def _rows(section: Section, found: Sequence[Difference]) -> list[dict[str, Any]]:
    return [
        {
            "label": one.label,
            "section": section_word(section.name),
            "is_set": one.is_set,
            "left": one.only_left if one.is_set else _text(one.left),
            "right": one.only_right if one.is_set else _text(one.right),
            "in_both": one.in_both,
        }
        for one in found
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _from_selection(request: HttpRequest, principal: Principal, query: QueryDict) -> HttpResponse:
    nodes = selected(principal, query, QueryDict(query.get("filter", "").lstrip("?")))
    names = list(nodes.order_by("name").values_list("name", flat=True)[: _TOGETHER + 1])
    if len(names) != _TOGETHER:
        messages.warning(request, _("Select two nodes to compare them."))
        return HttpResponseRedirect(list_url(query.get("filter", "")))
    return HttpResponseRedirect(f"{reverse('nodes:compare')}?{urlencode({'a': names[0], 'b': names[1]})}")
