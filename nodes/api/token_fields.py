"""What the REST of a pool's tokens has in common: enrolment tokens and provisioning tokens."""

from __future__ import annotations

from rest_framework import serializers

from fleetui.access.token_text import MAX_DAYS, state_at
from fleetui.core import clock
from fleetui.core.api.bodies import Body, Integer, Text
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import INTEGER, TEXT, TEXTS, TIME, UUID, Field, Row, column, known, nullable, one_of
from nodes.api.groups import PoolBase
from nodes.models import Pool
from nodes.services.token_terms import MAX_LIMIT


def _state(row: Row) -> str:
    is_used_up = row["max_uses"] is not None and row["uses"] >= row["max_uses"]
    return state_at(clock.now(), revoked_at=row["revoked_at"], expires_at=row["expires_at"], is_used_up=is_used_up)


#: Fields of a token, those before and those after what is of its kind.
HEAD = {
    "id": column("id", UUID),
    "pool": column("pool__name", TEXT),
    "name": column("name", TEXT),
    "prefix": column("prefix", TEXT),
    "state": Field(
        one_of(["active", "used_up", "expired", "revoked"]),
        ("revoked_at", "expires_at", "max_uses", "uses"),
        _state,
    ),
    "networks": column("networks", TEXTS),
}
TAIL = {
    "max_uses": column("max_uses", nullable(INTEGER)),
    "uses": column("uses", INTEGER),
    "created_at": column("created_at", TIME),
    "created_by": known("created_by", TEXT),
    "expires_at": column("expires_at", TIME),
    "last_used_at": column("last_used_at", nullable(TIME)),
    "revoked_at": column("revoked_at", nullable(TIME)),
}
SORTS = {
    "created_at": Sort("created_at", kind="time"),
    "expires_at": Sort("expires_at", kind="time"),
    "name": Sort("name"),
}


class TokenBody(Body):
    """`max_uses` null: any number; `networks` empty: from anywhere."""

    name = Text(min_length=1, max_length=100)
    days = Integer(min_value=1, max_value=MAX_DAYS, default=90)
    max_uses = Integer(min_value=1, max_value=MAX_LIMIT, allow_null=True, default=None)
    networks = serializers.ListField(child=Text(max_length=50), default=list)


class PoolTokens(PoolBase):
    """Tokens below a pool."""

    def pool(self, name: str) -> Pool:
        found: Pool = self.one(name)
        return found
