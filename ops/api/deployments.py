"""clusters/NAME/deployments/: what runs in a cluster, another image for it, and the revision before."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import require
from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Flag, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TIME,
    Document,
    PageOf,
    Shape,
    column,
    json_column,
    list_of,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import Listing
from fleetui.core.errors import InvalidInput
from ops import wording
from ops.api import shapes
from ops.api.clusters import OfCluster
from ops.api.keys import KEY, asked_key
from ops.api.operations import requested
from ops.filters import ClusterDeploymentFilter
from ops.models import ClusterDeployment
from ops.services.clusters.deployments import (
    IMAGE,
    PERMISSION,
    ROLLBACK,
    deployment_at,
    may_see,
    plan_of,
    request_change,
)
from ops.wording.deployments import ROLLOUTS

DEPLOYMENT = Shape(
    "ClusterDeployment",
    {
        "namespace": column("namespace", TEXT),
        "name": column("name", TEXT),
        "uid": column("uid", TEXT),
        "images": json_column("images", ANY_OBJECT),
        "revision": column("revision", INTEGER),
        "wanted": column("wanted", INTEGER),
        "updated": column("updated", INTEGER),
        "available": column("available", INTEGER),
        "is_paused": column("is_paused", FLAG),
        "rollout": column("rollout", one_of(tuple(ROLLOUTS))),
        "late": column("late", TEXT),
        "checked_at": column("access__checked_at", nullable(TIME)),
    },
)
DEPLOYMENTS = Listing(DEPLOYMENT, {"name": Sort("name")}, "name", ClusterDeploymentFilter, key_kind="integer")
_CHECK = object_of({"code": TEXT, "level": TEXT, "sentence": TEXT})
PLAN = Document("DeploymentPlan", object_of({"target": ANY_OBJECT, "checks": list_of(_CHECK)}))


class ImageBody(Body):
    """Which container gets which image, whole: with its registry, and a tag or a digest."""

    container = Text(max_length=253)
    image = Text(max_length=500)
    reason = Text(max_length=300, allow_blank=True, default="")
    dry_run = Flag(default=False, help_text="Only the plan.")


class RollbackBody(Body):
    """Why; it goes into the audit log."""

    reason = Text(max_length=300, allow_blank=True, default="")


class DeploymentList(OfCluster):
    """The Deployments of a cluster as they were last looked at."""

    actions = {
        "GET": Action(
            "clusters.read",
            "cluster_deployments_list",
            "List the Deployments of a cluster",
            {200: PageOf(DEPLOYMENT)},
            query=DEPLOYMENTS.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        rows = ClusterDeployment.objects.filter(access__cluster=self.cluster(name))
        return DEPLOYMENTS.answer(rows if may_see(self.principal) else rows.none(), request)


class _Change(OfCluster):
    def change(
        self, request: Request, name: str, place: tuple[str, str], kind: str, values: dict[str, Any]
    ) -> Response:
        row = deployment_at(self.principal, self.cluster(name), *place)
        reason = values.pop("reason")
        try:
            return self._asked(request, row, kind, values, reason)
        except InvalidInput as error:
            # The body has the parameters without one round them.
            error.field = error.field.removeprefix("params.") if error.field else error.field
            raise

    def _asked(
        self, request: Request, row: ClusterDeployment, kind: str, values: dict[str, Any], reason: str
    ) -> Response:
        if values.pop("dry_run", False):
            require(self.principal, PERMISSION)
            plan = plan_of(row, kind=kind, params=values)
            checks = [
                {"code": one.code, "level": one.level, "sentence": wording.check_sentence(one.code, one.params)}
                for one in plan.checks
            ]
            return Response({"target": plan.document["target"], "checks": checks})
        key = asked_key(request)
        told = {"reason": reason, "idempotency_key": key, "actor": self.principal, "now": clock.now()}
        return requested(request_change(row=row, kind=kind, params=values, **told))


class DeploymentImage(_Change):
    """As `kubectl set image`, followed to its end by an operation."""

    actions = {
        "POST": Action(
            "operations.request",
            "cluster_deployment_image",
            "Give a Deployment another image",
            {200: PLAN, 201: shapes.REQUESTED},
            body=ImageBody,
            headers=(KEY,),
        )
    }

    def post(self, request: Request, name: str, namespace: str, deployment: str) -> Response:
        return self.change(request, name, (namespace, deployment), IMAGE, read_body(ImageBody, request))


class DeploymentRollback(_Change):
    """As `kubectl rollout undo`, followed to its end by an operation."""

    actions = {
        "POST": Action(
            "operations.request",
            "cluster_deployment_rollback",
            "Roll a Deployment back to the revision before",
            {201: shapes.REQUESTED},
            body=RollbackBody,
            headers=(KEY,),
        )
    }

    def post(self, request: Request, name: str, namespace: str, deployment: str) -> Response:
        return self.change(request, name, (namespace, deployment), ROLLBACK, read_body(RollbackBody, request))
