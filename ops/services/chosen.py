"""The nodes that a selector stands for: the filters of the nodes list, as a query has them."""

from __future__ import annotations

from collections.abc import Mapping

from fleetui.access.principals import Principal
from nodes.models import Node
from nodes.services.selecting import selected_by
from ops.services.request import MOST_NODES

OTHER_FILTERS = 'The filters are those of GET nodes/. To name nodes, send nodes instead: ["web-01"].'


def nodes_of(principal: Principal, selector: Mapping[str, str], *, mend: str = OTHER_FILTERS) -> list[Node]:
    """By name, one more than a request may have at most; raises InvalidInput for what is no filter."""
    visible = Node.objects.visible_to(principal).select_related("pool__cluster")
    found = selected_by(visible, selector, field="selector", mend=mend)
    return list(found.order_by("name")[: MOST_NODES + 1])
