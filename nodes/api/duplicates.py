"""nodes/duplicates/ and nodes/{name}/merge/."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.shapes import INTEGER, TEXT, TIME, UUID, Document, list_of, nullable, object_of, one_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput, NotFound
from nodes.api import shapes
from nodes.api.nodes import OneNode
from nodes.models import KnownDistinct
from nodes.services import duplicates, merging

_SHARED = object_of({"kind": one_of(KnownDistinct.KINDS), "value": TEXT})
_MEMBER = object_of(
    {"name": TEXT, "url": TEXT, "address": TEXT, "port": INTEGER, "pool": nullable(TEXT), "reachability": TEXT}
)
_DISTINCT = {
    "id": UUID,
    "kind": one_of(KnownDistinct.KINDS),
    "value": TEXT,
    "said_by": TEXT,
    "said_at": TIME,
    "reason": TEXT,
}
DUPLICATES = Document(
    "Duplicates",
    object_of(
        {
            "groups": list_of(object_of({"shared": list_of(_SHARED), "nodes": list_of(_MEMBER), "more": INTEGER})),
            "distinct": list_of(object_of(_DISTINCT)),
        }
    ),
)
DISTINCT = Document("KnownDistinct", object_of(_DISTINCT))


class DistinctBody(Body):
    """Nodes that share this value are different machines."""

    kind = serializers.ChoiceField(choices=list(KnownDistinct.KINDS))
    value = Text(min_length=1, max_length=300)
    reason = Text(min_length=1, max_length=300)


class MergeBody(Body):
    """The node that goes, and why."""

    other = Text(min_length=1, max_length=100)
    reason = Text(max_length=300, allow_blank=True, default="")


def _distinct(row: KnownDistinct) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _DISTINCT}


class Duplicates(ApiView):
    """Nodes that share a machine id, an address or a host key."""

    actions = {
        "GET": Action("nodes.read", "nodes_duplicates", "Find duplicates", {200: DUPLICATES}),
        "POST": Action(
            "nodes.write",
            "nodes_say_distinct",
            "Say that they are different machines",
            {201: DISTINCT},
            body=DistinctBody,
        ),
    }

    def get(self, request: Request) -> Response:
        groups = [
            {
                "shared": [{"kind": one.kind, "value": one.value} for one in group.shared],
                "nodes": [
                    {
                        "name": node.name,
                        "url": shapes.node_url(node.name),
                        "address": node.address,
                        "port": node.port,
                        "pool": node.pool.name if node.pool else None,
                        "reachability": node.reachability,
                    }
                    for node in group.nodes
                ],
                "more": group.more,
            }
            for group in duplicates.find_duplicates(self.principal)
        ]
        distinct = [_distinct(row) for row in duplicates.distinct_visible_to(self.principal)]
        return Response({"groups": groups, "distinct": distinct})

    def post(self, request: Request) -> Response:
        values = read_body(DistinctBody, request)
        row = duplicates.say_distinct(**values, actor=self.principal, now=clock.now())
        return Response(_distinct(row), status=201, headers={"Location": f"{request.path}{row.pk}/"})


class DistinctDetail(ApiView):
    """What was said of one value. Deleting it asks again."""

    actions = {"DELETE": Action("nodes.write", "nodes_undo_distinct", "Ask about a value again", {204: None})}

    def delete(self, request: Request, distinct_id: Any) -> Response:
        found = [row for row in duplicates.distinct_visible_to(self.principal) if row.pk == distinct_id]
        if not found:
            raise NotFound("There is no such word that you may see.", mend="Look at /api/v1/nodes/duplicates/.")
        duplicates.undo_distinct(row=found[0], actor=self.principal)
        return Response(status=204)


class NodeMerge(OneNode):
    """Merge another node into this one, which stays."""

    actions = {
        "POST": Action("nodes.write", "nodes_merge", "Merge another node into this", {200: shapes.NODE}, body=MergeBody)
    }

    def post(self, request: Request, name: str) -> Response:
        keep = self.node(name)
        values = read_body(MergeBody, request)
        try:
            other = self.node(values["other"])
        except NotFound as error:
            raise InvalidInput(error.message, field="other", value=values["other"], mend=error.mend) from error
        reason = values["reason"]
        return self.shown(
            merging.merge_nodes(keep=keep, other=other, reason=reason, actor=self.principal, now=clock.now())
        )
