"""From a signed-in user or a presented token to a Principal."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from django.db import OperationalError, connection

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.principals import Principal, cut, reach_of
from fleetui.access.token_text import matches, taken_apart, within

TOKEN_START = "fleetui_"  # noqa: S105  (how every token begins, not a secret)
_LAST_USED_STEP = timedelta(minutes=1)
_WAIT_MS = 250
log = structlog.get_logger(__name__)


def principal_for_user(user: User) -> Principal:
    """The rights of a person: the union of their role bindings."""
    bindings = list(RoleBinding.objects.filter(user_id=user.pk).values_list("role", "pool_id"))
    return Principal(kind="user", name=user.username, user_id=user.pk, reach=reach_of(bindings))


def principal_for_token(presented: str, *, address: str, now: datetime) -> Principal | None:
    """The rights of a presented token, or None when it is not usable: unknown, revoked, expired, or from a foreign network."""
    parts = taken_apart(presented, TOKEN_START)
    if parts is None:
        return None
    prefix, secret = parts
    token = Token.objects.usable(now).select_related("user").filter(prefix=prefix).first()
    if token is None or not matches(secret, digest=token.digest, pepper=token.pepper):
        return None
    if token.networks and not within(address, token.networks):
        return None
    found = _of_token(token)
    if found is None:
        return None
    if token.last_used_at is None or now - token.last_used_at > _LAST_USED_STEP:
        _note_use(token, now)
    return found


def _note_use(token: Token, now: datetime) -> None:
    """For people to look up. A database that is busy writing or full can still be read, so nothing is refused for it."""
    try:
        with _hardly_waiting():
            Token.objects.filter(pk=token.pk).update(last_used_at=now)
    except OperationalError as error:
        log.warning("token_use_not_noted", token=token.prefix, error=str(error).strip())


@contextmanager
def _hardly_waiting() -> Iterator[None]:
    """On SQLite whoever writes waits for the others, up to 15 s: too long for who only came to read."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    sqlite = connection.connection
    (before,) = sqlite.execute("PRAGMA busy_timeout").fetchone()
    sqlite.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
    try:
        yield
    finally:
        sqlite.execute(f"PRAGMA busy_timeout = {int(before)}")


def principal_again(
    *, user_id: int | None, token_id: uuid.UUID | None, by_token: bool, now: datetime
) -> Principal | None:
    """The rights that a person or a token has now, for what they left to be done later; None when it is not usable any more."""
    if by_token:
        token = Token.objects.usable(now).select_related("user").filter(pk=token_id).first()
        return _of_token(token) if token is not None else None
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id is not None else None
    return principal_for_user(user) if user is not None else None


def _of_token(token: Token) -> Principal | None:
    pools = list(token.pools.values_list("pk", flat=True)) if token.limited_to_pools else []
    if token.limited_to_pools and not pools:
        return None  # every pool it was made for is gone: it must not widen to all of them
    owner = principal_for_user(token.user)
    reach = cut(owner.reach, scopes=list(token.scopes), pools=pools)
    return Principal(
        kind="token", name=f"{token.user.username}/{token.name}", user_id=token.user_id, token_id=token.pk, reach=reach
    )
