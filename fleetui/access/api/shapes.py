"""How users, role bindings and tokens look in the API."""

from __future__ import annotations

from fleetui.access.roles import ROLES
from fleetui.access.token_text import state_at
from fleetui.core import clock
from fleetui.core.api.shapes import (
    FLAG,
    INTEGER,
    TEXT,
    TEXTS,
    TIME,
    UUID,
    Document,
    Field,
    Row,
    Shape,
    column,
    known,
    nullable,
    one_of,
)

USER = Shape(
    "User",
    {
        "id": column("id", INTEGER),
        "username": column("username", TEXT),
        "full_name": known("full_name", TEXT),
        "email": known("email", TEXT),
        "is_active": column("is_active", FLAG),
        "date_joined": column("date_joined", TIME),
        "last_login": column("last_login", nullable(TIME)),
    },
)

ROLE = Shape(
    "RoleBinding",
    {
        "id": column("id", UUID),
        "user": column("user__username", TEXT),
        "role": column("role", one_of(ROLES)),
        "pool": Field(nullable(TEXT), ("pool__name",), lambda row: row["pool__name"]),
        "created_at": column("created_at", TIME),
    },
)


def _state(row: Row) -> str:
    return state_at(clock.now(), revoked_at=row["revoked_at"], expires_at=row["expires_at"])


def _pools(row: Row) -> list[str] | None:
    """Names of the pools that it is limited to (read for the whole page at once, see tokens.with_pools)."""
    return row["pool_names"] if row["limited_to_pools"] else None


TOKEN = Shape(
    "Token",
    {
        "id": column("id", UUID),
        "user": column("user__username", TEXT),
        "name": column("name", TEXT),
        "prefix": column("prefix", TEXT),
        "state": Field(one_of(["active", "expired", "revoked"]), ("revoked_at", "expires_at"), _state),
        "scopes": column("scopes", TEXTS),
        "pools": Field(nullable(TEXTS), ("id", "limited_to_pools"), _pools),
        "networks": column("networks", TEXTS),
        "created_at": column("created_at", TIME),
        "expires_at": column("expires_at", TIME),
        "last_used_at": column("last_used_at", nullable(TIME)),
        "revoked_at": column("revoked_at", nullable(TIME)),
    },
)


def shown_once(name: str, token: Shape) -> Document:
    """The answer that holds a new token beside its text."""
    schema = token.schema()
    text = {**TEXT, "description": "The token itself, shown this once."}
    return Document(name, {**schema, "properties": {**schema["properties"], "token": text}, "required": ["token"]})


NEW_TOKEN = shown_once("NewToken", TOKEN)
