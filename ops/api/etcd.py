"""nodes/NAME/etcd/: what etcd consists of now, and what a replacement of a control plane would remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import Principal, require
from fleetui.core.api.actions import Action
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.errors import NotFound
from nodes.api.nodes import OneNode
from ops import wording
from ops.api.shapes import CHECK
from ops.models import Operation
from ops.services.replacing.confirming import may_see_planes
from ops.services.replacing.planes import is_plane_now, look_now, require_all
from ops.wording.etcd import STATES

_MEMBER = object_of(
    {
        "id": TEXT,
        "name": TEXT,
        "peers": TEXTS,
        "is_learner": FLAG,
        "is_healthy": FLAG,
        "state": one_of(tuple(STATES)),
    }
)
_VOTES = object_of({"voters": INTEGER, "healthy": INTEGER, "needed": INTEGER, "spare": INTEGER})
_SEEN = {
    "kind": one_of(("stacked", "external", "beside", "")),
    "asked": TEXT,
    "members": list_of(_MEMBER),
    "servers": TEXTS,
    "removes": nullable(_MEMBER),
    "before": _VOTES,
    "after": _VOTES,
}
ETCD = object_of({**_SEEN, "at": TIME, "removed": FLAG, "joined": nullable(TEXT)})
NOW = Document("EtcdNow", object_of({**_SEEN, "checks": list_of(CHECK)}))


class NodeEtcd(OneNode):
    """The members of etcd, asked over SSH of the other control planes, and what a replacement of this one would remove."""

    actions = {
        "GET": Action(
            "operations.request",
            "nodes_etcd",
            "Read the members of etcd for the replacement of a control plane",
            {200: NOW},
            note="Needs it on the pools of the other control planes as well. "
            "Asks hosts now, which takes some seconds, and up to half a minute where they do not answer.",
        )
    }

    def get(self, request: Request, name: str) -> Response:
        node = self.node(name)
        require(self.principal, "operations.request", node)
        if not is_plane_now(node):
            raise NotFound(f"{node.name} is no control plane.", mend="Name one of a control plane.")
        require_all(self.principal, node)
        seen = look_now(node)
        checks = [
            {**check.as_json(), "sentence": wording.check_sentence(check.code, check.params)}
            for check in seen.removal.checks
        ]
        return Response({**seen.as_json(), "checks": checks})


def seen_by(operation: Operation, principal: Principal) -> Mapping[str, Any] | None:
    """What an operation saw at its first look, and what became of the member; for who may reach all of them."""
    found = operation.memory.get("etcd")
    if not found or not may_see_planes(principal, operation):
        return None
    joined = (operation.memory.get("etcd_after") or {}).get("joined")
    return {**found, "removed": bool(operation.memory.get("member_gone")), "joined": joined}
