"""Persistent volumes that live on a path of a node, out of the documents of the API. Pure, and never fails on one.

Shapes: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodes.axes.reading import at, objects
from ops.kubernetes.objects import ClusterNode, matches, text


@dataclass(frozen=True)
class Volume:
    """A volume that a claim has, `local` or `hostPath`. `terms` are those of its node affinity: one of them has to hold."""

    name: str
    namespace: str
    claim: str
    path: str
    is_local: bool
    is_block: bool
    is_file: bool
    terms: Sequence[Mapping[str, Any]] | None

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.claim}"

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Volume | None:
        """None for one of another kind, or that no claim has."""
        local = text(document, "spec", "local", "path")
        path = local or text(document, "spec", "hostPath", "path")
        if not path or text(document, "status", "phase") != "Bound":
            return None
        required = at(document, "spec", "nodeAffinity", "required")
        return cls(
            name=text(document, "metadata", "name"),
            namespace=text(document, "spec", "claimRef", "namespace"),
            claim=text(document, "spec", "claimRef", "name"),
            path=path,
            is_local=bool(local),
            is_block=text(document, "spec", "volumeMode") == "Block",
            is_file=text(document, "spec", "hostPath", "type").startswith("File"),
            terms=objects(required, "nodeSelectorTerms") if required is not None else None,
        )

    def is_on(self, node: ClusterNode, used: Collection[str]) -> bool:
        """Whether it lies on this node: by its affinity, and without one where a pod there uses its claim (`used`)."""
        if self.terms is None:
            return self.place in used
        return any(_holds(term, node) for term in self.terms)


def _holds(term: Mapping[str, Any], node: ClusterNode) -> bool:
    """As the scheduler reads it: all requirements of a term, and a term without any matches nothing."""
    labels, fields = objects(term, "matchExpressions"), objects(term, "matchFields")
    if not labels and not fields:
        return False
    return all(matches(one, node.labels) for one in labels) and all(
        matches(one, {"metadata.name": node.name}) for one in fields
    )
