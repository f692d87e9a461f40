"""The nodes that a selector stands for: the filters of the nodes list, as a query has them."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import QueryDict

from fleetui.access.principals import Principal
from fleetui.core.errors import InvalidInput
from nodes.filters import NodeFilter
from nodes.models import Node
from ops.services.request import MOST_NODES

OTHER_FILTERS = 'The filters are those of GET nodes/. To name nodes, send nodes instead: ["web-01"].'


def nodes_of(principal: Principal, selector: Mapping[str, str]) -> list[Node]:
    """By name, one more than a request may have at most; raises InvalidInput for what is no filter."""
    visible = Node.objects.visible_to(principal).select_related("pool__cluster")
    query = QueryDict(mutable=True)
    query.update(dict(selector))
    unknown = sorted(set(selector) - set(NodeFilter.base_filters))
    narrowed = NodeFilter(query, queryset=visible if "lifecycle" in query else visible.counted())
    problems = narrowed.problems()
    if unknown or problems:
        field, value, problem, mend = problems[0] if problems else (unknown[0], "", "It is not a filter.", "")
        raise InvalidInput(f"The filter {field}: {problem}", field="selector", value=value, mend=mend or OTHER_FILTERS)
    return list(narrowed.qs.order_by("name")[: MOST_NODES + 1])
