"""The filters of Ignition configs and their versions."""

from __future__ import annotations

from fleetui.core.filters import FilterSet, ListFilter, TextFilter
from nodes.filters.common import named, values
from nodes.models import IgnitionConfig, IgnitionVersion
from nodes.models.ignition import ReviewState


class IgnitionConfigFilter(FilterSet):
    q = TextFilter(named, help_text="Part of the name.")
    pool = ListFilter("pools__name", help_text="Names of pools that they are for.")

    class Meta:
        model = IgnitionConfig
        fields: list[str] = []


class IgnitionVersionFilter(FilterSet):
    config = ListFilter("config__name", help_text="Names of configs.")
    state = ListFilter("state", allowed=values(ReviewState), help_text="Where they stand in review.")
    commit = ListFilter("commit_id", help_text="Commits that they come from, whole.")

    class Meta:
        model = IgnitionVersion
        fields: list[str] = []
