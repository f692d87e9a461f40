"""The filters of timelines: of one node, and of the fleet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from fleetui.core.filters import FilterSet, InstantFilter, ListFilter, TextFilter, WholeNumberFilter
from nodes.models import TimelineEvent
from nodes.wording import errors_saying, timeline_kinds, timeline_kinds_saying


def _since(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(at__gte=moment)


def _until(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return rows.filter(at__lt=moment)


def _actor(rows: QuerySet[Any], names: list[str]) -> QuerySet[Any]:
    """`fleetui` stands for what polls found by themselves: such events have no actor."""
    return rows.filter(actor__in=["" if name == "fleetui" else name for name in names])


def _generation(rows: QuerySet[Any], number: int) -> QuerySet[Any]:
    return rows.filter(generation=number)


def _in_timeline(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Each word stands in the sentence, or is part of who did it or of the node's name. Rows hold the parts of sentences."""
    for word in text.split():
        said = Q(kind__in=timeline_kinds_saying(word)) | Q(params__reason__in=errors_saying(word))
        named = Q(actor__icontains=word) | Q(kind__icontains=word) | Q(node__name__icontains=word)
        by_polls = Q(actor="") if word.casefold() == "fleetui" else Q()
        rows = rows.filter(said | named | Q(params__icontains=word) | by_polls)
    return rows


class TimelineFilter(FilterSet):
    """Filters of what happened to one node."""

    q = TextFilter(
        _in_timeline, help_text="Words of the sentence, the kind, the actor or the name of the node; all of them."
    )
    kind = ListFilter("kind", allowed=timeline_kinds(), help_text="What happened.")
    actor = ListFilter(narrow=_actor, help_text="Who did it, such as user:anna; fleetui for what polls found.")
    since = InstantFilter(_since, help_text="At or after this moment.")
    until = InstantFilter(_until, help_text="Before this moment.")
    generation = WholeNumberFilter(_generation, help_text="The generation of the machine.")

    class Meta:
        model = TimelineEvent
        fields: list[str] = []


class FleetTimelineFilter(TimelineFilter):
    """Filters of what happened to all nodes."""

    node = ListFilter("node__name", help_text="Names of nodes.")
    pool = ListFilter("node__pool__name", help_text="Names of pools.")
    cluster = ListFilter("node__pool__cluster__name", help_text="Names of clusters.")
