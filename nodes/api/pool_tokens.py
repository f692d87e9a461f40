"""pools/{name}/provisioning-tokens/."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import Action
from fleetui.core.api.bodies import Integer, Text, read_body
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    Document,
    Field,
    PageOf,
    Shape,
    column,
)
from fleetui.core.api.views import Listing, asked_fields, fields_param
from fleetui.core.errors import NotFound
from nodes.api.token_fields import HEAD, SORTS, TAIL, PoolTokens, TokenBody
from nodes.models import PoolToken
from nodes.services.provisioning.pool_tokens import (
    DEFAULT_PATTERN,
    LEAST_MINUTES,
    MOST_MINUTES,
    add_pool_token,
    revoke_pool_token,
)

POOL_TOKEN = Shape(
    "ProvisioningToken",
    {
        **HEAD,
        "name_pattern": column("name_pattern", TEXT),
        "needs_id": column("needs_id", FLAG),
        "arrive_within_minutes": Field(INTEGER, ("arrive_within_s",), lambda row: row["arrive_within_s"] // 60),
        **TAIL,
    },
)
_SCHEMA = POOL_TOKEN.schema()
NEW_POOL_TOKEN = Document(
    "NewProvisioningToken",
    {
        **_SCHEMA,
        "properties": {
            **_SCHEMA["properties"],
            "url": {**TEXT, "description": "Where machines fetch their config; shown this once."},
        },
        "required": ["url"],
    },
)
TOKENS = Listing(POOL_TOKEN, SORTS, "-created_at")


class PoolTokenBody(TokenBody):
    """`max_uses` null: any number of nodes; `networks` empty: from anywhere. `needs_id`: a fetch has to give `?id=`."""

    name_pattern = Text(
        min_length=1, max_length=60, default=DEFAULT_PATTERN, help_text="With {pool}, {id} and {n} in it."
    )
    needs_id = serializers.BooleanField(default=False)
    arrive_within_minutes = Integer(
        min_value=LEAST_MINUTES,
        max_value=MOST_MINUTES,
        default=60,
        help_text="A node whose machine was not seen in this time after its first fetch is retired.",
    )


class PoolTokenList(PoolTokens):
    """Tokens by which new machines of a pool fetch its config."""

    actions = {
        "GET": Action(
            "pools.read",
            "provisioning_tokens_list",
            "List a pool's provisioning tokens",
            {200: PageOf(POOL_TOKEN)},
            query=TOKENS.params,
        ),
        "POST": Action(
            "nodes.accept_key",
            "provisioning_tokens_create",
            "Make a provisioning token, shown once",
            {201: NEW_POOL_TOKEN},
            body=PoolTokenBody,
            note="Needs nodes.write and ignition.intend as well. Each machine that fetches `url` becomes a node of the "
            "pool, known by the host key in its config; `?id=` tells machines apart that share an address.",
        ),
    }

    def get(self, request: Request, name: str) -> Response:
        return TOKENS.answer(PoolToken.objects.filter(pool=self.pool(name)), request)

    def post(self, request: Request, name: str) -> Response:
        pool = self.pool(name)
        values = read_body(PoolTokenBody, request)
        token, text = add_pool_token(**values, pool=pool, actor=self.principal, now=clock.now())
        row = PoolToken.objects.filter(pk=token.pk).values(*POOL_TOKEN.columns()).get()
        url = request.build_absolute_uri(reverse("nodes:fetch_config", args=[text]))
        headers = {"Location": f"{request.path}{token.pk}/", "Cache-Control": "no-store"}
        return Response({**POOL_TOKEN.render(row), "url": url}, status=201, headers=headers)


class PoolTokenDetail(PoolTokens):
    """One provisioning token. Deleting it revokes it; the row stays for the record."""

    actions = {
        "GET": Action(
            "pools.read",
            "provisioning_tokens_read",
            "Read a provisioning token",
            {200: POOL_TOKEN},
            query=(fields_param(POOL_TOKEN),),
        ),
        "DELETE": Action("nodes.write", "provisioning_tokens_revoke", "Revoke a provisioning token", {204: None}),
    }

    def get(self, request: Request, name: str, token_id: Any) -> Response:
        fields = asked_fields(request, POOL_TOKEN)
        rows = PoolToken.objects.filter(pk=self.token(name, token_id).pk)
        return Response(POOL_TOKEN.render(rows.values(*POOL_TOKEN.columns(fields)).get(), fields))

    def delete(self, request: Request, name: str, token_id: Any) -> Response:
        revoke_pool_token(token=self.token(name, token_id), actor=self.principal, now=clock.now())
        return Response(status=204)

    def token(self, name: str, token_id: Any) -> PoolToken:
        rows = PoolToken.objects.select_related("pool")
        token: PoolToken | None = rows.filter(pool=self.pool(name), pk=token_id).first()
        if token is None:
            raise NotFound(
                "The pool has no such provisioning token.", mend=f"Look at /api/v1/pools/{name}/provisioning-tokens/."
            )
        return token
