"""nodes/{name}/provisionings/."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Integer, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import (
    INTEGER,
    TEXT,
    TIME,
    UUID,
    Document,
    Field,
    PageOf,
    Row,
    Shape,
    column,
    known,
    nullable,
    one_of,
)
from fleetui.core.api.views import Listing
from fleetui.core.errors import InvalidInput, NotFound
from nodes.api.nodes import OneNode
from nodes.models import IgnitionVersion, Provisioning
from nodes.services.provisioning.offer import MAX_HOURS, provision, revoke
from nodes.services.provisioning.standing import STANDINGS, standing


def _standing(row: Row) -> str:
    seen = SimpleNamespace(ending=row["ending"], fetches=row["fetches"], deadline=row["deadline"])
    return standing(seen, clock.now())


PROVISIONING = Shape(
    "Provisioning",
    {
        "id": column("id", UUID),
        "config": column("version__config__name", TEXT),
        "version": column("version_id", UUID),
        "number": column("version__number", INTEGER),
        "state": Field(one_of(STANDINGS), ("ending", "fetches", "deadline"), _standing),
        "generation": column("generation", INTEGER),
        "sha512": column("sha512", TEXT),
        "host_key_fingerprint": column("fingerprint", TEXT),
        "created_at": column("created_at", TIME),
        "created_by": column("created_by", TEXT),
        "deadline": column("deadline", TIME),
        "fetches": column("fetches", INTEGER),
        "first_fetched_at": column("first_fetched_at", nullable(TIME)),
        "last_fetched_at": column("last_fetched_at", nullable(TIME)),
        "last_address": known("last_address", TEXT),
        "ended_at": column("ended_at", nullable(TIME)),
    },
)
_SCHEMA = PROVISIONING.schema()
OFFERED = Document(
    "ProvisioningOffered",
    {
        **_SCHEMA,
        "properties": {
            **_SCHEMA["properties"],
            "url": {**TEXT, "description": "Where the machine fetches its config; shown this once."},
        },
        "required": ["url"],
    },
)
PROVISIONINGS = Listing(PROVISIONING, {"created_at": Sort("created_at", kind="time")}, "-created_at")


class ProvisioningBody(Body):
    """Which version is offered, by its id, and for how long. Null: the version that the node's pool intends."""

    version = serializers.UUIDField(allow_null=True, default=None)
    hours = Integer(min_value=1, max_value=MAX_HOURS, default=24, help_text="Until when the config may be fetched.")


class ProvisioningList(OneNode):
    """Offers of a config to the next machine of a node."""

    actions = {
        "GET": Action(
            "nodes.read",
            "provisionings_list",
            "List what was offered to a node's machines",
            {200: PageOf(PROVISIONING)},
            query=PROVISIONINGS.params,
        ),
        "POST": Action(
            "nodes.accept_key",
            "provisionings_create",
            "Offer a config to a node's next machine",
            {201: OFFERED},
            body=ProvisioningBody,
            note="Needs nodes.write and ignition.intend as well. The machine that fetches the config shows the host key "
            "that was made for it, and is the node from then on, in its next generation.",
        ),
    }

    def get(self, request: Request, name: str) -> Response:
        return PROVISIONINGS.answer(Provisioning.objects.filter(node=self.node(name)), request)

    def post(self, request: Request, name: str) -> Response:
        node = self.node(name)
        values = read_body(ProvisioningBody, request)
        version = self._version(values["version"])
        done = provision(node=node, version=version, hours=values["hours"], actor=self.principal, now=clock.now())
        row = Provisioning.objects.filter(pk=done.provisioning.pk).values(*PROVISIONING.columns()).get()
        url = request.build_absolute_uri(reverse("nodes:fetch_config", args=[done.text]))
        headers = {"Location": f"{request.path}{done.provisioning.pk}/", "Cache-Control": "no-store"}
        return Response({**PROVISIONING.render(row), "url": url}, status=201, headers=headers)

    def _version(self, version_id: uuid.UUID | None) -> IgnitionVersion | None:
        if version_id is None:
            return None
        visible = IgnitionVersion.objects.visible_to(self.principal).select_related("config")
        found: IgnitionVersion | None = visible.filter(pk=version_id).first()
        if found is None:
            mend = "Look at /api/v1/ignition/versions/."
            raise InvalidInput(
                "There is no such version that you may see.", field="version", value=version_id, mend=mend
            )
        return found


class ProvisioningDetail(OneNode):
    """One offer. Deleting it revokes it; the row stays for the record."""

    actions = {
        "GET": Action("nodes.read", "provisionings_read", "Read an offer", {200: PROVISIONING}),
        "DELETE": Action("nodes.write", "provisionings_revoke", "Revoke an offer", {204: None}),
    }

    def get(self, request: Request, name: str, provisioning_id: Any) -> Response:
        rows = Provisioning.objects.filter(pk=self._row(name, provisioning_id).pk)
        return Response(PROVISIONING.render(rows.values(*PROVISIONING.columns()).get()))

    def delete(self, request: Request, name: str, provisioning_id: Any) -> Response:
        revoke(provisioning=self._row(name, provisioning_id), actor=self.principal, now=clock.now())
        return Response(status=204)

    def _row(self, name: str, provisioning_id: Any) -> Provisioning:
        rows = Provisioning.objects.select_related("node", "version__config")
        row = rows.filter(node=self.node(name), pk=provisioning_id).first()
        if row is None:
            raise NotFound("The node has no such offer.", mend=f"Look at /api/v1/nodes/{name}/provisionings/.")
        return row
