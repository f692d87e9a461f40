"""facts/paths/: what can be asked of facts."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core.api.actions import Action
from fleetui.core.api.views import ApiView
from nodes.api import shapes
from nodes.facts.paths import INDEXED, known_paths
from nodes.facts.query import operators_of
from nodes.facts.words import SENTENCES


class FactPaths(ApiView):
    """Every path of facts, in the order of the document."""

    actions = {"GET": Action("nodes.read", "facts_paths", "List the paths of facts", {200: shapes.FACT_PATHS})}

    def get(self, request: Request) -> Response:
        return Response({"results": [_row(path, holds) for path, holds in known_paths().items()]})


def _row(path: str, holds: str) -> dict[str, Any]:
    return {
        "path": path,
        "holds": holds,
        "indexed": path in INDEXED,
        "operators": list(operators_of(path)),
        "sentence": SENTENCES.get(path, ""),
    }
