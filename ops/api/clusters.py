"""clusters/NAME/access/ and clusters/NAME/nodes/: the sign-in to the API of a cluster, and what it says of its nodes."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    ANY_OBJECT,
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Document,
    PageOf,
    Shape,
    column,
    json_column,
    nullable,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView, Listing
from fleetui.core.errors import NotFound
from nodes.models import Cluster
from ops.filters import ClusterNodeFilter
from ops.kubernetes.access import MOST_CHARS
from ops.models import ClusterAccess, ClusterNode
from ops.services.clusters.access import PERMISSION, delete_access, look_now, set_access
from ops.tasks import nudge_clusters
from ops.wording import kubernetes as words

ACCESS = Document(
    "ClusterAccess",
    object_of(
        {
            "cluster": TEXT,
            "server": TEXT,
            "how": one_of(["token", "certificate"]),
            "state": one_of(ClusterAccess.STATES),
            "state_since": TIME,
            "problem": TEXT,
            "problem_sentence": TEXT,
            "version": TEXT,
            "missing_rights": TEXTS,
            "checked_at": nullable(TIME),
            "set_by": TEXT,
            "set_at": TIME,
        }
    ),
)


NODE = Shape(
    "ClusterNode",
    {
        "name": column("name", TEXT),
        "uid": column("uid", TEXT),
        "node": column("node__name", nullable(TEXT)),
        "node_id": column("node_id", nullable(UUID)),
        "matched_by": column("matched_by", one_of(["", *ClusterNode.MATCHES])),
        "ready": column("ready", TEXT),
        "ready_said": column("ready_said", TEXT),
        "is_cordoned": column("is_cordoned", FLAG),
        "is_control_plane": column("is_control_plane", FLAG),
        "kubelet_version": column("version", TEXT),
        "pods": column("pods", INTEGER),
        "taints": json_column("taints", TEXTS),
        "stands_against": json_column("stands_against", ANY_OBJECT),
        "checked_at": column("access__checked_at", nullable(TIME)),
    },
)
NODES = Listing(NODE, {"name": Sort("name")}, "name", ClusterNodeFilter, key_kind="integer")


class AccessBody(Body):
    """A kubeconfig that holds all it needs; or `server`, `ca` (PEM, empty: the authorities of FleetUI's machine) and `token`."""

    secrets = frozenset({"kubeconfig", "token"})

    kubeconfig = Text(max_length=MOST_CHARS, required=False, default="", allow_blank=True, write_only=True)
    server = Text(max_length=300, required=False, default="", allow_blank=True)
    ca = Text(max_length=MOST_CHARS, required=False, default="", allow_blank=True)
    token = Text(max_length=20_000, required=False, default="", allow_blank=True, write_only=True)


class OfCluster(ApiView):
    """Base of the endpoints below one cluster."""

    def cluster(self, name: str) -> Cluster:
        found: Cluster | None = Cluster.objects.visible_to(self.principal).filter(name=name).first()
        if found is None:
            raise NotFound(f"There is no cluster {name} that you may see.", mend="Look at clusters/.")
        return found

    def access(self, name: str) -> ClusterAccess:
        found = ClusterAccess.objects.select_related("cluster").filter(cluster=self.cluster(name)).first()
        if found is None:
            raise NotFound(
                f"FleetUI has no access to the API of {name}.", mend=f"Give one with PUT clusters/{name}/access/."
            )
        return found


def _shown(access: ClusterAccess) -> dict[str, Any]:
    failing = access.state == "failing"
    return {
        "cluster": access.cluster.name,
        "server": access.server,
        "how": access.how,
        "state": access.state,
        "state_since": access.state_since,
        "problem": access.problem,
        "problem_sentence": " ".join(words.problem(access.problem, access.problem_params)) if failing else "",
        "version": access.version,
        "missing_rights": access.missing,
        "checked_at": access.checked_at,
        "set_by": access.set_by,
        "set_at": access.set_at,
    }


class AccessDetail(OfCluster):
    """The sign-in to a cluster. What it holds of secrets is never answered."""

    actions = {
        "GET": Action("clusters.read", "cluster_access_read", "Read how a cluster is signed in to", {200: ACCESS}),
        "PUT": Action(PERMISSION, "cluster_access_set", "Try and set the sign-in", {200: ACCESS}, body=AccessBody),
        "DELETE": Action(PERMISSION, "cluster_access_delete", "Forget the sign-in", {204: None}),
    }

    def get(self, request: Request, name: str) -> Response:
        return Response(_shown(self.access(name)))

    def put(self, request: Request, name: str) -> Response:
        cluster = self.cluster(name)
        values = read_body(AccessBody, request)
        access = set_access(cluster=cluster, **values, actor=self.principal, now=clock.now())
        nudge_clusters()
        return Response(_shown(access))

    def delete(self, request: Request, name: str) -> Response:
        delete_access(access=self.access(name), actor=self.principal)
        return Response(status=204)


class AccessLook(OfCluster):
    """Look at the cluster now, and not when it is due."""

    actions = {"POST": Action(PERMISSION, "cluster_access_look", "Look at a cluster now", {202: ACCESS})}

    def post(self, request: Request, name: str) -> Response:
        access = self.access(name)
        look_now(access=access, actor=self.principal, now=clock.now())
        nudge_clusters()
        return Response(_shown(access), status=202)


class ClusterNodes(OfCluster):
    """The nodes of a cluster as it has them, with those of FleetUI that they are."""

    actions = {
        "GET": Action(
            "clusters.read",
            "cluster_nodes_list",
            "List the nodes of a cluster",
            {200: PageOf(NODE)},
            query=NODES.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        rows = ClusterNode.objects.filter(access__cluster=self.cluster(name)).visible_to(self.principal)
        return NODES.answer(rows, request)
