"""containers/, the images that they run, and the containers of one node."""

from __future__ import annotations

import base64
import binascii

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core.api.actions import Action, Param
from fleetui.core.api.pagination import MAX_LIMIT, Sort, read_limit
from fleetui.core.api.shapes import TEXT, PageOf
from fleetui.core.api.views import ApiView, Listing, filter_params, filtered
from fleetui.core.errors import InvalidInput
from nodes.api import shapes
from nodes.api.nodes import OneNode
from nodes.filters import ContainerFilter
from nodes.models import ContainerOnNode

_SORTS = {"name": Sort("name"), "state": Sort("state"), "image": Sort("repository")}
LISTING = Listing(shapes.CONTAINER, _SORTS, "name", ContainerFilter, key_kind="integer")
OF_NODE = Listing(shapes.NODE_CONTAINER, _SORTS, "name", key_kind="integer")


class ContainerList(ApiView):
    """Every container of the nodes that one may see: which nodes run an image, at which digest."""

    actions = {
        "GET": Action(
            "nodes.read", "containers_list", "List containers", {200: PageOf(shapes.CONTAINER)}, query=LISTING.params
        )
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(ContainerOnNode.objects.visible_to(self.principal).with_names(), request)


class ImageList(ApiView):
    """Images and digests, with how many nodes run them."""

    actions = {
        "GET": Action(
            "nodes.read",
            "container_images_list",
            "Count nodes by the images of their containers",
            {200: shapes.IMAGES},
            query=(
                Param(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100},
                    "How many at most.",
                ),
                Param("after", TEXT, "Where to read on: taken from `next`."),
                *filter_params(ContainerFilter),
            ),
        )
    }

    def get(self, request: Request) -> Response:
        limit = read_limit(request.query_params.get("limit"))
        after = _read_place(request.query_params.get("after", ""))
        found = filtered(ContainerOnNode.objects.visible_to(self.principal), ContainerFilter, request)
        rows = list(found.by_image(after)[: limit + 1])  # type: ignore[attr-defined]
        more = _place(rows[limit - 1]) if len(rows) > limit else None
        results = [{**row, "tag": row["tag"] or None, "digest": row["digest"] or None} for row in rows[:limit]]
        return Response({"results": results, "next": more})


def _place(row: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([row["repository"], row["tag"], row["digest"]])).rstrip(b"=").decode()


def _read_place(text: str) -> tuple[str, str, str] | None:
    if not text:
        return None
    try:
        repository, tag, digest = orjson.loads(base64.b64decode(text[:2000] + "=" * (-len(text) % 4), altchars=b"-_"))
    except (ValueError, TypeError, binascii.Error):
        repository = tag = digest = None
    if (
        not (isinstance(repository, str) and isinstance(tag, str) and isinstance(digest, str))
        or "\0" in repository + tag + digest
    ):
        raise InvalidInput(
            "This is no place in the list of images.", field="after", value=text, mend="Take it from `next`."
        )
    return repository, tag, digest


class NodeContainers(OneNode):
    """The containers of a node, and the units whose container is not there."""

    actions = {
        "GET": Action(
            "nodes.read",
            "nodes_containers",
            "List a node's containers",
            {200: PageOf(shapes.NODE_CONTAINER)},
            query=OF_NODE.params,
        )
    }

    def get(self, request: Request, name: str) -> Response:
        return OF_NODE.answer(ContainerOnNode.objects.filter(node=self.node(name)), request)
