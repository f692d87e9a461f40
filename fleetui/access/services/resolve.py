"""From a signed-in user or a presented token to a Principal."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from datetime import datetime, timedelta

from django.conf import settings

from fleetui.access.models import RoleBinding, Token, User
from fleetui.access.principals import Principal, cut, reach_of

TOKEN_START = "fleetui_"  # noqa: S105  (how every token begins, not a secret)
_LAST_USED_STEP = timedelta(minutes=1)


def principal_for_user(user: User) -> Principal:
    """The rights of a person: the union of their role bindings."""
    bindings = list(RoleBinding.objects.filter(user_id=user.pk).values_list("role", "pool_id"))
    return Principal(kind="user", name=user.username, user_id=user.pk, reach=reach_of(bindings))


def pepper_name(pepper: str) -> str:
    return hashlib.sha256(b"fleetui pepper\0" + bytes.fromhex(pepper)).hexdigest()[:8]


def digest_of(secret: str, pepper: str) -> str:
    return hmac.new(bytes.fromhex(pepper), secret.encode(), hashlib.sha256).hexdigest()


def principal_for_token(presented: str, *, address: str, now: datetime) -> Principal | None:
    """The rights of a presented token, or None when it is not usable: unknown, revoked, expired, or from a foreign network."""
    prefix, _, secret = presented.removeprefix(TOKEN_START).partition("_")
    if not presented.startswith(TOKEN_START) or not secret:
        return None
    token = Token.objects.usable(now).select_related("user").filter(prefix=prefix).first()
    if token is None:
        return None
    peppers = {pepper_name(pepper): pepper for pepper in settings.TOKEN_PEPPERS}
    pepper = peppers.get(token.pepper)
    if pepper is None or not hmac.compare_digest(digest_of(secret, pepper), token.digest):
        return None
    if token.networks and not _within(address, token.networks):
        return None
    pools = list(token.pools.values_list("pk", flat=True)) if token.limited_to_pools else []
    if token.limited_to_pools and not pools:
        return None  # every pool it was made for is gone: it must not widen to all of them
    if token.last_used_at is None or now - token.last_used_at > _LAST_USED_STEP:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)
    owner = principal_for_user(token.user)
    reach = cut(owner.reach, scopes=list(token.scopes), pools=pools)
    return Principal(
        kind="token", name=f"{token.user.username}/{token.name}", user_id=token.user_id, token_id=token.pk, reach=reach
    )


def _within(address: str, networks: list[str]) -> bool:
    try:
        candidate = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(candidate in ipaddress.ip_network(network, strict=False) for network in networks)
