"""The filters of releases."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from fleetui.core.filters import FilterSet, FlagFilter, ListFilter
from nodes.models import Release


def _barrier(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(is_barrier=wanted)


def _deadend(rows: QuerySet[Any], wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
    return rows.filter(is_deadend=wanted)


class ReleaseFilter(FilterSet):
    os = ListFilter("stream__os_family", help_text="OS families.")
    stream = ListFilter("stream__name", help_text="Streams.")
    version = ListFilter("version", help_text="Versions.")
    is_barrier = FlagFilter(_barrier, help_text="Whether every update must pass through it.")
    is_deadend = FlagFilter(_deadend, help_text="Whether no update leads on from it.")

    class Meta:
        model = Release
        fields: list[str] = []
