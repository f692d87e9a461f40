"""nodes/{name}/drift/: what a node differs in from the Ignition version that it was provisioned with."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import read_body
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    Document,
    list_of,
    nullable,
    object_of,
    one_of,
)
from nodes.api import shapes
from nodes.api.ignition.bodies import PermanentBody
from nodes.api.ignition.shapes import EFFECT, effect_shown
from nodes.api.nodes import OneNode
from nodes.drift import Sort, What
from nodes.facts.containers import on_purpose
from nodes.models import Drift, Facts, Node
from nodes.models.node import IgnitionState
from nodes.services.drift.checks import request_check
from nodes.services.drift.states import changes_of_disks
from nodes.services.ignition.permanent import make_permanent
from nodes.tasks import nudge_drift
from nodes.wording.drift import REASONS, UNLOOKED, failure_words

_SECTIONS = one_of(["files", "units", "users", "kernel", "disks", "rest"])
DIFFERENCE = object_of(
    {
        "section": _SECTIONS,
        "subject": {**TEXT, "description": "A path, unit, user, argument or device."},
        "what": one_of([one.value for one in What]),
        "class": one_of([one.value for one in Sort]),
        "expected": TEXT,
        "found": TEXT,
        "reason": {**TEXT, "description": f"Why the OS makes it: {', '.join(REASONS)}; empty for other classes."},
        "is_secret": FLAG,
        "diff": {**list_of(list_of(TEXT)), "description": "Lines as [added, removed, same or gap; text]."},
    }
)
DRIFT = Document(
    "NodeDrift",
    object_of(
        {
            "node": TEXT,
            "state": one_of([one.value for one in IgnitionState]),
            "since": TIME,
            "version": nullable(object_of({"config": TEXT, "number": INTEGER})),
            "checked_at": nullable(TIME),
            "due_at": nullable(TIME),
            "is_requested": FLAG,
            "counts": object_of({one.value: INTEGER for one in Sort}),
            "differences": list_of(DIFFERENCE),
            "not_looked_at": list_of(object_of({"section": _SECTIONS, "subject": TEXT, "why": one_of(list(UNLOOKED))})),
            "intended_disks": {
                **list_of(EFFECT),
                "description": "What the version that the pool intends makes otherwise on the disks: it needs another machine.",
            },
            "on_purpose": {
                **list_of(object_of({"path": TEXT, "unit": TEXT, "image": TEXT})),
                "description": "Files that FleetUI wrote beside units, which give their containers another image.",
            },
            "failure": nullable(object_of({"kind": TEXT, "message": TEXT, "mend": TEXT, "at": TIME, "raw": TEXT})),
        }
    ),
)

DRAFTED = Document(
    "NodeDriftPermanent",
    object_of({"id": TEXT, "config": TEXT, "number": INTEGER, "state": TEXT, "url": TEXT}),
)


class NodeDrift(OneNode):
    """The last comparison. Contents of secrets are never in it."""

    actions = {"GET": Action("ignition.read", "nodes_drift_read", "Read what a node differs in", {200: DRIFT})}

    def get(self, request: Request, name: str) -> Response:
        return Response(shown(self.node(name)))


class NodeDriftPermanent(OneNode):
    """Write the version of the config that makes an image permanent, as a draft."""

    actions = {
        "POST": Action(
            "ignition.edit",
            "nodes_drift_permanent",
            "Write an image that FleetUI gave to a unit into the config",
            {201: DRAFTED},
            body=PermanentBody,
        )
    }

    def post(self, request: Request, name: str) -> Response:
        path = read_body(PermanentBody, request)["path"]
        version = make_permanent(node=self.node(name), path=path, actor=self.principal, now=clock.now())
        url = f"/api/v1/ignition/versions/{version.pk}/"
        shown = {"id": version.pk, "config": version.config.name, "number": version.number}
        return Response({**shown, "state": version.state, "url": url}, status=201, headers={"Location": url})


class NodeDriftCheck(OneNode):
    """Compare a node with its version at once."""

    actions = {
        "POST": Action(
            "nodes.poll", "nodes_drift_check", "Compare a node with its version now", {202: shapes.POLL_ACCEPTED}
        )
    }

    def post(self, request: Request, name: str) -> Response:
        node = self.node(name)
        request_check(node=node, actor=self.principal, now=clock.now())
        nudge_drift()
        url = f"{shapes.node_url(node.name)}drift/"
        return Response({"nodes": 1, "url": url}, status=202, headers={"Location": url})


def shown(node: Node) -> dict[str, Any]:
    """The last comparison of a node; one that was never compared has empty lists."""
    row = Drift.objects.select_related("version__config").defer(*Drift.HEAVY_VERSION).filter(node=node).first()
    counts = {one.value: getattr(row, f"{one.value}_count") if row else 0 for one in Sort}
    return {
        "node": node.name,
        "state": node.ignition_state,
        "since": node.ignition_state_since,
        "version": {"config": row.version.config.name, "number": row.version.number} if row else None,
        "checked_at": row.checked_at if row else None,
        "due_at": row.due_at if row else None,
        "is_requested": bool(row and row.requested_at),
        "counts": counts,
        "differences": row.differences if row else [],
        "not_looked_at": row.unlooked if row else [],
        "intended_disks": [effect_shown(one) for one in changes_of_disks(node)],
        "on_purpose": on_purpose(Facts.objects.container_units(node.facts_id)),
        "failure": _failure(row) if row and row.failed_at else None,
    }


def _failure(row: Drift) -> dict[str, Any]:
    message, mend = failure_words(row.error_kind, row.error_params)
    return {"kind": row.error_kind, "message": message, "mend": mend, "at": row.failed_at, "raw": row.raw}
