"""The filters of containers."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from fleetui.core.filters import FilterSet, ListFilter, TextFilter
from nodes.models import ContainerOnNode, Node

#: So many rows, names or nodes are looked up first: what is rare is then found without reading everything in order, and
#: what is not fills a page at once.
_FEW = 500


def _rare(wanted: Q) -> Q | None:
    """The containers by id, where there are few; None where there are many."""
    few = list(ContainerOnNode.objects.filter(wanted).order_by().values_list("pk", flat=True)[: _FEW + 1])
    return Q(pk__in=few) if len(few) <= _FEW else None


def _container_text(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """A fleet has few names of containers, images and units, each many times: what holds the text is looked up among these."""
    holds, named = Q(), Q()
    for column in ("name", "repository", "unit"):
        holding = Q(**{f"{column}__icontains": text})
        values = ContainerOnNode.objects.filter(holding).order_by().values_list(column, flat=True).distinct()
        holds, named = holds | holding, named | Q(**{f"{column}__in": list(values[: _FEW + 1])})
    return rows.filter(_rare(named) or holds)


def _container_state(rows: QuerySet[Any], states: list[str]) -> QuerySet[Any]:
    wanted = Q(state__in=states)
    return rows.filter(_rare(wanted) or wanted)


def _container_pool(rows: QuerySet[Any], names: list[str]) -> QuerySet[Any]:
    nodes = Node.objects.filter(pool__name__in=names).order_by()
    few = list(nodes.values_list("pk", flat=True)[: _FEW + 1])
    if len(few) <= _FEW:
        return rows.filter(node__in=few)
    # Asked row by row, in the order of the list, which is full soon.
    return rows.filter(Exists(nodes.filter(pk=OuterRef("node_id"))))


class ContainerFilter(FilterSet):
    """Filters of containers. Several values of one filter are joined with "or", filters with "and"."""

    q = TextFilter(_container_text, help_text="Part of the name, the image or the unit.")
    repository = ListFilter("repository", help_text="Images without tag, such as quay.io/prometheus/node-exporter.")
    tag = ListFilter("tag", help_text="Tags of images.")
    digest = ListFilter("digest", help_text="Digests of images, whole.")
    state = ListFilter(
        narrow=_container_state, help_text="States, such as running; absent for a unit whose container is not there."
    )
    health = ListFilter("health", allowed=["healthy", "unhealthy", "starting"], help_text="What the health check says.")
    managed_by = ListFilter("managed_by", allowed=list(ContainerOnNode.MANAGERS), help_text="By whom it is run.")
    unit = ListFilter("unit", help_text="Systemd units.")
    runtime = ListFilter("runtime", help_text="podman, podman-user, docker or containerd.")
    node = ListFilter("node__name", help_text="Names of nodes.")
    pool = ListFilter(narrow=_container_pool, help_text="Names of pools.")

    class Meta:
        model = ContainerOnNode
        fields: list[str] = []
