"""releases/support/: until when versions are supported."""

from __future__ import annotations

import uuid

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import require
from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import TEXT, UUID, PageOf, Shape, column, known
from fleetui.core.api.views import ApiView, Listing
from fleetui.core.errors import NotFound
from nodes.models import SupportEnd
from nodes.services.support import add_support_end, delete_support_end

SUPPORT = Shape(
    "SupportEnd",
    {
        "id": column("id", UUID),
        "os": column("os_family", TEXT),
        "stream": known("stream", TEXT),
        "major": known("major", TEXT),
        "ends_on": column("ends_on", {"type": "string", "format": "date"}),
        "note": known("note", TEXT),
        "source": column("source", TEXT),
    },
)
LISTING = Listing(SUPPORT, {"os": Sort("os_family")}, "os")


class SupportBody(Body):
    """The first day without support, of a stream, a major version, both, or a whole OS family."""

    os = Text(max_length=30, default="fcos")
    stream = Text(max_length=100, allow_blank=True, default="")
    major = Text(max_length=20, allow_blank=True, default="")
    ends_on = serializers.DateField()
    note = Text(max_length=200, allow_blank=True, default="")


class SupportList(ApiView):
    """All ends of support that are known."""

    actions = {
        "GET": Action(
            "releases.read", "support_list", "List ends of support", {200: PageOf(SUPPORT)}, query=LISTING.params
        ),
        "POST": Action("releases.write", "support_create", "Set an end of support", {201: SUPPORT}, body=SupportBody),
    }

    def get(self, request: Request) -> Response:
        return LISTING.answer(SupportEnd.objects.all(), request)

    def post(self, request: Request) -> Response:
        values = read_body(SupportBody, request)
        row = add_support_end(os_family=values.pop("os"), **values, actor=self.principal, now=clock.now())
        found = SupportEnd.objects.filter(pk=row.pk).values(*SUPPORT.columns()).get()
        return Response(SUPPORT.render(found), status=201, headers={"Location": f"{request.path}{row.pk}/"})


class SupportDetail(ApiView):
    """One end of support."""

    actions = {"DELETE": Action("releases.write", "support_delete", "Take an end of support away", {204: None})}

    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        require(self.principal, "releases.write")
        row = SupportEnd.objects.filter(pk=pk).first()
        if row is None:
            raise NotFound("There is no such end of support.", mend="Look at /api/v1/releases/support/.")
        delete_support_end(row=row, actor=self.principal, now=clock.now())
        return Response(status=204)
