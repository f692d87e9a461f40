"""/sd/prometheus: HTTP service discovery. Every node as a target, with what is known of it as labels."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection, transaction
from django.http import HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request

from fleetui.access.api.networks import SCRAPED_BY
from fleetui.core.api.actions import Action, Param
from fleetui.core.api.shapes import INTEGER
from fleetui.core.api.views import ApiView, filter_params, filtered
from fleetui.core.errors import InvalidInput
from nodes.filters import NodeFilter
from nodes.models import Node
from nodes.querysets import NodeQuerySet

#: node_exporter's.
DEFAULT_PORT = 9100
ROWS_AT_ONCE = 2000
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
#: label -> column
LABELS = {
    "name": "name",
    "pool": "pool__name",
    "cluster": "pool__cluster__name",
    "role": "pool__role",
    "os": "os_family",
    "version": "booted_version",
    "stream": "os_stream",
    "arch": "arch",
    "lifecycle": "lifecycle",
    "reachability": "reachability",
    "health": "health",
    "update_state": "update_state",
}
_NAMES = tuple(f"__meta_fleetui_{name}" for name in LABELS)
PORT = Param("port", {**INTEGER, "minimum": 1, "maximum": 65535}, "The port of the targets; 9100 without it.")


class Discovery(ApiView):
    """The whole list in one answer, as Prometheus wants it; `[]` when nothing matches. Filters are those of nodes.

    Retired nodes are left out unless `lifecycle` asks for them.
    """

    hidden = True
    authentication_classes = SCRAPED_BY
    actions = {
        "GET": Action(
            "nodes.read", "sd_prometheus", "Targets for Prometheus", {}, query=(PORT, *filter_params(NodeFilter))
        )
    }

    def get(self, request: Request) -> HttpResponseBase:
        port = _port(request.query_params.get("port"))
        visible: NodeQuerySet = Node.objects.visible_to(self.principal)
        nodes = visible if request.query_params.get("lifecycle") else visible.counted()
        targets = filtered(nodes, NodeFilter, request).order_by("name")
        rows = targets.values_list("address", "labels", *LABELS.values())
        # Held in pieces: the ETag stands before the body, and one text of all would be there twice.
        pieces, digest = [], hashlib.blake2b(digest_size=16)
        with _reading():
            for piece in _pieces(rows.iterator(chunk_size=ROWS_AT_ONCE), port):
                digest.update(piece)
                pieces.append(piece)
        etag = f'"{digest.hexdigest()}"'
        response: HttpResponse | StreamingHttpResponse
        if etag in request.headers.get("If-None-Match", ""):
            response = HttpResponseNotModified()
        else:
            response = StreamingHttpResponse(pieces, content_type="application/json")
            response["Content-Length"] = str(sum(map(len, pieces)))
        response["ETag"] = etag
        response["Cache-Control"] = "private, no-cache"
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return response


def _reading() -> AbstractContextManager[object]:
    """Outside a transaction PostgreSQL copies the whole answer before its first row; on SQLite one would shut out writers."""
    return transaction.atomic() if connection.vendor == "postgresql" else nullcontext()


def _port(text: str | None) -> int:
    if not text:
        return DEFAULT_PORT
    if text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536:
        return int(text[:6])
    raise InvalidInput(
        f"{text[:20]!r} is not a port.", field="port", value=text, mend="Give a number from 1 to 65535, such as 9100."
    )


def _pieces(rows: Iterator[tuple[Any, ...]], port: int) -> Iterator[bytes]:
    """The JSON list, a piece for each few thousand nodes."""
    start, waiting = b"[", []
    for row in rows:
        waiting.append(group(row, port))
        if len(waiting) >= ROWS_AT_ONCE:
            yield start + orjson.dumps(waiting)[1:-1]
            start, waiting = b",", []
    if waiting:
        yield start + orjson.dumps(waiting)[1:-1] + b"]"
    else:
        yield b"[]" if start == b"[" else b"]"


def group(row: tuple[Any, ...], port: int) -> dict[str, Any]:
    """One node as Prometheus reads it. An empty value is left out: for Prometheus both are the same."""
    address, labels, *values = row
    found = {name: value for name, value in zip(_NAMES, values, strict=True) if value}
    found |= node_labels(labels)
    host = f"[{address}]" if ":" in address and not address.startswith("[") else address
    return {"targets": [f"{host}:{port}"], "labels": found}


def node_labels(labels: Mapping[str, Any]) -> dict[str, str]:
    """The node's own labels, with names as Prometheus allows them. Of two that become the same, the first by name counts."""
    found: dict[str, str] = {}
    for key in sorted(labels):
        name = _label_name(key)
        if value := str(labels[key]):
            found.setdefault(name, value)
    return found


@lru_cache(maxsize=1024)
def _label_name(key: str) -> str:
    return f"__meta_fleetui_label_{_NOT_IN_NAMES.sub('_', key)}"
