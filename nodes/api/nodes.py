"""nodes/ and what lies below one node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import IF_MATCH, Action, Param
from fleetui.core.api.bodies import read_body
from fleetui.core.api.etag import expected_revision
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import PageOf
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import InvalidInput, NotFound
from fleetui.core.filters import split_values
from fleetui.core.text import clean
from nodes.api import shapes
from nodes.api.bodies import EditNodeBody, NewNodeBody, resolve
from nodes.facts.many import MAX_PATHS, asked_paths, values_of
from nodes.filters import FleetTimelineFilter, NodeFilter, TimelineFilter
from nodes.hosts.ssh import HostKey as SshHostKey
from nodes.models import Deployment, Facts, HostCertificate, HostKey, Node, TimelineEvent
from nodes.querysets import NodeQuerySet
from nodes.services import nodes as services
from nodes.services.whereabouts import AddressTaken

LISTING = Listing(
    shapes.NODE,
    {
        "name": Sort("name", unique=True),
        "address": Sort("address"),
        "pool": Sort("pool__name", nullable=True),
        "version": Sort("booted_version"),
        "stream": Sort("os_stream"),
        "reachability": Sort("reachability"),
        "health": Sort("health"),
        "update_state": Sort("update_state"),
        "last_seen_at": Sort("last_seen_at", kind="time", nullable=True),
        "facts_at": Sort("facts_at", kind="time", nullable=True),
        "booted_at": Sort("booted_at", kind="time", nullable=True),
        "created_at": Sort("created_at", kind="time"),
    },
    "name",
    NodeFilter,
    more_params=(
        Param(
            "facts",
            {"type": "array", "items": {"type": "string"}, "maxItems": MAX_PATHS},
            "Values of facts at these paths, in the field `facts` of each node.",
        ),
    ),
)
DEPLOYMENTS = Listing(
    shapes.DEPLOYMENT, {"index": Sort("index", kind="integer", unique=True)}, "index", key_kind="integer"
)
TIMELINE = Listing(shapes.TIMELINE, {"at": Sort("at", kind="time")}, "-at", TimelineFilter)
FLEET_TIMELINE = Listing(shapes.FLEET_TIMELINE, {"at": Sort("at", kind="time")}, "-at", FleetTimelineFilter)
HOST_KEYS = Listing(shapes.HOST_KEY, {"seen_at": Sort("seen_at", kind="time")}, "-seen_at")
_REASON = Param("reason", {"type": "string", "maxLength": 300}, "Why; it goes into the audit log.")
_NODE_FIELDS = (fields_param(shapes.NODE),)


def no_such(kind: str, name: str) -> NotFound:
    return NotFound(f"There is no {kind} {name} that you may see.", mend=f"Look at /api/v1/{kind.replace(' ', '-')}s/.")


def _with_end(node: Node, lifecycle: str | None, reason: str, until: datetime | None) -> tuple[str | None, str]:
    """Lifecycle and reason of an edit that names an end: a maintenance that goes on keeps its reason."""
    if (lifecycle or node.lifecycle) == "maintenance":
        kept = node.lifecycle_reason if node.lifecycle == "maintenance" else ""
        return "maintenance", reason or kept
    if until is not None:
        raise InvalidInput(
            "Only a maintenance has an end.",
            field="maintenance_until",
            value=until.isoformat(),
            mend="Send the lifecycle maintenance with it, or leave it out.",
        )
    return lifecycle, reason


@contextmanager
def _naming_the_field() -> Iterator[None]:
    """The way out of a taken address in the words of the API."""
    try:
        yield
    except AddressTaken as error:
        mend = "Merge them, or send `allow_same_address: true` if they are different machines."
        raise AddressTaken(error.message, field=error.field, value=error.value, mend=mend) from error


class OneNode(ApiView):
    """Base of the endpoints below one node."""

    def rows(self, name: str) -> NodeQuerySet:
        found: NodeQuerySet = Node.objects.visible_to(self.principal).named(name)
        return found

    def node(self, name: str) -> Node:
        rows = self.rows(name).select_related("pool__cluster", "pool__credential", "credential")
        found: Node = _named_first(list(rows), name)
        return found

    def shown(self, node: Node, status: int = 200) -> Response:
        row = Node.objects.filter(pk=node.pk).values(*shapes.NODE.columns()).get()
        return self.tagged(shapes.NODE.render(row), row["revision"], status)


def _named_first(rows: list[Any], name: str) -> Any:
    """A name wins over an id."""
    if not rows:
        raise no_such("node", name)
    return next((row for row in rows if _name(row) == name), rows[0])


def _name(row: Any) -> str:
    return str(row["name"] if isinstance(row, Mapping) else row.name)


class NodeList(OneNode):
    """All nodes that one may see."""

    actions = {
        "GET": Action("nodes.read", "nodes_list", "List nodes", {200: PageOf(shapes.NODE_ROW)}, query=LISTING.params),
        "POST": Action("nodes.write", "nodes_create", "Add a node", {201: shapes.NODE}, body=NewNodeBody),
    }

    def get(self, request: Request) -> Response:
        given = split_values(request.query_params.getlist("facts"))
        paths = asked_paths(given, "facts")

        def extend(rows: list[dict[str, Any]], results: list[dict[str, Any]]) -> None:
            found = values_of([row["id"] for row in rows], paths)
            for row, result in zip(rows, results, strict=True):
                result["facts"] = found[row["id"]]

        return LISTING.answer(Node.objects.visible_to(self.principal), request, extend if paths else None)

    def post(self, request: Request) -> Response:
        values = resolve(read_body(NewNodeBody, request), self.principal)
        line = values.pop("host_key")
        values["os_family_given"] = values["os_family_given"] or ""
        values.setdefault("allow_same_address", False)
        host_key = read_host_key(line)
        with _naming_the_field():
            node = services.add_node(**values, host_key=host_key, actor=self.principal, now=clock.now())
        response = self.shown(node, 201)
        response.headers["Location"] = shapes.node_url(node.name)
        return response


def read_host_key(line: str | None) -> SshHostKey | None:
    if not line:
        return None
    try:
        return SshHostKey.parse(line)
    except ValueError as error:
        mend = "Send type and key as in known_hosts: ssh-ed25519 AAAA..."
        raise InvalidInput("The host key cannot be read.", field="host_key", value=line, mend=mend) from error


class NodeDetail(OneNode):
    """One node, by name or id."""

    actions = {
        "GET": Action("nodes.read", "nodes_read", "Read a node", {200: shapes.NODE}, query=_NODE_FIELDS),
        "PUT": Action(
            "nodes.write",
            "nodes_replace",
            "Set all of a node",
            {200: shapes.NODE},
            body=EditNodeBody,
            headers=(IF_MATCH,),
        ),
        "PATCH": Action(
            "nodes.write", "nodes_edit", "Edit a node", {200: shapes.NODE}, body=EditNodeBody, headers=(IF_MATCH,)
        ),
        "DELETE": Action(
            "nodes.write", "nodes_delete", "Forget a node", {204: None}, query=(_REASON,), headers=(IF_MATCH,)
        ),
    }

    def get(self, request: Request, name: str) -> Response:
        fields = asked_fields(request, shapes.NODE)
        columns = dict.fromkeys([*shapes.NODE.columns(fields), "name", "revision"])
        row = _named_first(list(self.rows(name).values(*columns)), name)
        return self.tagged(shapes.NODE.render(row, fields), row["revision"])

    def put(self, request: Request, name: str) -> Response:
        return self._edit(request, name, partial=False)

    def patch(self, request: Request, name: str) -> Response:
        return self._edit(request, name, partial=True)

    def delete(self, request: Request, name: str) -> Response:
        node = self.node(name)
        expected_revision(request, node.revision)
        reason = clean(request.query_params.get("reason", "")).strip()[:300]
        services.delete_node(node=node, reason=reason, actor=self.principal, now=clock.now())
        return Response(status=204)

    def _edit(self, request: Request, name: str, *, partial: bool) -> Response:
        node = self.node(name)
        changes = read_body(EditNodeBody, request, partial=partial)
        lifecycle, reason = changes.pop("lifecycle", None), changes.pop("reason", "")
        if "maintenance_until" in changes:
            lifecycle, reason = _with_end(node, lifecycle, reason, changes["maintenance_until"])
        until = changes.pop("maintenance_until", None)
        if changes.get("os_family_given", "") is None:
            changes["os_family_given"] = ""
        may_share = changes.pop("allow_same_address", False)
        changes = resolve(changes, self.principal)
        revision = expected_revision(request, node.revision)
        now = clock.now()
        with _naming_the_field(), transaction.atomic():
            if changes or not lifecycle:
                services.edit_node(
                    node=node,
                    changes=changes,
                    actor=self.principal,
                    now=now,
                    expected_revision=revision,
                    allow_same_address=may_share,
                )
            if lifecycle:
                services.set_lifecycle(
                    node=node, lifecycle=lifecycle, reason=reason, until=until, actor=self.principal, now=now
                )
        return self.shown(node)


class NodeFacts(OneNode):
    """The newest facts of a node, and the newest measurement."""

    actions = {"GET": Action("nodes.read", "nodes_facts", "Read a node's facts", {200: shapes.FACTS})}

    def get(self, request: Request, name: str) -> Response:
        columns = ("pk", "name", "facts_id", "measurement__at", "measurement__document")
        row = _named_first(list(self.rows(name).values(*columns)), name)
        facts = Facts.objects.filter(pk=row["facts_id"]).defer("raw").first() if row["facts_id"] else None
        if facts is None:
            raise NotFound(
                "No facts have been read from this node yet.",
                mend=f"POST {shapes.node_url(row['name'])}poll/, or see why it is not reachable.",
            )
        head = {"node": row["name"], "generation": facts.generation, "read_at": facts.read_at, "hash": facts.hash}
        measured = {"measured_at": row["measurement__at"], "measurement": row["measurement__document"]}
        return Response({**facts.document, **head, **measured})


class NodeDeployments(OneNode):
    """The deployments of a node, in boot order."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_deployments",
            "List a node's deployments",
            {200: PageOf(shapes.DEPLOYMENT)},
            query=DEPLOYMENTS.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return DEPLOYMENTS.answer(Deployment.objects.filter(node=self.node(name)), request)


class NodeTimeline(OneNode):
    """What happened to a node, newest first."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_timeline",
            "List what happened to a node",
            {200: PageOf(shapes.TIMELINE)},
            query=TIMELINE.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return TIMELINE.answer(TimelineEvent.objects.filter(node=self.node(name)), request)


class FleetTimeline(ApiView):
    """What happened to all nodes that one may see, newest first."""

    actions = {
        "GET": Action(
            "nodes.read",
            "timeline_list",
            "List what happened to all nodes",
            {200: PageOf(shapes.FLEET_TIMELINE)},
            query=FLEET_TIMELINE.params,
        )
    }

    def get(self, request: Request) -> Response:
        return FLEET_TIMELINE.answer(TimelineEvent.objects.visible_to(self.principal).with_names(), request)


class NodeHostKeys(OneNode):
    """The keys that a node showed."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_host_keys",
            "List a node's host keys",
            {200: PageOf(shapes.HOST_KEY)},
            query=HOST_KEYS.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return HOST_KEYS.answer(HostKey.objects.filter(node=self.node(name)), request)


class NodeHostCertificate(OneNode):
    """The host certificate by which a node without a pinned key was trusted last."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_host_certificate",
            "Read the certificate that a node is trusted by",
            {200: shapes.HOST_CERTIFICATE},
            query=(fields_param(shapes.HOST_CERTIFICATE),),
        )
    }

    def get(self, request: Request, name: str) -> Response:
        fields = asked_fields(request, shapes.HOST_CERTIFICATE)
        rows = HostCertificate.objects.filter(node=self.node(name))
        row = rows.values(*shapes.HOST_CERTIFICATE.columns(fields)).first()
        if row is None:
            mend = "Give its pool the public key of your authority in host_ca_keys, and the host a certificate of it."
            raise NotFound("The node was not trusted by a host certificate yet.", mend=mend)
        return Response(shapes.HOST_CERTIFICATE.render(row, fields))


class NodePoll(OneNode):
    """Poll a node at once."""

    actions = {"POST": Action("nodes.poll", "nodes_poll", "Poll a node now", {202: shapes.POLL_ACCEPTED})}

    def post(self, request: Request, name: str) -> Response:
        node = self.node(name)
        services.require_on(self.principal, "nodes.poll", node.pool)
        count = services.request_poll(nodes=Node.objects.filter(pk=node.pk), actor=self.principal, now=clock.now())
        url = shapes.node_url(node.name)
        return Response({"nodes": count, "url": url}, status=202, headers={"Location": url})
