"""version-holds/: what is held back from nodes and pools; hold by hand, and lift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    INTEGER,
    TEXT,
    TIME,
    UUID,
    Field,
    PageOf,
    Row,
    Shape,
    column,
    known,
    nullable,
    one_of,
)
from fleetui.core.api.views import ApiView, Listing
from fleetui.core.errors import InvalidInput
from nodes.models import Node, Pool
from ops import wording
from ops.filters import HoldFilter
from ops.models import VersionHold
from ops.services.holds import hold_at, hold_version, lift_hold


def _why(row: Row) -> str:
    return wording.hold_sentence(row["why"])


HOLD = Shape(
    "VersionHold",
    {
        "id": column("id", INTEGER),
        "version": column("version", TEXT),
        "node": column("node__name", nullable(TEXT)),
        "pool": column("pool__name", nullable(TEXT)),
        "held_at": column("held_at", TIME),
        "held_by": column("held_by", TEXT),
        "why": column("why", one_of(VersionHold.WHYS)),
        "why_sentence": Field(TEXT, ("why",), _why),
        "reason": known("reason", TEXT),
        "operation_id": column("operation_id", nullable(UUID)),
    },
)
LISTING = Listing(HOLD, {"held_at": Sort("held_at", kind="time")}, "-held_at", HoldFilter, key_kind="integer")
WHY = Param("reason", {**TEXT, "maxLength": 300}, "Why it is lifted; required, it goes into the audit log.")


class HoldBody(Body):
    """The version, the node or the pool that it is held back from, and why."""

    version = Text(max_length=100)
    node = Text(max_length=100, required=False, allow_null=True)
    pool = Text(max_length=100, required=False, allow_null=True)
    reason = Text(max_length=300)


class HoldList(ApiView):
    """Versions that are held back, newest first."""

    actions = {
        "GET": Action(
            "operations.read", "version_holds_list", "List held versions", {200: PageOf(HOLD)}, query=LISTING.params
        ),
        "POST": Action("operations.hold", "version_holds_create", "Hold a version back", {201: HOLD}, body=HoldBody),
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(VersionHold.objects.visible_to(self.principal), request)

    def post(self, request: Request) -> Response:
        values = read_body(HoldBody, request)
        hold = hold_version(
            version=values["version"],
            node=_named(Node, self.principal, "node", values),
            pool=_named(Pool, self.principal, "pool", values),
            reason=values["reason"],
            actor=self.principal,
            now=clock.now(),
        )
        return Response(_shown(hold), status=201)


def _named(model: type[Node] | type[Pool], principal: Any, field: str, values: Mapping[str, Any]) -> Any:
    name = values.get(field)
    if not name:
        return None
    found = model.objects.visible_to(principal).filter(name=name).first()
    if found is None:
        raise InvalidInput(
            f"There is no {field} {name} that you may see.", field=field, value=name, mend=f"Look at {field}s/."
        )
    return found


def _shown(hold: VersionHold) -> dict[str, Any]:
    return HOLD.render(VersionHold.objects.filter(pk=hold.pk).values(*HOLD.columns(None)).get(), None)


class HoldDetail(ApiView):
    """One hold. DELETE lifts it, with a reason."""

    actions = {
        "GET": Action("operations.read", "version_holds_read", "Read a hold", {200: HOLD}),
        "DELETE": Action("operations.hold", "version_holds_lift", "Lift a hold", {204: None}, query=(WHY,)),
    }

    def get(self, request: Request, hold_id: int) -> Response:
        return Response(_shown(hold_at(self.principal, hold_id)))

    def delete(self, request: Request, hold_id: int) -> Response:
        hold = hold_at(self.principal, hold_id)
        lift_hold(hold=hold, reason=request.query_params.get("reason", ""), actor=self.principal)
        return Response(status=204)
