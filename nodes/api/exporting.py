"""nodes/export/, pools/export/ and the same of other lists: whole lists as files."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from fleetui.audit.exports import export_view
from fleetui.audit.log import record_export
from fleetui.core import clock
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.shapes import TEXT, one_of
from fleetui.core.api.views import ApiView, filter_params, filtered
from fleetui.core.errors import InvalidInput
from fleetui.core.export import FORMATS, as_file, read_format
from fleetui.core.filters import split_values
from nodes.api.certificates import LISTING as CERTIFICATES
from nodes.api.containers import LISTING as CONTAINERS
from nodes.api.groups import CLUSTERS, CREDENTIALS, POOLS, cluster_rows, credential_rows, pool_rows, with_counts
from nodes.api.jump_hosts import LISTING as JUMP_HOSTS
from nodes.api.jump_hosts import jump_host_rows
from nodes.api.nodes import FLEET_TIMELINE
from nodes.api.others import HOST_KEYS, RELEASES
from nodes.columns import DEFAULT, MAX_COLUMNS, columns, reading
from nodes.filters import NodeFilter
from nodes.models import Certificate, ContainerOnNode, HostKey, Node, Release, TimelineEvent
from nodes.services.exporting import node_rows
from nodes.views.columns import SORTS, sort_wanted, sorted_by

_ORDERS = [text for name in SORTS for text in (name, f"-{name}")]
PARAMS = (
    Param("format", {**one_of(FORMATS), "default": "csv"}, "CSV for spreadsheets, or JSON lines: one object a line."),
    Param(
        "columns",
        {"type": "array", "items": TEXT, "maxItems": MAX_COLUMNS},
        "Columns after the name: those of the nodes list, label:KEY, or paths of facts.",
    ),
    Param("sort", {**one_of(_ORDERS), "default": "name"}, "The order of the nodes list."),
    *filter_params(NodeFilter),
)


class NodeExport(ApiView):
    """All nodes that pass the filters, streamed. Retired ones are there only when asked for."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_export",
            "Export nodes as a file",
            {200: None},
            query=PARAMS,
        )
    }

    def get(self, request: Request) -> Any:
        query = request.query_params
        format = read_format(query.get("format"))
        wanted, wrong = columns(split_values(query.getlist("columns")) or DEFAULT)
        if wrong:
            raise InvalidInput(wrong[0].message, field="columns", value=wrong[0].name[:100], mend=wrong[0].mend)
        sort = query.get("sort") or "name"
        if sort_wanted(sort) != sort:
            mend = f"Use {', '.join(SORTS)}, with - in front for the other way round."
            raise InvalidInput(f"{sort[:100]!r} is not an order.", field="sort", value=sort[:100], mend=mend)
        nodes = Node.objects.visible_to(self.principal)
        if not query.get("lifecycle"):
            nodes = nodes.counted()
        found: Any = filtered(nodes, NodeFilter, request)
        placed, order = sorted_by(reading(found, wanted, is_file=True), sort)
        names = ["name", *(one.name for one in wanted)]
        if request.method != "HEAD":
            record_export(
                what="nodes",
                format=format,
                query=query.urlencode(),
                rows=found.count(),
                columns=names,
                actor=self.principal,
            )
        rows = node_rows(placed.order_by(*order.columns(backwards=False)), wanted)
        kept = query.copy()
        for name in ("format", "columns", "sort"):
            kept.pop(name, None)
        return as_file(format=format, names=names, rows=rows, title="nodes", query=kept.urlencode(), now=clock.now())


PoolExport = export_view("pools", "pools.read", POOLS, pool_rows)
ClusterExport = export_view("clusters", "clusters.read", CLUSTERS, cluster_rows, extend=with_counts)
CredentialExport = export_view("credentials", "credentials.read", CREDENTIALS, credential_rows)
JumpHostExport = export_view("jump_hosts", "credentials.read", JUMP_HOSTS, jump_host_rows)
HostKeyExport = export_view("host_keys", "nodes.read", HOST_KEYS, HostKey.objects.visible_to)
ReleaseExport = export_view("releases", "releases.read", RELEASES, Release.objects.visible_to)
TimelineExport = export_view(
    "timeline", "nodes.read", FLEET_TIMELINE, lambda principal: TimelineEvent.objects.visible_to(principal).with_names()
)
CertificateExport = export_view(
    "certificates", "nodes.read", CERTIFICATES, lambda principal: Certificate.objects.visible_to(principal).with_names()
)
ContainerExport = export_view(
    "containers", "nodes.read", CONTAINERS, lambda principal: ContainerOnNode.objects.visible_to(principal).with_names()
)
