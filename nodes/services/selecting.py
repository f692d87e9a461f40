"""The nodes that filters stand for in the body of a request: those of the nodes list, as its query has them."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import QueryDict

from fleetui.core.errors import InvalidInput
from nodes.filters import NodeFilter
from nodes.querysets import NodeQuerySet


def selected_by(nodes: NodeQuerySet, filters: Mapping[str, str], *, field: str, mend: str) -> NodeQuerySet:
    """Those of `nodes` that pass; retired ones only where `lifecycle` asks for them.

    Raises InvalidInput about `field` for what is no filter, has a wrong value, or none: without it, the filter would leave
    every node. `mend` is said where the filter has none of its own.
    """
    query = QueryDict(mutable=True)
    query.update(dict(filters))
    narrowed = NodeFilter(query, queryset=nodes if "lifecycle" in query else nodes.counted())
    wrong = [(name, value, problem, its_mend or mend) for name, value, problem, its_mend in narrowed.problems()]
    wrong += [(name, "", "It is not a filter.", mend) for name in sorted(set(filters) - set(NodeFilter.base_filters))]
    wrong += [(name, "", "It is empty.", "Give it a value, or leave it out.") for name in narrowed.empty()]
    if wrong:
        name, value, problem, its_mend = wrong[0]
        raise InvalidInput(f"The filter {name}: {problem}", field=field, value=value, mend=its_mend)
    found: NodeQuerySet = narrowed.qs
    return found
