"""enrol/ and pools/{name}/enrolment-tokens/."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.access.api.shapes import shown_once
from fleetui.access.api.throttles import EnrolmentThrottle
from fleetui.core import clock, context
from fleetui.core.api.actions import PUBLIC, Action
from fleetui.core.api.bodies import Body, Integer, Text, checked_body, read_body
from fleetui.core.api.renderers import BodyTooLarge, OrjsonParser
from fleetui.core.api.shapes import (
    INTEGER,
    TEXT,
    Document,
    PageOf,
    Shape,
    object_of,
    one_of,
)
from fleetui.core.api.views import ApiView, Listing, asked_fields, fields_param
from fleetui.core.errors import FleetError, NotFound
from nodes.api.token_fields import HEAD, SORTS, TAIL, PoolTokens, TokenBody
from nodes.models import EnrolmentToken
from nodes.services import enrolment

ENROLMENT_TOKEN = Shape("EnrolmentToken", {**HEAD, **TAIL})
NEW_ENROLMENT_TOKEN = shown_once("NewEnrolmentToken", ENROLMENT_TOKEN)
ENROLLED = Document(
    "Enrolled",
    object_of(
        {
            "outcome": one_of(["enrolled", "known", "moved", "restored", "replaced"]),
            "node": TEXT,
            "pool": TEXT,
            "address": TEXT,
            "port": INTEGER,
            "generation": INTEGER,
            "fingerprint": TEXT,
        }
    ),
)

#: An announcement has a few hundred bytes; RSA keys and long names included, this is far above.
MAX_BYTES = 32 * 1024
TOKENS = Listing(ENROLMENT_TOKEN, SORTS, "-created_at")


class EnrolmentTokenBody(TokenBody):
    """A token by which machines enrol in the pool. `max_uses` null: any number; `networks` empty: from anywhere."""


class AnnouncementBody(Body):
    """What a machine says of itself, as JSON or as a form. `machine_id` is turned into a derived id and not kept."""

    secrets = frozenset({"machine_id"})

    name = Text(min_length=1, max_length=100, help_text="Its host name.")
    machine_id = Text(min_length=1, max_length=64, help_text="What /etc/machine-id holds.")
    host_key = serializers.ListField(
        child=Text(min_length=1, max_length=2000),
        min_length=1,
        max_length=8,
        help_text="Lines of /etc/ssh/ssh_host_*_key.pub; of several the ed25519 one is pinned.",
    )
    address = Text(max_length=253, allow_blank=True, default="", help_text="Empty: the one that it comes from.")
    port = Integer(min_value=1, max_value=65535, default=22)
    os_family = Text(max_length=30, allow_blank=True, default="", help_text="Empty: detected.")


class EnrolmentTokenList(PoolTokens):
    """The enrolment tokens of a pool."""

    actions = {
        "GET": Action(
            "pools.read",
            "enrolment_tokens_list",
            "List a pool's enrolment tokens",
            {200: PageOf(ENROLMENT_TOKEN)},
            query=TOKENS.params,
        ),
        "POST": Action(
            "nodes.accept_key",
            "enrolment_tokens_create",
            "Make an enrolment token, shown once",
            {201: NEW_ENROLMENT_TOKEN},
            body=EnrolmentTokenBody,
        ),
    }

    def get(self, request: Request, name: str) -> Response:
        return TOKENS.answer(EnrolmentToken.objects.filter(pool=self.pool(name)), request)

    def post(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        values = read_body(EnrolmentTokenBody, request)
        token, text = enrolment.add_enrolment_token(**values, pool=pool, actor=self.principal, now=clock.now())
        row = EnrolmentToken.objects.filter(pk=token.pk).values(*ENROLMENT_TOKEN.columns()).get()
        body = {**ENROLMENT_TOKEN.render(row), "token": text}
        return Response(body, status=201, headers={"Location": f"{request.path}{token.pk}/"})


class EnrolmentTokenDetail(PoolTokens):
    """One enrolment token. Deleting it revokes it; the row stays for the record."""

    actions = {
        "GET": Action(
            "pools.read",
            "enrolment_tokens_read",
            "Read an enrolment token",
            {200: ENROLMENT_TOKEN},
            query=(fields_param(ENROLMENT_TOKEN),),
        ),
        "DELETE": Action("nodes.write", "enrolment_tokens_revoke", "Revoke an enrolment token", {204: None}),
    }

    def get(self, request: Request, name: str, token_id: Any) -> Response:
        fields = asked_fields(request, ENROLMENT_TOKEN)
        rows = EnrolmentToken.objects.filter(pk=self.token(name, token_id).pk)
        return Response(ENROLMENT_TOKEN.render(rows.values(*ENROLMENT_TOKEN.columns(fields)).get(), fields))

    def delete(self, request: Request, name: str, token_id: Any) -> Response:
        token = self.token(name, token_id)
        enrolment.revoke_enrolment_token(token=token, actor=self.principal, now=clock.now())
        return Response(status=204)

    def token(self, name: str, token_id: Any) -> EnrolmentToken:
        rows = EnrolmentToken.objects.select_related("pool")
        token: EnrolmentToken | None = rows.filter(pool=self.pool(name), pk=token_id).first()
        if token is None:
            raise NotFound(
                "The pool has no such enrolment token.", mend=f"Look at /api/v1/pools/{name}/enrolment-tokens/."
            )
        return token


class Enrol(ApiView):
    """A machine announces itself. Who it is, the enrolment token says; users and their tokens have no part in it."""

    actions = {
        "POST": Action(
            PUBLIC,
            "enrol",
            "Announce this machine",
            {200: ENROLLED, 201: ENROLLED},
            body=AnnouncementBody,
            note="Needs an enrolment token of a pool: `Authorization: Bearer fleetui-enrol_...`. "
            "200 for a machine that is known already, 201 for a new node.",
        )
    }
    authentication_classes = []
    throttle_classes = [EnrolmentThrottle]
    parser_classes = [OrjsonParser, FormParser]

    def post(self, request: Request) -> Response:
        address = context.source_address.get()
        token: EnrolmentToken | None = None
        name = ""
        try:
            token = enrolment.presented_token(_bearer(request))
            if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
                raise BodyTooLarge(f"An announcement has at most {MAX_BYTES // 1024} KiB.")
            values = _values(request)
            said = enrolment.Announcement.read(
                name=values["name"],
                address=values["address"],
                port=values["port"],
                machine_id=values["machine_id"],
                host_keys=values["host_key"],
                os_family=values["os_family"],
                client_address=address,
            )
            name = said.name
            done = enrolment.announce(token=token, said=said, client_address=address, now=clock.now())
        except FleetError as error:
            enrolment.record_refusal(error, token=token, name=name, address=address)
            raise
        node = done.node
        body = {
            "outcome": done.outcome,
            "node": node.name,
            "pool": token.pool.name,
            "address": node.address,
            "port": node.port,
            "generation": node.generation,
            "fingerprint": done.fingerprint,
        }
        return Response(body, status=201 if done.outcome == "enrolled" else 200)


def _bearer(request: Request) -> str:
    word, _space, presented = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return presented.strip() if word.lower() == "bearer" else ""


def _values(request: Request) -> dict[str, Any]:
    """The announcement. A form is read as the JSON would be: curl sends what files hold without a shell in between."""
    sent: Any = request.data
    if hasattr(sent, "getlist"):
        plain: dict[str, Any] = {field: sent.get(field) for field in sent if field != "host_key"}
        plain["host_key"] = sent.getlist("host_key")
        port = plain.get("port")
        if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) < 6:
            plain["port"] = int(port)
        return checked_body(AnnouncementBody, plain)
    return read_body(AnnouncementBody, request)
