"""host-keys/, releases/ and stats/."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.principals import require
from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Body, Part, Text, read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import PageOf
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import Conflict, InvalidInput, NotFound
from nodes.api import shapes
from nodes.api.bodies import ReasonBody, ReleasesBody
from nodes.filters import HostKeyFilter, ReleaseFilter
from nodes.models import HostKey, Release
from nodes.services import host_keys, releases

HOST_KEYS = Listing(
    shapes.HOST_KEY, {"seen_at": Sort("seen_at", kind="time"), "node": Sort("node__name")}, "-seen_at", HostKeyFilter
)
RELEASES = Listing(
    shapes.RELEASE,
    {
        "released_at": Sort("released_at", kind="time", nullable=True),
        "version": Sort("version"),
        "stream": Sort("stream__name"),
    },
    "-released_at",
    ReleaseFilter,
)


class HostKeyList(ApiView):
    """All host keys of the nodes that one may see."""

    actions = {
        "GET": Action(
            "nodes.read", "host_keys_list", "List host keys", {200: PageOf(shapes.HOST_KEY)}, query=HOST_KEYS.params
        )
    }

    def get(self, request: Request) -> Response:
        return HOST_KEYS.answer(HostKey.objects.visible_to(self.principal), request)


class _OneHostKey(ApiView):
    def row(self, key_id: str) -> HostKey:
        found = HostKey.objects.visible_to(self.principal).filter(pk=key_id).select_related("node__pool").first()
        if found is None:
            raise NotFound("There is no such host key that you may see.", mend="Look at /api/v1/host-keys/.")
        return found  # type: ignore[no-any-return]

    def shown(self, key_id: Any) -> Response:
        fields = asked_fields(self.request, shapes.HOST_KEY) if self.request.method != "POST" else None
        row = HostKey.objects.filter(pk=key_id).values(*shapes.HOST_KEY.columns(fields)).get()
        return Response(shapes.HOST_KEY.render(row, fields))


class HostKeyDetail(_OneHostKey):
    """One host key."""

    actions = {
        "GET": Action(
            "nodes.read",
            "host_keys_read",
            "Read a host key",
            {200: shapes.HOST_KEY},
            query=(fields_param(shapes.HOST_KEY),),
        )
    }

    def get(self, request: Request, key_id: str) -> Response:
        return self.shown(self.row(str(key_id)).pk)


class _Decision(_OneHostKey):
    decide: Callable[..., HostKey]

    def post(self, request: Request, key_id: str) -> Response:
        row = self.row(str(key_id))
        reason = read_body(ReasonBody, request)["reason"]
        type(self).decide(host_key=row, reason=reason, actor=self.principal, now=clock.now())
        return self.shown(row.pk)


class HostKeyAccept(_Decision):
    """Trust an offered key."""

    actions = {
        "POST": Action(
            "nodes.accept_key", "host_keys_accept", "Trust an offered key", {200: shapes.HOST_KEY}, body=ReasonBody
        )
    }
    decide = staticmethod(host_keys.accept_key)


class HostKeyRefuse(_Decision):
    """Refuse an offered key."""

    actions = {
        "POST": Action(
            "nodes.accept_key", "host_keys_refuse", "Refuse an offered key", {200: shapes.HOST_KEY}, body=ReasonBody
        )
    }
    decide = staticmethod(host_keys.refuse_key)


class KeyPairBody(Part):
    """A key as it was seen: another one that the host offered since is not accepted."""

    id = serializers.UUIDField()
    fingerprint = Text(min_length=1, max_length=60)


class AcceptBody(Body):
    """Keys to trust; those that take the place of a trusted one only in `changed`."""

    keys = KeyPairBody(many=True, default=list)
    changed = KeyPairBody(many=True, default=list)
    reason = Text(max_length=300, allow_blank=True, default="")


class HostKeysAccept(ApiView):
    """Trust many offered keys at once."""

    actions = {
        "POST": Action(
            "nodes.accept_key", "host_keys_accept_many", "Trust offered keys", {200: shapes.ACCEPTED}, body=AcceptBody
        )
    }

    def post(self, request: Request) -> Response:
        values = read_body(AcceptBody, request)
        keys, changed = ([(pair["id"], pair["fingerprint"]) for pair in values[name]] for name in ("keys", "changed"))
        if not keys and not changed:
            raise InvalidInput("No key is named.", field="keys", mend="Send id and fingerprint of each key.")
        done = host_keys.accept_many(
            keys=keys, changed=changed, reason=values["reason"], actor=self.principal, now=clock.now()
        )
        left = [{"id": pk, "node": name or None, "why": why} for pk, name, why in done.left]
        return Response({"accepted": done.accepted, "left": left})


class HostKeyForget(_OneHostKey):
    """Trust a pinned key no longer: the host certificate counts, or the key is offered again."""

    actions = {
        "POST": Action(
            "nodes.accept_key", "host_keys_forget", "Forget a trusted key", {200: shapes.HOST_KEY}, body=ReasonBody
        )
    }

    def post(self, request: Request, key_id: str) -> Response:
        row = self.row(str(key_id))
        reason = read_body(ReasonBody, request)["reason"]
        if row.state != "pinned":
            raise Conflict("This key is not trusted.", mend="Only a key in the state pinned can be forgotten.")
        host_keys.forget_key(node=row.node, reason=reason, actor=self.principal, now=clock.now())
        return self.shown(row.pk)


class ReleaseList(ApiView):
    """All releases that are known."""

    actions = {
        "GET": Action(
            "releases.read", "releases_list", "List releases", {200: PageOf(shapes.RELEASE)}, query=RELEASES.params
        )
    }

    def get(self, request: Request) -> Response:
        return RELEASES.answer(Release.objects.visible_to(self.principal), request)


class ReleaseDetail(ApiView):
    """One release."""

    actions = {"DELETE": Action("releases.write", "releases_delete", "Take a release back", {204: None})}

    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        require(self.principal, "releases.write")
        row = Release.objects.visible_to(self.principal).filter(pk=pk).first()
        if row is None:
            raise NotFound("There is no such release.", mend="Look at /api/v1/releases/.")
        releases.delete_release(release=row, actor=self.principal, now=clock.now())
        return Response(status=204)


class ReleaseImport(ApiView):
    """Take in a release document."""

    actions = {
        "POST": Action(
            "releases.write", "releases_import", "Import releases", {200: shapes.IMPORTED}, body=ReleasesBody
        )
    }

    def post(self, request: Request) -> Response:
        values = read_body(ReleasesBody, request)
        try:
            found = releases.import_releases(**values, actor=self.principal, now=clock.now())
        except InvalidInput as error:
            # The page takes a file; here the document is the text that was sent.
            error.field = "text" if error.field == "document" else error.field
            raise
        body = {"streams": found.streams, "added": found.added, "changed": found.changed, "unchanged": found.unchanged}
        return Response(body)
