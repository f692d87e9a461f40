"""pools/, clusters/ and credentials/: three kinds of named rows that are edited alike."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import Principal, require
from fleetui.core import clock
from fleetui.core.api.actions import IF_MATCH, Action
from fleetui.core.api.bodies import Body, read_body
from fleetui.core.api.etag import expected_revision
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import PageOf, Shape
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import NotFound
from nodes.api import shapes
from nodes.api.bodies import ClusterBody, CredentialBody, EditCredentialBody, PoolBody, resolve
from nodes.filters import ClusterFilter, CredentialFilter, PoolFilter
from nodes.models import Cluster, Credential, Node, Pool
from nodes.services import credentials, groups
from nodes.services.clusters import cluster_counts

_UUID = re.compile(r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")
_SORTS = {"name": Sort("name", unique=True), "created_at": Sort("created_at", kind="time")}
POOLS = Listing(shapes.POOL, _SORTS, "name", PoolFilter)
CLUSTERS = Listing(shapes.CLUSTER, _SORTS, "name", ClusterFilter)
CREDENTIALS = Listing(shapes.CREDENTIAL, _SORTS, "name", CredentialFilter)


def pool_rows(principal: Principal) -> QuerySet[Any]:
    """Pools that one may see, with the number of their nodes."""
    members = Node.objects.counted().filter(pool=OuterRef("pk")).order_by()
    nodes = members.values("pool").annotate(n=Count("pk")).values("n")
    rows: QuerySet[Any] = Pool.objects.visible_to(principal)
    counted: QuerySet[Any] = rows.annotate(node_count=Coalesce(Subquery(nodes), 0))
    return counted


def cluster_rows(principal: Principal) -> QuerySet[Any]:
    """Clusters that one may see, with the number of their pools."""
    pools = Pool.objects.filter(cluster=OuterRef("pk")).order_by().values("cluster").annotate(n=Count("pk")).values("n")
    visible = Cluster.objects.visible_to(principal).order_by().values("pk")
    rows: QuerySet[Any] = Cluster.objects.filter(pk__in=visible)
    counted: QuerySet[Any] = rows.annotate(pool_count=Coalesce(Subquery(pools), 0))
    return counted


def credential_rows(principal: Principal) -> QuerySet[Any]:
    """Credentials that one may see."""
    visible = Credential.objects.visible_to(principal).order_by().values("pk")
    return Credential.objects.filter(pk__in=visible)


def with_counts(principal: Principal, rows: list[dict[str, Any]]) -> None:
    """Put counts into rendered clusters, where they are asked for. Three queries for all."""
    asked = [name for name in shapes.CLUSTER_COUNTS if rows and name in rows[0]]
    if not asked:
        return
    found = cluster_counts(principal, [row[asked[0]] for row in rows])
    for row in rows:
        counts = found[row[asked[0]]]
        known = {
            "nodes": counts.nodes,
            "needing_attention": counts.needing_attention,
            **counts.axes,
            "versions": counts.versions,
            "kubelet_versions": counts.kubelets,
        }
        row.update({name: known[name] for name in asked})


class Named(ApiView, ABC):
    """Base of list and detail of rows with a unique name."""

    kind: ClassVar[str]
    shape: ClassVar[Shape]

    @abstractmethod
    def rows(self) -> QuerySet[Any]:
        """Those that one may see."""

    def one(self, name: str) -> Any:
        rows = self.rows()
        row = rows.filter(name=name).first()
        if row is None and _UUID.match(name):
            row = rows.filter(pk=name).first()
        if row is None:
            mend = f"Look at /api/v1/{self.kind.replace(' ', '-')}s/."
            raise NotFound(f"There is no {self.kind} {name} that you may see.", mend=mend)
        return row

    def shown(self, row: Any, status: int = 200) -> Response:
        fields = asked_fields(self.request, self.shape) if self.request.method in ("GET", "HEAD") else None
        found = self.rows().filter(pk=row.pk).values(*dict.fromkeys([*self.shape.columns(fields), "revision"])).get()
        return self.tagged(self.shape.render(found, fields), found["revision"], status)

    def added(self, row: Any) -> Response:
        response = self.shown(row, 201)
        response.headers["Location"] = f"{self.request.path}{row.name}/"
        return response


class NamedDetail(Named):
    """Read, edit and delete one."""

    body: ClassVar[type[Body]]

    def get(self, request: Request, name: str) -> Response:
        return self.shown(self.one(name))

    def put(self, request: Request, name: str) -> Response:
        return self._edit(request, name, partial=False)

    def patch(self, request: Request, name: str) -> Response:
        return self._edit(request, name, partial=True)

    def delete(self, request: Request, name: str) -> Response:
        row = self.one(name)
        expected_revision(request, row.revision)
        self.forget(row)
        return Response(status=204)

    def _edit(self, request: Request, name: str, *, partial: bool) -> Response:
        row = self.one(name)
        changes = resolve(read_body(self.body, request, partial=partial), self.principal)
        self.change(row, changes, expected_revision(request, row.revision))
        return self.shown(row)

    @abstractmethod
    def change(self, row: Any, changes: Mapping[str, Any], revision: int | None) -> None: ...

    @abstractmethod
    def forget(self, row: Any) -> None: ...


def _list_actions(kind: str, listing: Listing, body: type[Body]) -> dict[str, Action]:
    return {
        "GET": Action(
            f"{kind}s.read", f"{kind}s_list", f"List {kind}s", {200: PageOf(listing.shape)}, query=listing.params
        ),
        "POST": Action(f"{kind}s.write", f"{kind}s_create", f"Add a {kind}", {201: listing.shape}, body=body),
    }


def _detail_actions(kind: str, shape: Shape, body: type[Body]) -> dict[str, Action]:
    read, write, match = f"{kind}s.read", f"{kind}s.write", (IF_MATCH,)
    return {
        "GET": Action(read, f"{kind}s_read", f"Read a {kind}", {200: shape}, query=(fields_param(shape),)),
        "PUT": Action(write, f"{kind}s_replace", f"Set all of a {kind}", {200: shape}, body=body, headers=match),
        "PATCH": Action(write, f"{kind}s_edit", f"Edit a {kind}", {200: shape}, body=body, headers=match),
        "DELETE": Action(write, f"{kind}s_delete", f"Delete a {kind}", {204: None}, headers=match),
    }


class PoolBase(Named):
    kind = "pool"
    shape = shapes.POOL

    def rows(self) -> QuerySet[Any]:
        return pool_rows(self.principal)


class PoolList(PoolBase):
    """All pools that one may see."""

    actions = _list_actions("pool", POOLS, PoolBody)

    def get(self, request: Request) -> Response:
        return POOLS.answer(self.rows(), request)

    def post(self, request: Request) -> Response:
        values = resolve(read_body(PoolBody, request), self.principal)
        return self.added(groups.add_pool(**values, actor=self.principal, now=clock.now()))


class PoolDetail(PoolBase, NamedDetail):
    """One pool."""

    actions = _detail_actions("pool", shapes.POOL, PoolBody)
    body = PoolBody

    def change(self, row: Any, changes: Mapping[str, Any], revision: int | None) -> None:
        groups.edit_pool(pool=row, changes=changes, actor=self.principal, now=clock.now(), expected_revision=revision)

    def forget(self, row: Any) -> None:
        groups.delete_pool(pool=row, actor=self.principal, now=clock.now())


class _Clusters(Named):
    kind = "cluster"
    shape = shapes.CLUSTER

    def rows(self) -> QuerySet[Any]:
        return cluster_rows(self.principal)

    def shown(self, row: Any, status: int = 200) -> Response:
        response = super().shown(row, status)
        with_counts(self.principal, [response.data])
        return response


class ClusterList(_Clusters):
    """All clusters that one may see."""

    actions = _list_actions("cluster", CLUSTERS, ClusterBody)

    def get(self, request: Request) -> Response:
        response = CLUSTERS.answer(self.rows(), request)
        with_counts(self.principal, response.data["results"])
        return response

    def post(self, request: Request) -> Response:
        values = read_body(ClusterBody, request)
        return self.added(groups.add_cluster(**values, actor=self.principal, now=clock.now()))


class ClusterDetail(_Clusters, NamedDetail):
    """One cluster."""

    actions = _detail_actions("cluster", shapes.CLUSTER, ClusterBody)
    body = ClusterBody

    def change(self, row: Any, changes: Mapping[str, Any], revision: int | None) -> None:
        groups.edit_cluster(
            cluster=row, changes=changes, actor=self.principal, now=clock.now(), expected_revision=revision
        )

    def forget(self, row: Any) -> None:
        groups.delete_cluster(cluster=row, actor=self.principal, now=clock.now())


class _Credentials(Named):
    kind = "credential"
    shape = shapes.CREDENTIAL

    def rows(self) -> QuerySet[Any]:
        return credential_rows(self.principal)


class CredentialList(_Credentials):
    """All credentials that one may see, the public half only."""

    actions = _list_actions("credential", CREDENTIALS, CredentialBody)

    def get(self, request: Request) -> Response:
        return CREDENTIALS.answer(self.rows(), request)

    def post(self, request: Request) -> Response:
        values = read_body(CredentialBody, request)
        values["private_key"] = values["private_key"] or None
        return self.added(credentials.add_credential(**values, actor=self.principal, now=clock.now()))


class CredentialDetail(_Credentials, NamedDetail):
    """One credential."""

    actions = _detail_actions("credential", shapes.CREDENTIAL, EditCredentialBody)
    body = EditCredentialBody

    def change(self, row: Any, changes: Mapping[str, Any], revision: int | None) -> None:
        require(self.principal, "credentials.write")
        credentials.edit_credential(
            credential=row, changes=changes, actor=self.principal, now=clock.now(), expected_revision=revision
        )

    def forget(self, row: Any) -> None:
        credentials.delete_credential(credential=row, actor=self.principal, now=clock.now())
