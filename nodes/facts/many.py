"""Values of facts of many nodes at once, by path: from the terms where the path is indexed, else from its section."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import F
from django.db.models.fields.json import KeyTransform
from django.utils.translation import gettext as _

from fleetui.core.errors import InvalidInput
from nodes.facts.paths import INDEXED, values_at
from nodes.facts.query import NotAQuestion, known_path
from nodes.models import Facts, FactTerm, Node

#: Each is a column of the answer.
MAX_PATHS = 20
Values = list[Any]
NodeId = uuid.UUID


def asked_paths(names: Iterable[str], field: str) -> list[str]:
    """The paths, each once; raises InvalidInput for one that facts do not have."""
    paths = list(dict.fromkeys(names))
    if len(paths) > MAX_PATHS:
        mend = _("Ask for at most %(limit)s at once.") % {"limit": MAX_PATHS}
        raise InvalidInput(_("These are too many paths of facts."), field=field, value=str(len(paths)), mend=mend)
    for path in paths:
        try:
            known_path(path)
        except NotAQuestion as error:
            raise InvalidInput(error.message, field=field, value=path[:100], mend=error.mend) from error
    return paths


def values_of(nodes: Sequence[NodeId], paths: Sequence[str]) -> dict[NodeId, dict[str, Values]]:
    """For each node the values at each path, each value once, sorted. Two queries at most, however many nodes.

    Where a path is indexed, at most the first 200 values of a node, each cut at 200 characters.
    """
    found: dict[NodeId, dict[str, set[Any]]] = {node: {path: set() for path in paths} for node in nodes}
    indexed = [path for path in paths if path in INDEXED]
    others = [path for path in paths if path not in INDEXED]
    if indexed and nodes:
        for node, path, value, number in FactTerm.objects.filter(node__in=nodes, path__in=indexed).values_list(
            "node_id", "path", "value", "number"
        ):
            found[node][path].add(value if number is None else number)
    if others and nodes:
        for node, sections in _sections(nodes, {path.partition(".")[0] for path in others}):
            for path in others:
                found[node][path].update(map(_hashable, values_at(sections, path)))
    return {node: {path: sorted(values, key=_place) for path, values in row.items()} for node, row in found.items()}


def _sections(nodes: Sequence[NodeId], names: set[str]) -> Iterable[tuple[NodeId, Mapping[str, Any]]]:
    """Only the sections that are asked for leave the database."""
    columns = {f"section_{number}": name for number, name in enumerate(sorted(names))}
    rows = Facts.objects.order_by().filter(pk__in=_newest(nodes))
    rows = rows.annotate(**{column: KeyTransform(name, F("document")) for column, name in columns.items()})
    for node, *sections in rows.values_list("node_id", *columns):
        yield node, dict(zip(columns.values(), sections, strict=True))


def _newest(nodes: Sequence[NodeId]) -> Any:
    return Node.objects.filter(pk__in=nodes, facts__isnull=False).values("facts_id")


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


def _place(value: Any) -> tuple[bool, Any]:
    """Numbers by size, before texts."""
    return (True, value) if isinstance(value, str) else (False, value)
