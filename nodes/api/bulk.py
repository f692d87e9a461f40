"""nodes/bulk/: one change on many nodes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Flag, Integer, Text, read_body
from fleetui.core.api.shapes import INTEGER, TEXT, TEXTS, Document, object_of
from fleetui.core.api.views import ApiView
from fleetui.core.errors import Conflict, InvalidInput
from nodes.api.bodies import resolve
from nodes.models import Node
from nodes.services import bulk
from nodes.services.selecting import selected_by

CHANGED = Document(
    "BulkChange",
    object_of(
        {
            **dict.fromkeys(("nodes", "changed", "unchanged", "not_allowed", "gone"), INTEGER),
            "stale": TEXTS,
            "refused": TEXTS,
            "why_refused": TEXT,
        }
    ),
)


class BulkBody(Body):
    """Which nodes (by name, or by the filters of the list), and what is done to them."""

    action = serializers.ChoiceField(choices=list(bulk.ACTIONS))
    names = serializers.ListField(child=Text(max_length=100), max_length=bulk.MOST_NODES, required=False)
    filter = serializers.DictField(
        child=Text(max_length=500), required=False, help_text='As the query of nodes/: {"pool": "web"}.'
    )
    set = serializers.DictField(
        child=Text(max_length=100, allow_blank=True), required=False, help_text="Labels to set."
    )
    remove = serializers.ListField(child=Text(max_length=63), required=False, help_text="Keys of labels to remove.")
    pool = Text(max_length=100, allow_null=True, required=False)
    credential = Text(max_length=100, allow_null=True, required=False)
    jump_host = Text(max_length=100, allow_null=True, required=False, help_text="Null: the pool's, if it has one.")
    maintenance_until = serializers.DateTimeField(required=False, allow_null=True)
    reason = Text(max_length=300, allow_blank=True, default="")
    expect_count = Integer(min_value=0, required=False, help_text="Refused when another number of nodes matches.")
    dry_run = Flag(default=False, help_text="Only count.")


class NodeBulk(ApiView):
    """Change many nodes at once."""

    actions = {"POST": Action("nodes.write", "nodes_bulk", "Change many nodes", {200: CHANGED}, body=BulkBody)}

    def post(self, request: Request) -> Response:
        values = resolve(read_body(BulkBody, request), self.principal)
        if values["action"] in ("pool", "credential", "jump_host") and values["action"] not in values:
            # Left out by mistake it would take from the nodes what they have.
            raise InvalidInput(
                f"The {values['action'].replace('_', ' ')} is not said.",
                field=values["action"],
                mend="Name one, or null for none.",
            )
        ids = list(self._nodes(values).order_by("name").values_list("pk", flat=True)[: bulk.MOST_NODES + 1])
        expected = values.get("expect_count")
        if expected is not None and expected != len(ids):
            raise Conflict(
                f"{len(ids)} nodes match, and not {expected}.", field="expect_count", mend="Look again, and repeat it."
            )
        outcome = bulk.BulkOutcome()
        if not values["dry_run"]:
            params = {**values, "until": values.get("maintenance_until")}
            outcome = bulk.change_many(
                ids=ids, action=values["action"], params=params, actor=self.principal, now=clock.now()
            )
        return Response(
            {
                "nodes": len(ids),
                "changed": outcome.changed,
                "unchanged": outcome.unchanged,
                "not_allowed": outcome.not_allowed,
                "gone": outcome.gone,
                "stale": outcome.stale,
                "refused": outcome.refused,
                "why_refused": outcome.why_refused,
            }
        )

    def _nodes(self, values: dict[str, Any]) -> Any:
        nodes = Node.objects.visible_to(self.principal)
        names, wanted = values.get("names"), values.get("filter")
        if (names is None) == (wanted is None):
            mend = "Send names, or filter: {} stands for all nodes."
            told = "Which nodes is not said." if names is None else "Which nodes is said twice, by names and by filter."
            raise InvalidInput(told, field="names", mend=mend)
        if names is not None:
            found = nodes.filter(name__in=names)
            if missing := sorted(set(names).difference(found.values_list("name", flat=True))):
                raise InvalidInput(
                    f"There is no node {missing[0]} that you may see.",
                    field="names",
                    value=", ".join(missing)[:500],
                    mend="Take out the names that do not exist: nothing was changed.",
                )
            return found
        return selected_by(nodes, wanted or {}, field="filter", mend="See nodes/.")
