"""pools/NAME/ignition/ and nodes/NAME/ignition/: what they should have, what nodes were born with, and their values."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import require
from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import read_body
from fleetui.core.api.views import ApiView
from fleetui.core.errors import InvalidInput, NotFound
from nodes.api.ignition.bodies import AppliedBody, ChooseBody, ValueBody
from nodes.api.ignition.shapes import NODE_IGNITION, POOL_IGNITION, VALUE, VALUES
from nodes.models import IgnitionValue, IgnitionVersion, Node, Pool
from nodes.querysets import IgnitionVersionQuerySet
from nodes.services.ignition import intent, values
from nodes.services.ignition.marker import marker_of

_READ, _EDIT = "ignition.read", "ignition.edit"


def _named(version: IgnitionVersion | None) -> dict[str, Any] | None:
    return {"id": version.pk, "config": version.config.name, "number": version.number} if version else None


class _Places(ApiView):
    def pool(self, name: str) -> Pool:
        rows = Pool.objects.visible_to(self.principal).select_related("intended_version__config")
        found: Pool | None = rows.defer(*_heavy("intended_version")).filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no pool {name} that you may see.", mend="Look at /api/v1/pools/.")
        require(self.principal, _READ, found)
        return found

    def node(self, name: str) -> Node:
        related = ("pool__intended_version__config", "applied_version__config")
        rows = Node.objects.visible_to(self.principal).select_related(*related).named(name)
        found: Node | None = rows.defer(*_heavy("pool__intended_version"), *_heavy("applied_version")).first()
        if found is None:
            raise NotFound(f"There is no node {name} that you may see.", mend="Look at /api/v1/nodes/.")
        require(self.principal, _READ, found)
        return found

    def version(self, version_id: uuid.UUID | None) -> IgnitionVersion | None:
        if version_id is None:
            return None
        rows = IgnitionVersion.objects.visible_to(self.principal).light().select_related("config")
        found: IgnitionVersion | None = rows.filter(pk=version_id).first()
        if found is None:
            mend = "Give the id of a version that you may see."
            raise InvalidInput("There is no such version.", field="version", value=str(version_id), mend=mend)
        return found


def _marker(node: Node) -> dict[str, Any] | None:
    """What the note on the host says, word for word, and how that stands to what counts."""
    found = marker_of(node)
    if found is None:
        return None
    said = found.said
    told = {"config": said.get("config"), "number": said.get("version"), "id": said.get("version_id")}
    return {"verdict": found.verdict, **told, **{name: said.get(name) for name in ("source_sha256", "verbatim")}}


def _heavy(version: str) -> list[str]:
    return [f"{version}__{column}" for column in IgnitionVersionQuerySet.HEAVY]


class PoolIgnition(_Places):
    """The version that new machines of the pool get. No machine that runs is touched by a choice."""

    actions = {
        "GET": Action(_READ, "pools_ignition_read", "Read what a pool should have", {200: POOL_IGNITION}),
        "PUT": Action(
            "ignition.intend",
            "pools_ignition_choose",
            "Choose the version that a pool should have",
            {200: POOL_IGNITION},
            body=ChooseBody,
        ),
    }

    def get(self, request: Request, name: str) -> Response:
        return self._shown(self.pool(name))

    def put(self, request: Request, name: str) -> Response:
        given, pool = read_body(ChooseBody, request), self.pool(name)
        version = self.version(given["version"])
        intent.intend(pool=pool, version=version, reason=given["reason"], actor=self.principal, now=clock.now())
        return self._shown(pool)

    def _shown(self, pool: Pool) -> Response:
        intended = pool.intended_version
        return Response(
            {
                "pool": pool.name,
                "intended": _named(intended),
                "since": pool.intended_since if intended else None,
                "by": pool.intended_by if intended else None,
            }
        )


class NodeIgnition(_Places):
    """What the node should have, and what its machine was provisioned with."""

    actions = {
        "GET": Action(_READ, "nodes_ignition_read", "Read intended and applied version", {200: NODE_IGNITION}),
        "PUT": Action(
            "nodes.write",
            "nodes_ignition_note",
            "Note what a node was provisioned with",
            {200: NODE_IGNITION},
            body=AppliedBody,
        ),
    }

    def get(self, request: Request, name: str) -> Response:
        return self._shown(self.node(name))

    def put(self, request: Request, name: str) -> Response:
        given, node = read_body(AppliedBody, request), self.node(name)
        intent.set_applied(node=node, version=self.version(given["version"]), actor=self.principal, now=clock.now())
        return self._shown(node)

    def _shown(self, node: Node) -> Response:
        return Response(
            {
                "node": node.name,
                "intended": _named(node.pool.intended_version if node.pool else None),
                "applied": _named(node.applied_version),
                "applied_how": node.applied_how or None,
                "applied_at": node.applied_at,
                "marker": _marker(node),
            }
        )


def _values_action(of: str) -> dict[str, Action]:
    return {"GET": Action(_READ, f"{of}s_ignition_values", f"Read the values of a {of}", {200: VALUES})}


def _value_actions(of: str) -> dict[str, Action]:
    return {
        "PUT": Action(_EDIT, f"{of}s_ignition_value_set", f"Set a value of a {of}", {200: VALUE}, body=ValueBody),
        "DELETE": Action(_EDIT, f"{of}s_ignition_value_delete", f"Take a value of a {of} away", {204: None}),
    }


def _shown_values(**where: Pool | Node) -> Response:
    rows = IgnitionValue.objects.filter(**where).order_by("name").values(*VALUE.columns())
    return Response({"results": [VALUE.render(row) for row in rows]})


class PoolValues(_Places):
    """Of secrets only that they are set."""

    actions = _values_action("pool")

    def get(self, request: Request, name: str) -> Response:
        return _shown_values(pool=self.pool(name))


class NodeValues(_Places):
    """Those of the node itself; of secrets only that they are set."""

    actions = _values_action("node")

    def get(self, request: Request, name: str) -> Response:
        return _shown_values(node=self.node(name))


class _Value(_Places, ABC):
    @abstractmethod
    def place(self, name: str) -> Pool | Node: ...

    def put(self, request: Request, name: str, variable: str) -> Response:
        given, place = read_body(ValueBody, request), self.place(name)
        row = values.set_value(place=place, name=variable, **given, actor=self.principal, now=clock.now())
        found = IgnitionValue.objects.filter(pk=row.pk).values(*VALUE.columns()).get()
        return Response(VALUE.render(found))

    def delete(self, request: Request, name: str, variable: str) -> Response:
        values.delete_value(place=self.place(name), name=variable, actor=self.principal, now=clock.now())
        return Response(status=204)


class PoolValue(_Value):
    """One value of a pool."""

    actions = _value_actions("pool")

    def place(self, name: str) -> Pool:
        return self.pool(name)


class NodeValue(_Value):
    """One value of a node; it comes before that of its pool."""

    actions = _value_actions("node")

    def place(self, name: str) -> Node:
        return self.node(name)
