"""nodes/compare/: what differs between two nodes, or between one node at two times."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core.api.actions import Action, Param
from fleetui.core.api.shapes import FLAG, INTEGER, TEXT, TEXTS, TIME, Document, list_of, object_of
from fleetui.core.api.views import ApiView
from nodes.facts.compare import Difference, compare
from nodes.services.comparing import Side, side

_SIDE = object_of({"node": TEXT, "read_at": TIME})
_DIFFERENCE = object_of(
    {
        "path": TEXT,
        "where": TEXTS,
        "expected": FLAG,
        "a": {},
        "b": {},
        "only_a": TEXTS,
        "only_b": TEXTS,
        "in_both": INTEGER,
    }
)
COMPARISON = Document(
    "Comparison",
    object_of(
        {
            "a": _SIDE,
            "b": _SIDE,
            "sections": list_of(object_of({"name": TEXT, "differences": list_of(_DIFFERENCE), "same": INTEGER})),
        }
    ),
)
_MOMENT = {"type": "string", "format": "date-time"}


class NodeCompare(ApiView):
    """Lists are compared as sets. What differs between any two hosts, such as a boot id, is marked as expected."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_compare",
            "Compare two nodes, or one at two times",
            {200: COMPARISON},
            query=(
                Param("a", TEXT, "Name or id of a node."),
                Param("b", TEXT, "Name or id of the other; without it the same node."),
                Param("a_at", _MOMENT, "The facts of `a` as they stood then."),
                Param("b_at", _MOMENT, "The facts of `b` as they stood then."),
            ),
        )
    }

    def get(self, request: Request) -> Response:
        query = request.query_params
        names = {"a": query.get("a", ""), "b": query.get("b") or query.get("a", "")}
        a, b = (
            side(name=names[field], at=query.get(f"{field}_at", ""), field=field, principal=self.principal)
            for field in ("a", "b")
        )
        sections = [
            {
                "name": one.name,
                "differences": [_difference(row) for row in (*one.differences, *one.expected)],
                "same": len(one.same),
            }
            for one in compare(a.document, b.document)
        ]
        return Response({"a": _side(a), "b": _side(b), "sections": sections})


def _side(one: Side) -> dict[str, Any]:
    return {"node": one.node.name, "read_at": one.read_at}


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "path": one.path,
        "where": list(one.where),
        "expected": one.is_expected,
        "a": one.left,
        "b": one.right,
        "only_a": list(one.only_left),
        "only_b": list(one.only_right),
        "in_both": one.in_both,
    }
